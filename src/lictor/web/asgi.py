"""The application: an ASGI callable made of routers, services and a few settings.

Everything under the base path is the API. What else is asked for goes to `fallback`, another ASGI application.
"""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from lictor.kit.errors import HTTPError, NotFound, Unavailable
from lictor.web import auth, errors, openapi, replies
from lictor.web.codec import encode
from lictor.web.cors import Cors
from lictor.web.endpoint import Endpoint
from lictor.web.notices import Notices
from lictor.web.replies import Wire, wire
from lictor.web.request import Disconnected, Receive, Request, Scope, Send, read_body
from lictor.web.routing import WEBSOCKET, Router, Tree, table
from lictor.web.sockets import FAILURE, Socket

log = logging.getLogger("lictor.web")

ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]
Hook = Callable[[], Awaitable[None]]

# zlib's window bits (16 more means the gzip format) and memory level. Most of the cost of a small body is in setting up
# the tables, so it gets small ones.
_SMALL = (16 + 12, 5)
_LARGE = (16 + 15, 8)
_LARGE_FROM = 16 * 1024

_SLASHES = re.compile("//+")


class WebSettings(Struct, frozen=True, kw_only=True):
    """What the HTTP layer needs to know; sizes are bytes."""

    api_base_path: str = "/api"
    auth_string: str | None = None
    default_limit: int = 200
    max_body_bytes: int = 64 * 1024 * 1024
    cors_origins: tuple[str, ...] = ("*",)
    cors_methods: tuple[str, ...] = ("*",)
    cors_headers: tuple[str, ...] = ("*",)
    # The reference compresses from 500 bytes on. A few packets gain nothing by it, and for a single run it would cost
    # as much CPU as all the rest of the HTTP layer.
    gzip_min_bytes: int = 4096
    # Higher levels cost several times the CPU for a few percent on JSON of this size.
    gzip_level: int = 1
    socket_auth_seconds: float = 10.0
    socket_max_bytes: int = 16 * 1024 * 1024
    title: str = "Prefect REST API"
    version: str = "3.9.1"


class App:
    """`in_flight` counts requests and conversations that have begun and not ended."""

    def __init__(
        self,
        routers: Iterable[Router],
        services: Mapping[type, Any] | None = None,
        settings: WebSettings | None = None,
        *,
        csrf: auth.CsrfCheck | None = None,
        fallback: ASGI | None = None,
        on_start: Sequence[Hook] = (),
        on_stop: Sequence[Hook] = (),
    ) -> None:
        self.settings = settings or WebSettings()
        self.base = "/" + self.settings.api_base_path.strip("/") if self.settings.api_base_path.strip("/") else ""
        self._below = self.base + "/"
        self.csrf = csrf
        self.fallback = fallback
        self.on_start = on_start
        self.on_stop = on_stop
        self.in_flight = 0
        self.notices = Notices(log)
        self.cors = Cors(self.settings.cors_origins, self.settings.cors_methods, self.settings.cors_headers)
        self.routes = table(routers)
        services = {} if services is None else services
        most = self.settings.default_limit
        self.endpoints = {route.key: Endpoint(route, services, most) for route in self.routes}
        self.tree: Tree[Endpoint] = Tree()
        for route in self.routes:
            self.tree.add(route.method, route.path, self.endpoints[route.key])
        self._document: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        self.in_flight += 1
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send)
            else:
                await self._websocket(scope, receive, send)
        except Disconnected:
            return
        finally:
            self.in_flight -= 1

    def takes(self, method: str, path: str) -> str | None:
        """The path below the API's base path if `take` can answer it, else None: then it is a matter for ASGI."""
        if self.csrf is not None and method in auth.MUTATING:
            return None
        return self.inside(path)

    def take(self, request: Request, finish: Callable[[Wire], None]) -> asyncio.Task[Any] | None:
        """Answer a request to the API, body and all, by one call of `finish`; returns the task that does it, if any."""
        self.in_flight += 1
        try:
            answer, status = self._begin(request)
        except Exception as error:
            self._finish(request, finish, errors.answer(error, request))
            return None
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(partial(self._settle, request, finish, status))
            return None
        if hasattr(answer, "__await__"):
            task: asyncio.Task[Any] = asyncio.ensure_future(answer)
            task.add_done_callback(partial(self._settle, request, finish, status))
            return task
        self._finish(request, finish, answer if type(answer) is Wire else wire(answer, status))
        return None

    def _begin(self, request: Request) -> tuple[Any, int]:
        found = self._look_up(request)
        if isinstance(found, Wire):
            return found, found.status
        endpoint, values = found
        if request.method == "GET":
            request.body = b""
        return endpoint.begin(request, values), endpoint.status

    def _settle(
        self, request: Request, finish: Callable[[Wire], None], status: int, future: asyncio.Future[Any]
    ) -> None:
        try:
            answer = wire(future.result(), status)
        except asyncio.CancelledError:
            answer = errors.answer(Unavailable("the server stops"), request)
        except Exception as error:
            answer = errors.answer(error, request)
        self._finish(request, finish, answer)

    def _finish(self, request: Request, finish: Callable[[Wire], None], answer: Wire) -> None:
        self.in_flight -= 1
        finish(self._dressed(request, answer))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        inside = self.inside(path)
        request = Request.of(scope, path, path if inside is None else inside)
        foreign = inside is None and self.fallback is not None and path not in PAGES
        try:
            answer = await self._gate(request)
            if answer is None and not foreign:
                answer = self._page(request) if inside is None else await self._answer(request, receive)
        except Disconnected:
            raise
        except Exception as error:
            answer = errors.answer(error, request)
        if answer is not None:
            await _send(self._dressed(request, answer), send)
        elif self.fallback is not None:
            await self.fallback(scope, receive, send)

    def inside(self, path: str) -> str | None:
        """The path below the API's base path, or None when it is not below it. Doubled slashes count as one: a URL
        that was put together of parts, each with its own, is meant so."""
        if "//" in path:
            path = _SLASHES.sub("/", path)
        return path[len(self.base) :] if path.startswith(self._below) else None

    async def _gate(self, request: Request) -> Wire | None:
        """What is answered before any endpoint is looked for."""
        method = request.method
        if method == "OPTIONS" and (answer := self.cors.preflight(request)):
            return answer
        if self.csrf is not None and method in auth.MUTATING:
            return await auth.csrf_refusal(request, self.csrf)
        return None

    async def _answer(self, request: Request, receive: Receive) -> Wire:
        found = self._look_up(request)
        if isinstance(found, Wire):
            return found
        endpoint, values = found
        if request.method != "GET":
            request.body = await read_body(request, receive, self.settings.max_body_bytes)
        return await endpoint.answer(request, values)

    def _look_up(self, request: Request) -> Wire | tuple[Endpoint, list[str]]:
        """The endpoint and its path's values, or the answer where there is none to ask."""
        path = request.path
        secret = self.settings.auth_string
        if secret is not None and path not in auth.UNGUARDED and not auth.authorized(request, secret):
            return auth.unauthorized(request, self.notices)
        endpoint, values, methods = self.tree.find(path, request.method)
        if endpoint is None:
            return self._unmatched(request, methods)
        version = request.raw_headers.get(b"x-prefect-api-version")
        if version and version != auth.SPOKEN and path not in auth.UNVERSIONED:
            auth.check_version(version)
        return endpoint, values

    def _unmatched(self, request: Request, methods: set[str]) -> Wire:
        if WEBSOCKET in methods:
            methods.discard(WEBSOCKET)
            self._say_that_upgrades_are_lost(request)
        if methods:
            allow = {"Allow": ", ".join(sorted(methods))}
            raise HTTPError(405, "Method Not Allowed", headers=allow)
        if request.path in PAGES:
            return self._page(request)
        path = request.path
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        found, _, methods = self.tree.find(other, request.method)
        if path != "/" and (found is not None or methods - {WEBSOCKET}):
            return _redirect(request, self.base + other)
        raise NotFound("Not Found")

    def _say_that_upgrades_are_lost(self, request: Request) -> None:
        self.notices.warn(
            "upgrade",
            f"{request.method} {self.base}{request.path} came without `Upgrade: websocket`: what lies between "
            "the client and this server does not pass websockets on. Events, and with them the states of tasks, cannot "
            "arrive; docs/proxies.md tells how proxies are set up",
        )

    def _page(self, request: Request) -> Wire:
        page = PAGES.get(request.path)
        if page is None:
            raise NotFound("Not Found")
        if request.method != "GET":
            raise HTTPError(405, "Method Not Allowed", headers={"Allow": "GET"})
        return page(self)

    def check(self) -> None:
        """Read every endpoint's signature, which else happens at its first use; TypeError for one that asks for what
        nothing can give."""
        for endpoint in self.endpoints.values():
            _ = endpoint.bound

    def document(self) -> bytes:
        """The OpenAPI document as JSON, built at the first call."""
        if self._document is None:
            settings, endpoints = self.settings, list(self.endpoints.values())
            described = openapi.document(endpoints, settings.title, settings.version, settings.default_limit)
            self._document = encode(described)
        return self._document

    def _dressed(self, request: Request, answer: Wire) -> Wire:
        """The answer with the headers that any answer has, compressed where that is worth it."""
        status, headers, body = answer
        origin = request.raw_headers.get(b"origin")
        if origin is not None and all(name != b"access-control-allow-origin" for name, _ in headers):
            headers = [*headers, *self.cors.answer(origin)]
        if not isinstance(body, bytes):
            return Wire(status, headers, body)
        if len(body) >= self.settings.gzip_min_bytes and b"gzip" in request.raw_headers.get(b"accept-encoding", b""):
            body = compress(body, self.settings.gzip_level)
            headers = [*headers, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        if status != 204:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        return Wire(status, headers, body)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self.inside(_path(scope))
        request = Request.of(scope, _path(scope), path or "")
        socket = Socket(
            scope,
            receive,
            send,
            request,
            most=self.settings.socket_max_bytes,
            auth_seconds=self.settings.socket_auth_seconds,
        )
        endpoint, values, _ = self.tree.find(path or "", WEBSOCKET)
        if endpoint is None:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        if not await socket.open(self.settings.auth_string):
            if socket.refusal is not None:
                self.notices.warn(f"websocket {socket.refusal}", f"websockets are closed: {socket.refusal}")
            return
        try:
            await _converse(endpoint, request, values, socket)
        except Disconnected:
            return
        except Exception as error:
            log.error("websocket %s failed", path, exc_info=error)
            await socket.close(FAILURE, "Internal Server Error")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            for hook in self.on_start:
                await hook()
        except Exception as error:
            log.error("start failed", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            for hook in self.on_stop:
                await hook()
        except Exception as error:
            log.error("stop failed", exc_info=error)
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


async def _converse(endpoint: Endpoint, request: Request, values: list[str], socket: Socket) -> None:
    await endpoint.call(**endpoint.arguments(request, values, socket))
    await socket.close()


async def _send(answer: Wire, send: Send) -> None:
    status, headers, body = answer
    if not isinstance(body, bytes):
        await stream(answer, send)
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(answer: Wire, send: Send) -> None:
    """Send an answer whose body is a stream."""
    status, headers, chunks = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            await send(_chunk(chunk))
    elif not isinstance(chunks, bytes):
        for chunk in chunks:
            await send(_chunk(chunk))
    await send({"type": "http.response.body", "body": b""})


def _chunk(chunk: str | bytes) -> dict[str, Any]:
    body = chunk.encode() if isinstance(chunk, str) else chunk
    return {"type": "http.response.body", "body": body, "more_body": True}


def compress(body: bytes, level: int) -> bytes:
    window, memory = _LARGE if len(body) >= _LARGE_FROM else _SMALL
    press = zlib.compressobj(level, zlib.DEFLATED, window, memory)
    return press.compress(body) + press.flush()


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def _redirect(request: Request, path: str) -> Wire:
    query = request.query_string.decode("latin-1")
    location = request.base_url + path + (f"?{query}" if query else "")
    return Wire(307, [(b"location", location.encode("latin-1", "ignore"))], b"")


PAGES: dict[str, Callable[[App], Wire]] = {
    "/openapi.json": lambda app: Wire(200, [replies.JSON_TYPE], app.document()),
    "/docs": lambda app: openapi.page(app.settings.title, app.base),
}
