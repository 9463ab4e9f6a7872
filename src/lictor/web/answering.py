"""An HTTP protocol for uvicorn that takes a whole answer at once.

Over ASGI an answer goes out in two messages, each checked and joined by itself; that is a fifth of what the event loop
does for a small request. Where the whole answer is known, the application hands it over in one call instead. Everything
else (streams, HEAD, pipelined requests, a client that does not read) takes ASGI's way.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

EXTENSION = "lictor.answer"

Headers = list[tuple[bytes, bytes]]


class AnsweringProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools; `scope["extensions"]["lictor.answer"]` is its `answer`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self.answer}  # type: ignore[dict-item]

    def answer(self, scope: Any, status: int, headers: Headers, body: bytes) -> bool:
        """Send a complete answer to the request of this scope; False, and nothing is done, if that is not possible."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not scope or cycle.response_started or cycle.disconnected:
            return False
        if self.flow.write_paused or scope["method"] == "HEAD":
            return False
        content = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            if b"\n" in value or b"\r" in value:
                return False
            content += (name, b": ", value, b"\r\n")
        content.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        content.append(body)
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(content))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True
