"""Whatever clients send to the sockets, the server lives, keeps its memory, and answers others meanwhile."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.processes import Server, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATHS = ["/events/in", "/events/out", "/logs/out"]
ANSWER_SECONDS = 10.0
MEGABYTE = 1 << 20
LOGS_GO_OUT = {f"PREFECT_SERVER_LOGS_STREAM_{part}_ENABLED": "true" for part in ("OUT", "PUBLISHING")}
MOST_GROWTH = 200 * MEGABYTE
# So many big events or logs wait for somebody who does not read, and may cost so much.
BIG_ONES = 240
BIG = MEGABYTE // 4
MOST_FOR_SILENT = 130 * MEGABYTE  # all that three readers leave unread is 180

FIRST: list[str | bytes] = [
    *("", "null", "1", "[]", "{}", '"auth"', "{", '{"type": 5}', '{"type": "filter"}', '{"type": "auth"', "\0"),
    *(b"", b"\xff\xfe", b'{"type": "auth"}\xff', b"\x00" * 1000, "[" * 100_000, '{"a":' * 50_000, "9" * 100_000),
    '{"type": "authorize", "token": {"a": [1, 2]}, "more": ' + json.dumps("x" * 100_000) + "}",
]


@contextmanager
def conversation(server: Server, path: str) -> Iterator[ClientConnection]:
    url = f"{server.api_url.replace('http', 'ws')}{path}"
    with connect(url, subprotocols=["prefect"], max_size=None, close_timeout=2) as socket:  # type: ignore[list-item]
        yield socket


def greet(socket: ClientConnection) -> None:
    socket.send('{"type": "auth", "token": null}')
    assert json.loads(socket.recv(timeout=ANSWER_SECONDS)) == {"type": "auth_success"}


def drain(socket: ClientConnection, seconds: float) -> None:
    """Read until the server has nothing more to say or is gone."""
    with suppress(TimeoutError, ConnectionClosed):
        while True:
            socket.recv(timeout=seconds)


def an_event(**changes: Any) -> str:
    event = {
        "occurred": "2024-05-01T10:00:00Z",
        "event": "fuzz",
        "resource": {"prefect.resource.id": "fuzz"},
        "related": [],
        "payload": {},
        "id": str(uuid4()),
        **changes,
    }
    return json.dumps(event)


def spoilt(chance: random.Random) -> str | bytes:
    """A frame that may be nearly right."""
    odd: list[Any] = [None, 5, "", "x", [], {}, [None], {"": None}, "\ud800", "\0", 10**30, 1e300, "0001-01-01T00:00Z"]
    keys = ["occurred", "event", "resource", "related", "payload", "id", "follows", "type", "filter"]
    text = an_event(**{chance.choice(keys): chance.choice(odd)})
    match chance.randrange(6):
        case 0:
            return text[: chance.randrange(len(text))]
        case 1:
            raw = bytearray(text.encode())
            raw[chance.randrange(len(raw))] = chance.randrange(256)
            return bytes(raw)
        case 2:
            return chance.randbytes(chance.randrange(2000))
        case 3:
            return json.dumps({"type": "filter", "filter": {chance.choice(keys): chance.choice(odd)}})
        case 4:
            return an_event(payload=None).replace("null", '{"a":' * 20_000)
    return text


def resident(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]
    return int(kilobytes) * 1024


@contextmanager
def others_go_on(server: Server) -> Iterator[None]:
    """Asks as another client does all the while; every answer must be good and come in time."""
    over, slowest, wrong = threading.Event(), [0.0], list[int]()

    def ask() -> None:
        with httpx.Client(base_url=server.api_url, timeout=ANSWER_SECONDS) as client:
            while not over.wait(0.05):
                begun = time.monotonic()
                answer = client.post("/flows/", json={"name": f"flow-{uuid4()}"})
                slowest[0] = max(slowest[0], time.monotonic() - begun)
                if answer.status_code != 201:
                    wrong.append(answer.status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join(2 * ANSWER_SECONDS)
    assert not asking.is_alive()
    assert wrong == []
    assert slowest[0] < ANSWER_SECONDS


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_first_message_ends_the_conversation(server: Server, path: str) -> None:
    with others_go_on(server):
        for first in FIRST:
            with conversation(server, path) as socket:
                with suppress(ConnectionClosed):
                    socket.send(first)
                    socket.recv(timeout=ANSWER_SECONDS)
                assert socket.close_code == 1008, first[:50]
    assert "Traceback" not in server.log


@pytest.mark.parametrize("path", PATHS)
def test_random_frames_harm_nobody(server: Server, path: str) -> None:
    chance = random.Random(5)
    with others_go_on(server):
        for _ in range(40):
            with conversation(server, path) as socket, suppress(ConnectionClosed):
                greet(socket)
                for _ in range(chance.randrange(1, 20)):
                    socket.send(spoilt(chance))
                drain(socket, 0.02)
    assert "Traceback" not in server.log


def test_good_events_before_a_bad_one_are_kept(server: Server) -> None:
    run_id = str(uuid4())
    with conversation(server, "/events/in") as socket:
        greet(socket)
        with suppress(ConnectionClosed):
            for _ in range(50):
                socket.send(an_event(resource={"prefect.resource.id": run_id}))
            socket.send("{")
            socket.recv(timeout=ANSWER_SECONDS)
        assert socket.close_code == 1011
    with conversation(server, "/events/in") as socket:
        greet(socket)
        socket.send(an_event())
        assert socket.ping().wait(ANSWER_SECONDS)


@pytest.mark.parametrize("path", PATHS)
def test_huge_frames_and_silent_clients_cost_no_memory(server: Server, path: str) -> None:
    before = resident(server)
    silent = [conversation(server, path) for _ in range(20)]
    with others_go_on(server):
        sockets = [one.__enter__() for one in silent]
        for size in (1, 4, 15, 17, 40):
            for _ in range(3):
                with conversation(server, path) as socket, suppress(ConnectionClosed):
                    greet(socket)
                    socket.send('"' + "x" * (size * MEGABYTE) + '"')
                    drain(socket, ANSWER_SECONDS)
    for one in silent:
        with suppress(ConnectionClosed):
            one.__exit__(None, None, None)
    assert len(sockets) == 20
    assert resident(server) - before < MOST_GROWTH
    assert "Traceback" not in server.log


@pytest.mark.parametrize("path", ["/events/out", "/logs/out"])
def test_who_does_not_read_costs_no_memory_and_misses_nothing(start_server: Any, path: str) -> None:
    server = start_server(environment=LOGS_GO_OUT)
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=server.api_url, timeout=3 * ANSWER_SECONDS))
        silent = [stack.enter_context(conversation(server, path)) for _ in range(3)]
        for socket in silent:
            listen(client, socket, path)
        before = resident(server)
        with others_go_on(server):
            for number in range(1, BIG_ONES + 1):
                tell(client, path, number, BIG)
            while_silent = resident(server) - before
            told = read_up_to(silent[0], BIG_ONES)
        assert told == list(range(1, BIG_ONES + 1))
        assert while_silent < MOST_FOR_SILENT
        assert resident(server) - before < MOST_FOR_SILENT
    assert "Traceback" not in server.log


def listen(client: httpx.Client, socket: ClientConnection, path: str) -> None:
    """Subscribe; what is told from then on comes here."""
    occurred = {"since": "2024-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}
    wanted = {"event": {"name": ["big"]}, "occurred": occurred} if path == "/events/out" else {}
    greet(socket)
    socket.send(json.dumps({"type": "filter", "filter": wanted, "backfill": False}))
    until(lambda: comes(client, socket, path))


def comes(client: httpx.Client, socket: ClientConnection, path: str) -> bool:
    tell(client, path, 0, 0)
    with suppress(TimeoutError):
        return heard(socket, 0.3) == 0
    return False


def tell(client: httpx.Client, path: str, number: int, size: int) -> None:
    """An event or a log of this size; where an event has its number, a log has its level."""
    now, text = datetime.now(UTC).isoformat(), "x" * size
    if path == "/events/out":
        event = an_event(event="big", occurred=now, payload={"number": number, "text": text})
        answer = client.post("/events", content=f"[{event}]")
    else:
        answer = client.post("/logs/", json=[{"name": "n", "level": number, "message": text, "timestamp": now}])
    assert answer.status_code < 300, answer.text


def read_up_to(socket: ClientConnection, last: int) -> list[int]:
    """The numbers that come, but for those that it was tried out with."""
    told = [heard(socket)]
    while told[-1] != last:
        told.append(heard(socket))
    return [number for number in told if number]


def heard(socket: ClientConnection, seconds: float = ANSWER_SECONDS) -> int:
    frame = json.loads(socket.recv(timeout=seconds))
    return int(frame["event"]["payload"]["number"] if frame["type"] == "event" else frame["log"]["level"])


def test_without_the_subprotocol_nobody_passes_authorization(start_server: Any) -> None:
    server = start_server(environment={"PREFECT_SERVER_API_AUTH_STRING": "a:b"})
    for path in PATHS:
        with connect(f"{server.api_url.replace('http', 'ws')}{path}", close_timeout=2) as bare:
            with pytest.raises(ConnectionClosed):
                bare.recv(timeout=ANSWER_SECONDS)
            assert bare.close_code == 1008
        with conversation(server, path) as socket:
            with suppress(ConnectionClosed):
                socket.send('{"type": "auth", "token": "a:c"}')
                socket.recv(timeout=ANSWER_SECONDS)
            assert socket.close_code == 1008
