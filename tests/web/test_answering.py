"""HTTP as bytes: what is served whole, and what takes ASGI's way, look the same from outside."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from tests.processes import until
from tests.serving import serving

from lictor.kit.errors import NotFound
from lictor.web import Header, Reply, Request, Router, Streaming
from lictor.web.answering import MOST_BYTES, MOST_HEAD_BYTES, AnsweringProtocol
from lictor.web.asgi import App, WebSettings

router = Router(tag="Things")
BIG = "x" * (MOST_BYTES + 10)


class Gate:
    """Endpoints wait here until a test lets them go on."""

    def __init__(self) -> None:
        self.waiting = 0
        self.open = threading.Event()

    async def __call__(self) -> str:
        self.waiting += 1
        await asyncio.to_thread(self.open.wait, 10)
        return "through"


@router.post("/echo")
def echo(body: Any) -> Any:
    return body


@router.post("/later")
def later(body: Any) -> Awaitable[Any]:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, future.set_result, body)
    return future


@router.post("/coroutine")
async def coroutine(body: Any) -> Any:
    async with asyncio.timeout(5):  # needs a task around it
        await asyncio.sleep(0)
    return body


@router.get("/gate")
def gate(gate: Gate) -> Awaitable[str]:
    return gate()


@router.get("/missing")
def missing() -> Awaitable[None]:
    async def fail() -> None:
        raise NotFound("nothing here")

    return fail()


@router.get("/bug")
def bug() -> Awaitable[None]:
    async def fail() -> None:
        raise RuntimeError("secret")

    return fail()


@router.get("/length/{name}")
def length(name: str, request: Request, x_many: Annotated[str, Header()] = "") -> list[Any]:
    return [name, len(x_many), request.query]


@router.get("/file")
def file() -> Streaming:
    async def chunks() -> AsyncIterator[str]:
        for n in range(3):
            yield f"line {n}\n"

    return Streaming(chunks(), "text/plain")


@router.get("/broken")
def broken() -> Reply:
    return Reply("", headers={"X-Name": "a\r\nX-Other: b"})


class Line:
    """A connection; `ask` sends bytes and reads one answer: status line, headers, body."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        if head or status == 100:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, self._chunks()
        return status, headers, self.file.read(int(headers.get("content-length", "0")))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.file.readline(), 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body

    def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.send(data)
        return self.read()

    @property
    def closed(self) -> bool:
        return self.file.read(1) == b""


def post(path: str, body: Any, *headers: str) -> bytes:
    data = json.dumps(body).encode()
    lines = [f"POST /api{path} HTTP/1.1", "Host: test", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: test", *headers]).encode() + b"\r\n\r\n"


@contextmanager
def served(settings: WebSettings | None = None, **options: Any) -> Iterator[tuple[App, str]]:
    app = App([router], {Gate: options.pop("gate", Gate())}, settings, **options)
    with serving(app, AnsweringProtocol) as address:
        yield app, address


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as (_, address):
        yield address


@pytest.mark.parametrize("path", ["/echo", "/later", "/coroutine"])
def test_one_connection_carries_many_requests(address: str, path: str) -> None:
    line = Line(address)
    for n in range(3):
        status, headers, body = line.ask(post(path, [n]))
        assert (status, body) == (200, b"[%d]" % n)
        assert headers["content-type"] == "application/json"
        assert "date" in headers
        assert "connection" not in headers


def test_a_request_may_come_byte_by_byte(address: str) -> None:
    line = Line(address)
    for byte in post("/echo", {"a": 1}):
        line.send(bytes([byte]))
    assert line.read()[::2] == (200, b'{"a":1}')


@pytest.mark.parametrize("path", ["/echo", "/later"])
def test_requests_sent_together_are_answered_in_order(address: str, path: str) -> None:
    line = Line(address)
    line.send(b"".join(post(path, n) for n in range(5)))
    assert [line.read()[2] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("path", ["/echo", "/later"])
def test_large_bodies_arrive(address: str, path: str) -> None:
    line = Line(address)
    assert json.loads(line.ask(post(path, BIG))[2]) == BIG
    assert line.ask(post(path, 1))[2] == b"1"


def test_chunked_bodies_arrive(address: str) -> None:
    line = Line(address)
    for _ in range(2):
        head = b"POST /api/echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert line.ask(head + b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")[::2] == (200, b"[1,2]")


def test_a_client_that_asks_first_is_told_to_go_on(address: str) -> None:
    line = Line(address)
    head, _, body = post("/echo", "go", "Expect: 100-continue").partition(b"\r\n\r\n")
    assert line.ask(head + b"\r\n\r\n")[0] == 100
    assert line.ask(body)[::2] == (200, b'"go"')


def test_a_body_beyond_the_limit_is_refused() -> None:
    with served(WebSettings(max_body_bytes=10)) as (_, address):
        assert Line(address).ask(post("/echo", "x" * 20))[0] == 413
        assert Line(address).ask(post("/echo", "x"))[0] == 200


def test_connection_close_is_obeyed(address: str) -> None:
    line = Line(address)
    assert line.ask(post("/later", 1, "Connection: close"))[1]["connection"] == "close"
    assert line.closed


def test_http_1_0_ends_with_its_answer(address: str) -> None:
    line = Line(address)
    assert line.ask(get("/api/length/a", version="1.0"))[0] == 200
    assert line.closed


def test_head_has_no_body(address: str) -> None:
    line = Line(address)
    line.send(get("/api/length/a", method="HEAD"))
    assert line.read(head=True)[0] == 405
    assert line.ask(post("/echo", 1))[2] == b"1"


def test_preflights_and_origins(address: str) -> None:
    line = Line(address)
    asked = ("Origin: http://a", "Access-Control-Request-Method: POST")
    assert line.ask(get("/api/echo", *asked, method="OPTIONS"))[0] == 200
    assert "access-control-allow-origin" in line.ask(post("/echo", 1, "Origin: http://a"))[1]


def test_paths_are_unquoted_and_queries_are_not_part_of_them(address: str) -> None:
    assert json.loads(Line(address).ask(get("/api/length/a%20b?c=d%20e&f="))[2]) == ["a b", 0, {"c": "d e", "f": ""}]


def test_an_absolute_address_is_a_path_too(address: str) -> None:
    assert json.loads(Line(address).ask(get("http://test/api/length/a"))[2]) == ["a", 0, {}]


def test_streams_and_what_comes_after_them(address: str) -> None:
    line = Line(address)
    line.send(get("/api/file") + post("/echo", 1))
    assert line.read()[::2] == (200, b"line 0\nline 1\nline 2\n")
    assert line.read()[2] == b"1"


def test_errors_of_every_kind(address: str) -> None:
    line = Line(address)
    assert line.ask(get("/api/missing"))[::2] == (404, b'{"detail":"nothing here"}')
    assert line.ask(get("/api/bug"))[::2] == (500, b'{"exception_message":"Internal Server Error"}')
    assert line.ask(get("/api/nowhere"))[0] == 404
    assert line.ask(get("/nowhere"))[0] == 404
    assert line.ask(get("/api/echo"))[0] == 405
    assert line.ask(post("/echo/", 1))[0] == 307
    assert line.ask(post("/echo", 1))[0] == 200


def test_what_is_outside_of_the_api_goes_to_the_fallback() -> None:
    async def fallback(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ui"})

    with served(fallback=fallback) as (_, address):
        line = Line(address)
        assert line.ask(get("/index.html"))[2] == b"ui"
        assert line.ask(post("/echo", 1))[2] == b"1"


def test_csrf_tokens_are_asked_for() -> None:
    async def never(token: str, client: str) -> bool:
        return False

    with served(csrf=never) as (_, address):
        line = Line(address)
        assert line.ask(post("/echo", 1))[0] == 403
        assert line.ask(get("/api/length/a"))[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET\r\n\r\n",
        b"GET /api/length/\xff HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /api/length/a HTTP/1.1\r\nHost : test\r\n\r\n",
        b"POST /api/echo HTTP/1.1\r\nContent-Length: 1x\r\n\r\n1",
        b"POST /api/echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n1",
        # Two ways to say how long a body is, on which a proxy before us may not agree.
        b"POST /api/echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n11",
        b"POST /api/echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
        b"POST /api/echo HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n1\r\n1\r\n0\r\n\r\n",
    ],
)
def test_what_can_be_misread_is_refused(address: str, request_: bytes) -> None:
    line = Line(address)
    status, headers, _ = line.ask(request_)
    assert (status, headers["connection"]) == (400, "close")
    assert line.closed


def test_headers_without_end_are_refused(address: str) -> None:
    line = Line(address)
    line.send(b"GET /api/length/a HTTP/1.1\r\nHost: test\r\n")
    line.send(b"X-Many: " + b"x" * MOST_HEAD_BYTES)
    assert line.read()[0] == 431
    assert line.closed


def test_large_headers_pass(address: str) -> None:
    asked = get("/api/length/a", f"X-Many: {'x' * 20_000}")
    assert json.loads(Line(address).ask(asked)[2]) == ["a", 20_000, {}]


def test_no_header_can_smuggle_in_another(address: str) -> None:
    assert Line(address).ask(get("/api/broken"))[0] == 500
    status, headers, _ = Line(address).ask(get("/api/echo%0d%0aX-Other:%20b/"))
    assert status in {404, 500}
    assert "x-other" not in headers


def test_who_leaves_before_the_answer_harms_nobody() -> None:
    gate = Gate()
    with served(gate=gate) as (app, address):
        leaving, staying = Line(address), Line(address)
        leaving.send(get("/api/gate"))
        until(lambda: gate.waiting == 1)
        leaving.socket.shutdown(socket.SHUT_RDWR)
        leaving.socket.close()
        gate.open.set()
        assert staying.ask(post("/echo", 1))[0] == 200
        until(lambda: app.in_flight == 0)


def test_a_quiet_connection_is_closed_after_a_while() -> None:
    class Impatient(AnsweringProtocol):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.timeout_keep_alive = 0.2

    with serving(App([router], {Gate: Gate()}), Impatient) as address:
        line = Line(address)
        for n in range(3):
            assert line.ask(post("/later", n))[0] == 200
        assert line.closed


def test_a_stop_lets_what_is_in_flight_finish() -> None:
    gate = Gate()
    line: Line | None = None
    with served(gate=gate) as (_, address):
        line = Line(address)
        line.send(get("/api/gate"))
        until(lambda: gate.waiting == 1)
        threading.Timer(0.3, gate.open.set).start()
    status, headers, body = line.read()
    assert (status, headers["connection"], body) == (200, "close", b'"through"')
