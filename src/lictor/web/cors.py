"""Cross-origin requests, answered as Starlette's middleware does; never with credentials."""

from __future__ import annotations

from collections.abc import Sequence

from lictor.web.replies import Headers, Wire
from lictor.web.request import Request

ALL_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
SIMPLE_HEADERS = ("Accept", "Accept-Language", "Content-Language", "Content-Type")
MAX_AGE = b"600"

VARY = (b"vary", b"Origin")
_PREFLIGHT_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors:
    def __init__(self, origins: Sequence[str], methods: Sequence[str], headers: Sequence[str]) -> None:
        self.origins = frozenset(origin.encode() for origin in origins)
        self.any_origin = "*" in origins
        self.methods = ALL_METHODS if "*" in methods else tuple(methods)
        self.any_header = "*" in headers
        self.headers = sorted({*SIMPLE_HEADERS, *headers} - {"*"})
        self._lower = {name.lower() for name in self.headers}

    def allowed(self, origin: bytes) -> bytes | None:
        """The value of Access-Control-Allow-Origin for `origin`, or None."""
        if self.any_origin:
            return b"*"
        return origin if origin in self.origins else None

    def answer(self, origin: bytes) -> Headers:
        """The headers that every answer to a request from `origin` bears."""
        allowed = self.allowed(origin)
        headers = [] if allowed is None else [(b"access-control-allow-origin", allowed)]
        return headers if self.any_origin else [*headers, VARY]

    def preflight(self, request: Request) -> Wire | None:
        """The answer to a preflight, or None when the request is none."""
        origin = request.raw_headers.get(b"origin")
        method = request.raw_headers.get(b"access-control-request-method")
        if request.method != "OPTIONS" or origin is None or method is None:
            return None
        asked = request.raw_headers.get(b"access-control-request-headers", b"").decode("latin-1")
        faults = self._faults(origin, method.decode("latin-1"), asked)
        headers: Headers = [
            (b"vary", _PREFLIGHT_VARY),
            (b"access-control-allow-methods", ", ".join(self.methods).encode()),
            (b"access-control-max-age", MAX_AGE),
            (b"content-type", b"text/plain; charset=utf-8"),
        ]
        if allowed := self.allowed(origin):
            headers.append((b"access-control-allow-origin", allowed))
        sent = asked if self.any_header else ", ".join(self.headers)
        if sent:
            headers.append((b"access-control-allow-headers", sent.encode("latin-1")))
        if faults:
            return Wire(400, headers, f"Disallowed CORS {', '.join(faults)}".encode())
        return Wire(200, headers, b"OK")

    def _faults(self, origin: bytes, method: str, asked: str) -> list[str]:
        names = [name.strip().lower() for name in asked.split(",") if name.strip()]
        checks = {
            "origin": self.allowed(origin) is not None,
            "method": method in self.methods,
            "headers": self.any_header or all(name in self._lower for name in names),
        }
        return [name for name, good in checks.items() if not good]
