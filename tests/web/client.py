"""Drives an ASGI application in process: no sockets, no server, no framework."""

from __future__ import annotations

import asyncio
import json as stdlib_json
from collections import deque
from typing import Any
from urllib.parse import quote, urlencode

UNSET: Any = object()


class Answer:
    """What came back; `headers` has lower-case names, of a repeated one the last."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in headers}
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return stdlib_json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:300]!r}>"


class TestClient:
    """`client.post("/flows/", json={...}).status`: blocking calls on a loop of its own.

    Paths are below the API's base path; `root=True` takes the path as it is. As a context manager it runs the
    application's lifespan. `await client.send(...)` is the same from within a running loop.
    """

    __test__ = False

    def __init__(self, app: Any, headers: dict[str, str] | None = None, base: str | None = None) -> None:
        self.app = app
        self.base = getattr(app, "base", "") if base is None else base
        self.headers = headers or {}
        self.runner = asyncio.Runner()

    def __enter__(self) -> TestClient:
        self.runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self._stop())
        self.runner.close()

    def __del__(self) -> None:
        self.runner.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Answer:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)

    def request(self, method: str, path: str, **options: Any) -> Answer:
        return self.runner.run(self.send(method, path, **options))

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = UNSET,
        content: bytes | list[bytes] = b"",
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        root: bool = False,
    ) -> Answer:
        given = {"host": "test", **self.headers, **(headers or {})}
        if json is not UNSET:
            content = stdlib_json.dumps(json).encode()
            given.setdefault("content-type", "application/json")
        scope = self.scope("http", path, params, given, root)
        scope["method"] = method
        parts = deque(content if isinstance(content, list) else [content])
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": parts.popleft(), "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], sent[0].get("headers", []), body)

    def scope(
        self, type: str, path: str, params: dict[str, Any] | None, headers: dict[str, str], root: bool
    ) -> dict[str, Any]:
        path, _, query = path.partition("?")
        full = path if root else self.base + path
        return {
            "type": type,
            "path": full,
            "raw_path": quote(full).encode(),
            "query_string": (urlencode(params) if params else query).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "scheme": "http",
            "server": ("test", 80),
        }

    def websocket(
        self, path: str, *, subprotocols: tuple[str, ...] = ("prefect",), headers: dict[str, str] | None = None
    ) -> WebSocketTest:
        """An opened conversation, before its handshake; use it in `with`."""
        scope = self.scope("websocket", path, None, {"host": "test", **(headers or {})}, False)
        scope["subprotocols"] = list(subprotocols)
        return WebSocketTest(self, scope)

    async def _start(self) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.life = asyncio.ensure_future(self.app({"type": "lifespan"}, self.told.get, self.heard.put))
        await self.told.put({"type": "lifespan.startup"})
        assert (await self.heard.get())["type"] == "lifespan.startup.complete"

    async def _stop(self) -> None:
        await self.told.put({"type": "lifespan.shutdown"})
        assert (await self.heard.get())["type"] == "lifespan.shutdown.complete"
        await self.life


class WebSocketTest:
    """One conversation: `send`, `receive` (a message of ASGI), `receive_json`, `close`; blocking."""

    def __init__(self, client: TestClient, scope: dict[str, Any]) -> None:
        self.run = client.runner.run
        self.app = client.app
        self.scope = scope
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __enter__(self) -> WebSocketTest:
        self.run(self._open())
        return self

    async def _open(self) -> None:
        self.task = asyncio.ensure_future(self.app(self.scope, self.told.get, self.heard.put))
        await self.told.put({"type": "websocket.connect"})

    def __exit__(self, *_: object) -> None:
        self.close()

    def handshake(self, token: str | None = None) -> None:
        assert self.receive()["type"] == "websocket.accept"
        self.send({"type": "auth", "token": token})
        assert self.receive_json() == {"type": "auth_success"}

    def send(self, value: Any) -> None:
        text = value if isinstance(value, str) else stdlib_json.dumps(value)
        self.run(self.told.put({"type": "websocket.receive", "text": text}))

    def receive(self, seconds: float = 5) -> dict[str, Any]:
        return self.run(asyncio.wait_for(self.heard.get(), seconds))

    def receive_json(self, seconds: float = 5) -> Any:
        message = self.receive(seconds)
        assert message["type"] == "websocket.send", message
        return stdlib_json.loads(message["text"])

    def close(self, code: int = 1000) -> None:
        async def finish() -> None:
            await self.told.put({"type": "websocket.disconnect", "code": code})
            await asyncio.wait_for(self.task, 5)

        self.run(finish())
