"""An HTTP protocol for uvicorn that serves small requests without ASGI.

Over ASGI a request is a scope, a task, an event and four messages; that is two thirds of what the event loop does for a
small one. A request that is here as a whole, and nothing special, is handed to the application as it is (`App.take`)
instead, and its answer goes out in one write. To uvicorn's protocol such an `Exchange` looks like a cycle of its own.
Everything else takes ASGI's way: large or chunked bodies, HEAD and OPTIONS, `Expect`, upgrades, HTTP/1.0, what came
while the request before it was not answered, what is outside of the API, and answers that are streams.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from lictor.web.asgi import App, stream
from lictor.web.replies import Headers, Wire
from lictor.web.request import Request

METHODS = {method.encode(): method for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}

# Up to here a body is taken in without the flow control of ASGI's way.
MOST_BYTES = 1_000_000
# The request line and the headers of one request.
MOST_HEAD_BYTES = 64 * 1024


class Exchange:
    """A request that is served whole, and the answer to it."""

    __slots__ = ("disconnected", "keep_alive", "protocol", "request", "response_complete")

    # What uvicorn tells those who wait for more of a request.
    message_event = asyncio.Event()

    def __init__(self, protocol: AnsweringProtocol, request: Request, keep_alive: bool) -> None:
        self.protocol = protocol
        self.request = request
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def finish(self, answer: Wire) -> None:
        """Send the answer, unless the client is gone."""
        if self.disconnected:
            return
        if isinstance(answer.body, bytes):
            self.response_complete = True
            self.protocol.send_whole(answer.status, answer.headers, answer.body, self.keep_alive)
        else:
            self.protocol.send_stream(self, answer)


class AnsweringProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, for an `App`."""

    app: App

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most = min(MOST_BYTES, self.app.settings.max_body_bytes)
        self._exchange: Exchange | None = None  # whose body is coming in
        self._head = 0  # bytes of the head that is coming in
        self._idle_since: float | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._refuse(400, b"Invalid HTTP request received.")
        if self._head:
            self._head += len(data)
            if self._head > MOST_HEAD_BYTES:
                self._refuse(431, b"Request header fields are too large.")

    def on_message_begin(self) -> None:
        # The scope is made where one is needed.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head = 1

    def on_headers_complete(self) -> None:
        self._head = 0
        request = self._whole_request()
        if request is not None:
            self._exchange = Exchange(self, request, self.parser.should_keep_alive())
            self.cycle = self._exchange  # type: ignore[assignment]
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._exchange is None:
            super().on_body(body)
        else:
            self._exchange.request.body += body

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().on_message_complete()
            return
        task = self.app.take(exchange.request, exchange.finish)
        if task is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _whole_request(self) -> Request | None:
        """The request whose head is complete, if it is one to be served whole."""
        parser, url, before = self.parser, self.url, self.cycle
        method = METHODS.get(parser.get_method())
        if method is None or self.expect_100_continue or self.root_path:
            return None
        if parser.should_upgrade() or parser.get_http_version() != "1.1":
            return None
        if self.flow.write_paused or (before is not None and not before.response_complete):
            return None
        headers = dict(self.headers)
        if b"transfer-encoding" in headers or int(headers.get(b"content-length") or 0) > self._most:
            return None
        if url[:1] != b"/" or b"#" in url:
            return None
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        if b"%" in raw_path:
            path = unquote(path)
        inside = self.app.takes(method, path)
        if inside is None:
            return None
        return Request(method, path, inside, headers, query, self.scheme or "http", self.server)

    def send_whole(self, status: int, headers: Headers, body: bytes, keep_alive: bool) -> None:
        content = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            if b"\n" in value or b"\r" in value:
                # As uvicorn has it; a client may have put it into what a header repeats.
                self._refuse(500, b"Internal Server Error")
                return
            content += (name, b": ", value, b"\r\n")
        content.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        content.append(body)
        self.transport.write(b"".join(content))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def send_stream(self, exchange: Exchange, answer: Wire) -> None:
        """Hand an exchange over to ASGI, which knows how to send piece by piece."""
        cycle = RequestResponseCycle(
            scope={"type": "http", "method": exchange.request.method},  # type: ignore[typeddict-item]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=exchange.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        if self.cycle is exchange:  # type: ignore[comparison-overlap]
            self.cycle = cycle
        self._start_asgi_task(cycle, lambda scope, receive, send: stream(answer, send))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """After every answer: go on with what was sent meanwhile, or wait for more, but not for ever."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        # To set a timer anew after each answer costs more than to look, when it rings, how long it has been quiet.
        self.timeout_keep_alive_task = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wait(left)
        else:
            self.transport.close()

    def _refuse(self, status: int, message: bytes) -> None:
        if self.transport.is_closing():
            return
        self._head = 0
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(message))]
        self.send_whole(status, headers, message, False)
