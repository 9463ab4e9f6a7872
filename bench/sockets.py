"""The event socket as the SDK uses it: subprotocol, auth message, and ping/pong as the acknowledgement."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

CHECKPOINT = 700  # events between two acknowledgements, the SDK's default


class EventSocket:
    """`WS /events/in`. `confirmed` are the events that a pong has acknowledged, `unconfirmed` the others, in order."""

    def __init__(self, host: str, port: int, *, timeout: float = 60.0) -> None:
        self.url = f"ws://{host}:{port}/api/events/in"
        self.timeout = timeout
        self.confirmed: list[dict[str, Any]] = []
        self.unconfirmed: list[dict[str, Any]] = []
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect and authenticate; ConnectionError when the server is not there or refuses."""
        try:
            # The SDK pings before it authenticates, to be sure that it is connected.
            async with asyncio.timeout(self.timeout):
                self._socket = await connect(
                    self.url, subprotocols=[Subprotocol("prefect")], ping_interval=None, proxy=None
                )
                await (await self._socket.ping())
                await self._socket.send(json.dumps({"type": "auth", "token": None}))
                answer = json.loads(await self._socket.recv())
        except (OSError, WebSocketException, TimeoutError) as broken:
            raise ConnectionError(f"events/in: {broken!r}") from broken
        if answer.get("type") != "auth_success":
            raise ConnectionError(f"events/in: {answer}")

    async def send(self, events: Iterable[dict[str, Any]]) -> None:
        """Send events and wait for an acknowledgement after every CHECKPOINT of them."""
        for event in events:
            self.unconfirmed.append(event)
            await self._send(json.dumps(event))
            if len(self.unconfirmed) >= CHECKPOINT:
                await self.confirm()

    async def confirm(self) -> None:
        """Wait for the pong that acknowledges everything sent so far."""
        if not self.unconfirmed:
            return
        try:
            async with asyncio.timeout(self.timeout):
                await (await self.socket.ping())
        except (OSError, WebSocketException, TimeoutError) as broken:
            raise ConnectionError(f"events/in: no pong: {broken!r}") from broken
        self.confirmed += self.unconfirmed
        self.unconfirmed = []

    async def reopen(self) -> None:
        """Connect again and send once more what no pong has acknowledged, as the SDK does."""
        await self.close()
        again, self.unconfirmed = self.unconfirmed, []
        try:
            await self.open()
            while again:
                await self.send([again[0]])
                again.pop(0)
        finally:
            known = {event["id"] for event in self.unconfirmed}
            self.unconfirmed += [event for event in again if event["id"] not in known]

    def tear(self, partial: bytes = b"") -> None:
        """Write raw bytes, such as half a frame, and drop the connection without a closing handshake."""
        self.socket.transport.write(partial)
        self.socket.transport.abort()

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    @property
    def socket(self) -> ClientConnection:
        if self._socket is None:
            raise ConnectionError("events/in: not connected")
        return self._socket

    async def _send(self, text: str) -> None:
        try:
            await self.socket.send(text)
        except (OSError, WebSocketException) as broken:
            raise ConnectionError(f"events/in: {broken!r}") from broken
