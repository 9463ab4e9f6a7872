"""The handshake of websockets and what ends a conversation."""

from __future__ import annotations

from typing import Any

import pytest
from tests.web.client import TestClient

from lictor.web import Router, Socket
from lictor.web.asgi import App, WebSettings

router = Router()


@router.websocket("/echo/{name}")
async def echo(socket: Socket, name: str) -> None:
    while True:
        frame = await socket.receive()
        if frame == b'"bye"':
            await socket.close(4001, "Violation")
            return
        if frame == b'"bug"':
            raise RuntimeError("bug")
        await socket.send({"name": name, "frame": frame.decode()})


def client(**settings: Any) -> TestClient:
    return TestClient(App([router], settings=WebSettings(**settings)))


def test_a_client_is_accepted_and_heard() -> None:
    with client().websocket("/echo/x") as socket:
        socket.handshake()
        socket.send({"a": 1})
        assert socket.receive_json() == {"name": "x", "frame": '{"a": 1}'}


def test_the_subprotocol_is_confirmed() -> None:
    with client().websocket("/echo/x") as socket:
        assert socket.receive() == {"type": "websocket.accept", "subprotocol": "prefect"}


def test_the_right_token_opens() -> None:
    with client(auth_string="a:b").websocket("/echo/x") as socket:
        socket.handshake("a:b")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"type": "auth", "token": None}, "Auth required but no token provided"),
        ({"type": "auth"}, "Auth required but no token provided"),
        ({"type": "auth", "token": "a:c"}, "Invalid token"),
        ({"type": "auth", "token": 5}, "Invalid token"),
        ({"type": "filter"}, "Expected 'auth' message"),
        ("nonsense", "Expected 'auth' message"),
        ("[]", "Expected 'auth' message"),
    ],
)
def test_other_first_messages_close(first: Any, reason: str) -> None:
    with client(auth_string="a:b").websocket("/echo/x") as socket:
        socket.receive()
        socket.send(first)
        assert socket.receive() == {"type": "websocket.close", "code": 1008, "reason": reason}


def test_a_client_that_says_nothing_is_closed() -> None:
    with client(socket_auth_seconds=0.01).websocket("/echo/x") as socket:
        socket.receive()
        assert socket.receive()["code"] == 1008


def test_an_old_client_needs_no_handshake_where_there_is_no_authorization() -> None:
    with client().websocket("/echo/x", subprotocols=()) as socket:
        assert socket.receive() == {"type": "websocket.accept"}
        socket.send("1")
        assert socket.receive_json()["frame"] == "1"


def test_an_old_client_is_told_why_it_is_closed_where_there_is_authorization() -> None:
    with client(auth_string="a:b").websocket("/echo/x", subprotocols=()) as socket:
        assert socket.receive() == {"type": "websocket.accept"}
        reason = "'prefect' subprotocol required when auth is configured"
        assert socket.receive() == {"type": "websocket.close", "code": 1008, "reason": reason}


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer a:b"])
def test_an_old_client_may_authorize_itself_by_a_header(header: str) -> None:
    with client(auth_string="a:b").websocket("/echo/x", subprotocols=(), headers={"authorization": header}) as socket:
        assert socket.receive() == {"type": "websocket.accept"}
        socket.send("1")
        assert socket.receive_json()["frame"] == "1"


def test_a_header_stands_in_for_a_token_that_is_missing_but_not_for_a_wrong_one() -> None:
    headers = {"authorization": "Basic YTpi"}
    with client(auth_string="a:b").websocket("/echo/x", headers=headers) as socket:
        socket.handshake()
    with client(auth_string="a:b").websocket("/echo/x", headers=headers) as socket:
        socket.receive()
        socket.send({"type": "auth", "token": "wrong"})
        assert socket.receive()["reason"] == "Invalid token"


def test_half_a_surrogate_pair_is_no_token() -> None:
    with client(auth_string="a:b").websocket("/echo/x") as socket:
        socket.receive()
        socket.send('{"type": "auth", "token": "\\ud800"}')
        assert socket.receive()["code"] == 1008


def test_refused_clients_are_warned_of_once_and_without_their_token(caplog: pytest.LogCaptureFixture) -> None:
    opened = client(auth_string="a:secret")
    for _ in range(3):
        with opened.websocket("/echo/x") as socket:
            socket.receive()
            socket.send({"type": "auth", "token": "a:guess"})
            socket.receive()
    assert [record.getMessage() for record in caplog.records] == ["websockets are closed: Invalid token"]


@pytest.mark.parametrize(("frame", "code"), [('"bye"', 4001), ('"bug"', 1011), ("x" * 101, 1009)])
def test_what_ends_a_conversation(frame: str, code: int) -> None:
    with client(socket_max_bytes=100).websocket("/echo/x") as socket:
        socket.handshake()
        socket.send(frame)
        assert socket.receive()["code"] == code


def test_a_client_that_leaves_ends_it() -> None:
    opened = client()
    with opened.websocket("/echo/x") as socket:
        socket.handshake()
    assert opened.app.in_flight == 0


def test_unknown_paths_are_refused_before_the_handshake() -> None:
    with client().websocket("/nope") as socket:
        assert socket.receive()["type"] == "websocket.close"
