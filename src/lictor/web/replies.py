"""What an endpoint may answer besides a plain value."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from lictor.web.codec import encode

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]
Chunks = AsyncIterable[str | bytes] | Iterable[str | bytes]

JSON_TYPE = (b"content-type", b"application/json")


class Created(Generic[T]):
    """The answer of a create-or-get endpoint: 201 when `created`, else 200."""

    __slots__ = ("created", "value")

    def __init__(self, value: T, created: bool = True) -> None:
        self.value = value
        self.created = created


class Reply:
    """Any answer: `body` is bytes or text as it is, or a value that is sent as JSON."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: Any = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers
        self.media_type = media_type


class Streaming:
    """An answer sent in pieces (a download): `chunks` is an iterable, async or not, of text or bytes."""

    __slots__ = ("chunks", "headers", "media_type", "status")

    def __init__(
        self,
        chunks: Chunks,
        media_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        self.chunks = chunks
        self.media_type = media_type
        self.headers = headers
        self.status = status


class Wire(NamedTuple):
    """An answer as it is sent: status, headers without content-length, and the body, whole or in pieces."""

    status: int
    headers: Headers
    body: bytes | Chunks


def wire(result: Any, status: int) -> Wire:
    """Turns what an endpoint returned into bytes; `status` is the declared one, for a plain value."""
    if type(result) is Created:
        return Wire(201 if result.created else 200, [JSON_TYPE], encode(result.value))
    if type(result) is Reply:
        return _reply(result)
    if type(result) is Streaming:
        return Wire(result.status, _headers(result.media_type, result.headers), result.chunks)
    if status == 204:
        return Wire(204, [], b"")
    return Wire(status, [JSON_TYPE], encode(result))


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Wire:
    return Wire(status, _headers("application/json", headers), encode(value))


def _reply(reply: Reply) -> Wire:
    body = reply.body
    if isinstance(body, str) and not reply.media_type.startswith("application/json"):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = encode(body)
    # No text at all is still text; only an answer without a body has no type.
    media_type = reply.media_type if body or isinstance(reply.body, str) else ""
    return Wire(reply.status, _headers(media_type, reply.headers), body)


def _headers(media_type: str, headers: Mapping[str, str] | None) -> Headers:
    sent = [(b"content-type", media_type.encode("latin-1"))] if media_type else []
    for name, value in (headers or {}).items():
        sent.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return sent
