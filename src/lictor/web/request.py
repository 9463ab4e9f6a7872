"""What an endpoint may ask about its request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from lictor.kit.errors import HTTPError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_CLIENT = re.compile(r"prefect/(\d+)\.(\d+)\.(\d+)")


class Request:
    """One HTTP request (or websocket upgrade): headers, query, body bytes and who is asking."""

    __slots__ = ("_query", "body", "full_path", "method", "path", "query_string", "raw_headers", "scheme", "server")

    def __init__(
        self,
        method: str,
        full_path: str,
        path: str,
        headers: dict[bytes, bytes],
        query_string: bytes,
        scheme: str,
        server: tuple[str, int | None] | None,
    ) -> None:
        self.method = method
        self.full_path = full_path
        self.path = path  # below the API's base path
        self.raw_headers = headers
        self.query_string = query_string
        self.scheme = scheme
        self.server = server
        self.body = b""
        self._query: dict[str, str] | None = None

    @staticmethod
    def of(scope: Scope, full_path: str, path: str) -> Request:
        method, query, scheme = scope.get("method", "GET"), scope["query_string"], scope.get("scheme", "http")
        return Request(method, full_path, path, dict(scope["headers"]), query, scheme, scope.get("server"))

    def header(self, name: str) -> str | None:
        """The header's value; `name` in lower case."""
        value = self.raw_headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        if self._query is None:
            self._query = dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))
        return self._query

    @property
    def client_version(self) -> tuple[int, int, int] | None:
        """The SDK's version from `User-Agent: prefect/3.4.1 (API 0.8.4)`, or None for other clients."""
        found = _CLIENT.match(self.header("user-agent") or "")
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    @property
    def api_version(self) -> str | None:
        return self.header("x-prefect-api-version")

    @property
    def base_url(self) -> str:
        """Scheme, host and prefix as the client sees them, without a trailing slash; proxies' X-Forwarded-* are
        believed."""
        scheme = self.header("x-forwarded-proto") or self.scheme
        host = self.header("x-forwarded-host") or self.header("host")
        if host is None:
            name, port = self.server or ("localhost", None)
            host = f"{name}:{port}" if port else name
        return f"{scheme.split(',')[0].strip()}://{host.split(',')[0].strip()}{self.prefix}"

    @property
    def prefix(self) -> str:
        """What a proxy has taken off the front of the path, as its X-Forwarded-Prefix tells: `/prefect`, or nothing.
        It goes into pages and URLs, so only plain path segments are believed."""
        given = (self.header("x-forwarded-prefix") or "").split(",")[0].strip().rstrip("/")
        return given if _PREFIX.fullmatch(given) else ""


async def read_body(request: Request, receive: Receive, most: int) -> bytes:
    """The whole body; raises a 413 as soon as it is known to pass `most` bytes."""
    declared = request.raw_headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > most:
        raise too_large(most)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(body, receive, most)
    if len(body) > most:
        raise too_large(most)
    return body


async def _rest(first: bytes, receive: Receive, most: int) -> bytes:
    parts, size = [first], len(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > most:
            raise too_large(most)
        if not message.get("more_body"):
            return b"".join(parts)


def too_large(most: int) -> HTTPError:
    return HTTPError(413, f"Request body is larger than {most} bytes.")


class Disconnected(Exception):
    """The client went away."""
