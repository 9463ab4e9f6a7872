"""Who asks for a state: a few rules make allowance for older clients."""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from lictor.web.request import Request

_CLIENT = re.compile(r"prefect/(\S+) \(API")


class Caller(Struct, frozen=True):
    """The API version that a client speaks and the SDK version that it is, as it says in its headers; None: unsaid."""

    api_version: str | None = None
    client_version: str | None = None


SERVER = Caller()


def caller_of(request: Request) -> Caller:
    return _caller(request.api_version, request.header("user-agent") or "")


@lru_cache(maxsize=256)
def _caller(api_version: str | None, user_agent: str) -> Caller:
    found = _CLIENT.match(user_agent)
    return Caller(api_version, found[1] if found else None)
