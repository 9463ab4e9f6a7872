"""A websocket protocol for uvicorn whose pongs can mean "done", not only "received".

Clients that send events take a pong for the receipt of everything that they sent before the ping. uvicorn answers pings
as they are read from the network, when the frames before them may still wait for the application. Here an application
that wants its pongs to be receipts says so (`hold`), and then says how many frames it is done with (`confirm`); a pong
goes out when every frame that came before its ping is done. Sockets that do not ask for it are answered at once.
"""

from __future__ import annotations

from collections import deque

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

EXTENSION = "lictor.receipts"


class Receipts:
    """An application's handle on the pongs of its connection."""

    __slots__ = ("_done", "_held", "_holding", "_received", "_write")

    def __init__(self, protocol: ConfirmingProtocol) -> None:
        self._write = protocol.write_out
        self._held: deque[tuple[int, bytes]] = deque()
        self._holding = False
        self._received = 0
        self._done = 0

    def hold(self, done: int) -> None:
        """From now on a pong waits until the frames before its ping are confirmed; the first `done` are already."""
        self._holding = True
        self._done = done

    def confirm(self, frames: int) -> None:
        """`frames` more frames, in the order in which they were received, are done with."""
        self._done += frames
        while self._held and self._held[0][0] <= self._done:
            self._write(self._held.popleft()[1])

    def received(self) -> None:
        self._received += 1

    def pong(self, frame: bytes) -> None:
        if self._holding and self._done < self._received:
            self._held.append((self._received, frame))
        else:
            self._write(frame)


class ConfirmingProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O websockets, with receipts."""

    receipts: Receipts

    def handle_connect(self, event: Request) -> None:
        self.receipts = Receipts(self)
        self._written: deque[bytes] = deque()
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][EXTENSION] = self.receipts  # type: ignore[assignment]

    def send_receive_event_to_app(self) -> None:
        self.receipts.received()
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        # What was read at once is answered at once: the first of several pings finds the pongs of all, and the reply
        # to a close that came behind them.
        self._written += self.conn.data_to_send()
        self.receipts.pong(self._written.popleft())

    def handle_close(self, event: Frame) -> None:
        self.write_out(b"".join(self._written))
        super().handle_close(event)

    def write_out(self, frame: bytes) -> None:
        if not self.disconnected:
            self.transport.write(frame)
