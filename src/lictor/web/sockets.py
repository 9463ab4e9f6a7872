"""Websockets: the handshake that every prefect client makes, and frames of JSON text.

A client that offers the subprotocol `prefect` is accepted with it and sends `{"type": "auth", "token": …}` first; the
answer is `{"type": "auth_success"}`. One that offers none is of an older kind: it is let in as it is, but where
authorization is configured only with an `Authorization` header. The upgrade itself is never refused: clients tell their
users the reason of a close, but not that of a 403.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lictor.kit.decoding import decode
from lictor.web.auth import authorized, same_secret
from lictor.web.codec import encode
from lictor.web.confirming import EXTENSION, Receipts
from lictor.web.request import Disconnected, Receive, Request, Scope, Send

SUBPROTOCOL = "prefect"
MOST_REASON_BYTES = 123

NORMAL = 1000
PROTOCOL_ERROR = 1002
POLICY_VIOLATION = 1008
TOO_BIG = 1009
FAILURE = 1011

# What reading a frame as JSON may raise: RecursionError for what is nested a thousand levels deep.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Auth(msgspec.Struct):
    """The first frame of a conversation."""

    type: str
    token: Any = None


class Closed(Disconnected):
    """The conversation is over: the client left, or the server closed it. `code` is the websocket close code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"websocket closed with {code}")
        self.code = code


class Socket:
    """One websocket conversation, after its handshake."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, request: Request, *, most: int, auth_seconds: float
    ) -> None:
        self.scope = scope
        self.request = request
        self._receive = receive
        self._send = send
        self._most = most
        self._auth_seconds = auth_seconds
        self.closed = False
        # Why the client was turned away.
        self.refusal: str | None = None
        self._taken = 0
        # Only the protocol in `confirming` has them; without, pings are answered as they come.
        self._receipts: Receipts | None = scope.get("extensions", {}).get(EXTENSION)

    async def open(self, auth_string: str | None) -> bool:
        """Makes the handshake; False when the client was turned away."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return False
        if SUBPROTOCOL not in self.scope.get("subprotocols", ()):
            return await self._open_bare(auth_string)
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        try:
            refusal = await self._authenticate(auth_string)
        except Closed:
            return False
        if refusal is not None:
            return await self._refuse(refusal)
        await self.send({"type": "auth_success"})
        return True

    async def _refuse(self, reason: str) -> bool:
        self.refusal = reason
        await self.close(POLICY_VIOLATION, reason)
        return False

    async def _open_bare(self, auth_string: str | None) -> bool:
        await self._send({"type": "websocket.accept"})
        if auth_string is None or authorized(self.request, auth_string):
            return True
        return await self._refuse("'prefect' subprotocol required when auth is configured")

    async def _authenticate(self, auth_string: str | None) -> str | None:
        """The reason to refuse the client, or None."""
        try:
            async with asyncio.timeout(self._auth_seconds):
                first = decode(await self.receive(), Auth)
        except (*UNREADABLE, TimeoutError):
            return "Expected 'auth' message"
        if first.type != "auth":
            return "Expected 'auth' message"
        if auth_string is None:
            return None
        if not first.token:
            in_header = authorized(self.request, auth_string)
            return None if in_header else "Auth required but no token provided"
        same = isinstance(first.token, str) and same_secret(first.token.encode(), auth_string)
        return None if same else "Invalid token"

    async def receive(self) -> bytes:
        """The next frame's bytes; raises Closed when there is none any more."""
        if self.closed:
            raise Closed(NORMAL)
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self.closed = True
            raise Closed(message.get("code") or NORMAL)
        self._taken += 1
        text = message.get("text")
        frame: bytes = text.encode() if text is not None else message.get("bytes") or b""
        if len(frame) > self._most:
            await self.close(TOO_BIG, "Message too big")
            raise Closed(TOO_BIG)
        return frame

    async def send(self, value: Any) -> None:
        """Sends `value` as one text frame of JSON; raises Closed when the client is gone."""
        if self.closed:
            raise Closed(NORMAL)
        try:
            await self._send({"type": "websocket.send", "text": encode(value).decode()})
        except OSError:
            self.closed = True
            raise Closed(1006) from None

    def hold_receipts(self) -> None:
        """From now on a pong tells the client that the frames before its ping are done with (see `confirm`)."""
        if self._receipts is not None:
            self._receipts.hold(self._taken)

    def confirm(self, frames: int) -> None:
        """So many more of the frames that were received are done with."""
        if self._receipts is not None:
            self._receipts.confirm(frames)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Ends the conversation; a reason that no frame can hold is cut."""
        if self.closed:
            return
        self.closed = True
        short = reason.encode()[:MOST_REASON_BYTES].decode(errors="ignore")
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": short})
        except OSError:
            return
