"""Who asks for a state, and what they are answered: a few rules make allowance for older clients."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from lictor.states.types import OrchestrationResult, Outcome
from lictor.web import Created, Request

_CLIENT = re.compile(r"prefect/(\S+) \(API")


class Caller(Struct, frozen=True):
    """The API version that a client speaks and the SDK version that it is, as it says in its headers; None: unsaid."""

    api_version: str | None = None
    client_version: str | None = None


SERVER = Caller()


def caller_of(request: Request) -> Caller:
    headers = request.raw_headers
    return _caller(headers.get(b"x-prefect-api-version"), headers.get(b"user-agent", b""))


@lru_cache(maxsize=256)
def _caller(api_version: bytes | None, user_agent: bytes) -> Caller:
    found = _CLIENT.match(user_agent.decode("latin-1"))
    return Caller(None if api_version is None else api_version.decode("latin-1"), found[1] if found else None)


def answered(tx: Any, body: Callable[..., Outcome], *args: Any, **kwargs: Any) -> Created[OrchestrationResult]:
    """What to answer to a proposed state, as a transaction body around the one that decides: 201 for a new state.

    It is a body so that a route need not be a coroutine, which costs more than the answer.
    """
    outcome = body(tx, *args, **kwargs)
    return Created(outcome.result, outcome.new)
