"""Who asks for a state: a few rules make allowance for older clients."""

from __future__ import annotations

import re

from msgspec import Struct

from lictor.web.request import Request

_CLIENT = re.compile(r"prefect/(\S+) \(API")


class Caller(Struct, frozen=True):
    """The API version that a client speaks and the SDK version that it is, as it says in its headers; None: unsaid."""

    api_version: str | None = None
    client_version: str | None = None


SERVER = Caller()


def caller_of(request: Request) -> Caller:
    found = _CLIENT.match(request.header("user-agent") or "")
    return Caller(request.api_version, found[1] if found else None)
