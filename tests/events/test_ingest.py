"""Events that clients send: over HTTP, and over a websocket whose pongs are receipts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from tests.calls import client, errors
from tests.processes import until
from tests.serving import serving
from websockets.exceptions import ConnectionClosed
from websockets.frames import OP_PING, OP_TEXT, Frame
from websockets.sync.client import ClientConnection, connect

from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import routes
from lictor.events.ingest import EventLimits, Follow, Intake
from lictor.events.types import Event
from lictor.kit import ids
from lictor.kit.errors import Unavailable
from lictor.web.asgi import App

LIMITS = EventLimits(name_length=20, labels=3, related=2, size=5000)
EVENTS = composed(str, "select event from events order by position")


def an_event(name: str = "it.happened", **fields: Any) -> dict[str, Any]:
    resource = {"prefect.resource.id": "a.1"}
    return {"id": ids.new(), "occurred": "2024-01-22T15:30:45Z", "event": name, "resource": resource} | fields


def stored(db: Database) -> list[str]:
    return db.read_now(lambda tx: tx.all(EVENTS))


def part(**labels: str) -> dict[str, str]:
    return {"prefect.resource.id": "b.2", "prefect.resource.role": "part"} | labels


# --- POST /events


def post(db: Database, body: Any, follow: Follow | None = None) -> Any:
    intake = Intake(db, () if follow is None else (follow,), LIMITS)
    return client(db, routes.router, intake=intake).post("/events", json=body)


def test_posted_events_are_stored_once(db: Database) -> None:
    event = an_event("first", related=[part()], payload={"a": [1, None]}, follows=ids.new())
    for _ in range(2):
        answer = post(db, [event, an_event("second"), event])
        assert (answer.status, answer.body) == (204, b"")
    assert stored(db) == ["first", "second", "second"]
    assert post(db, []).status == 204


def test_events_of_one_instant_keep_the_order_in_which_they_came(db: Database) -> None:
    names = [str(number) for number in range(20)]
    post(db, [an_event(name, id=str(uuid4())) for name in names])
    assert stored(db) == names


@pytest.mark.parametrize(
    "fields",
    [
        {"resource": {}},
        {"resource": {"prefect.resource.id": ""}},
        {"related": [{"prefect.resource.id": "b.2"}]},
        {"related": [{"prefect.resource.role": "b.2"}]},
        {"event": "x" * 21},
        {"resource": {"prefect.resource.id": "a.1", "b": "", "c": "", "d": ""}},
        {"related": [part(c="", d="")]},
        {"related": [part()] * 3},
        {"id": "x"},
        {"id": None},
        {"occurred": "yesterday"},
        {"payload": []},
        {"payload": None},
        {"payload": "text"},
    ],
)
def test_events_that_are_none_are_refused_with_all_others(db: Database, fields: dict[str, Any]) -> None:
    assert errors(post(db, [an_event(), an_event(**fields)]))
    assert stored(db) == []


def test_an_event_that_is_too_large_is_dropped(db: Database) -> None:
    assert post(db, [an_event("large", payload={"x": "y" * 5000}), an_event("small")]).status == 204
    assert stored(db) == ["small"]


@pytest.mark.parametrize("occurred", ["2024-01-22 15:30:45+05:30", "2024-01-22T15:30:45.123456789Z", 1705937445])
def test_instants_of_any_form(db: Database, occurred: Any) -> None:
    assert post(db, [an_event(occurred=occurred)]).status == 204


def test_followers_are_told_of_what_is_new_in_the_same_transaction(db: Database) -> None:
    told: list[list[str]] = []

    def follow(tx: Tx, events: list[Event]) -> None:
        names = [event.event for event in events]
        if names == ["third"]:
            raise Unavailable("not now")
        told.append(names)

    event = an_event("first")
    post(db, [event], follow)
    post(db, [event], follow)
    post(db, [event, an_event("second")], follow)
    assert post(db, [an_event("third")], follow).status == 503
    assert told == [["first"], ["second"]]
    assert stored(db) == ["first", "second"]


# --- /events/in


@contextmanager
def socket(address: str, compression: str | None = "deflate") -> Iterator[ClientConnection]:
    offered: Any = ["prefect"]
    options: Any = {"ping_interval": None, "close_timeout": 5, "compression": compression}
    with connect(f"ws://{address}/events/in", subprotocols=offered, **options) as one:
        one.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(one.recv(10)) == {"type": "auth_success"}
        yield one


@contextmanager
def served(db: Database, *followers: Follow) -> Iterator[str]:
    """Where `/events/in` is, outside of the prefix of an API."""
    intake = Intake(db, followers, LIMITS)
    with serving(App([routes.router], {Database: db, Intake: intake})) as address:
        yield address + App([], {}).base


def send(one: ClientConnection, *events: dict[str, Any]) -> None:
    for event in events:
        one.send(json.dumps(event))


class Gate:
    """A follower that lets nothing commit until it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, tx: Tx, events: list[Event]) -> None:
        self.reached.set()
        assert self.open.wait(20)


def test_sent_events_are_stored_in_order(db: Database) -> None:
    names = [f"event {index:03}" for index in range(300)]
    with served(db) as address, socket(address) as one:
        send(one, *(an_event(name, occurred=f"2024-01-22T15:30:45.{index:06}Z") for index, name in enumerate(names)))
        assert one.ping().wait(20)
        assert stored(db) == names


def test_a_pong_comes_after_the_commit(db: Database) -> None:
    gate = Gate()
    with served(db, gate) as address, socket(address) as one:
        assert one.ping().wait(10)
        send(one, an_event("first"))
        pong = one.ping()
        assert gate.reached.wait(10)
        assert not pong.wait(0.1)
        send(one, an_event("second"))
        later = one.ping()
        assert stored(db) == []
        gate.open.set()
        assert pong.wait(10)
        assert "first" in stored(db)
        assert later.wait(10)
        assert stored(db) == ["first", "second"]
        assert one.ping().wait(10)


def test_pongs_of_pings_that_are_read_at_once_are_apart(db: Database) -> None:
    """One packet holds two events and two pings: the second pong must wait for the second event."""
    gate, second = Gate(), Gate()

    def follow(tx: Tx, events: list[Event]) -> None:
        (gate if events[0].event == "first" else second)(tx, events)

    with served(db, follow) as address, socket(address) as one:
        frames = []
        for name, data in (("first", b"1"), ("second", b"2")):
            event = json.dumps(an_event(name)).encode()
            frames += [Frame(OP_TEXT, event), Frame(OP_PING, data)]
        pongs = [threading.Event(), threading.Event()]
        with one.protocol_mutex:
            for data, pong in zip((b"1", b"2"), pongs, strict=True):
                one.pending_pings[data] = (pong, 0.0, False)
            one.socket.sendall(b"".join(frame.serialize(mask=True) for frame in frames))
        assert gate.reached.wait(10)
        gate.open.set()
        # Both may have come in one batch; then one commit is what both wait for.
        if until(lambda: second.reached.is_set() or pongs[1].is_set()) and second.reached.is_set():
            assert pongs[0].wait(10)
            assert not pongs[1].is_set()
            second.open.set()
        assert pongs[1].wait(10)
        assert stored(db) == ["first", "second"]


def test_batches_grow_while_a_commit_runs(db: Database) -> None:
    gate = Gate()
    sizes: list[int] = []

    def follow(tx: Tx, events: list[Event]) -> None:
        sizes.append(len(events))
        gate(tx, events)

    with served(db, follow) as address, socket(address) as one:
        send(one, an_event("first"))
        assert gate.reached.wait(10)
        send(one, *(an_event() for _ in range(700)))
        gate.open.set()
        assert one.ping().wait(20)
    assert sum(sizes) == 701
    assert max(sizes) > 50


@pytest.mark.parametrize("bad", ["{", "[]", "null", json.dumps(an_event(resource={})), json.dumps({"event": "x"})])
def test_a_frame_that_is_no_event_ends_the_connection_after_what_came_before(db: Database, bad: str) -> None:
    with served(db) as address, socket(address) as one:
        send(one, an_event("before"))
        one.send(bad)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert stored(db) == ["before"]


def test_a_frame_that_is_too_large_is_dropped_and_confirmed(db: Database) -> None:
    with served(db) as address, socket(address) as one:
        send(one, an_event("large", payload={"x": "y" * 5000}), an_event("small"))
        assert one.ping().wait(10)
        assert stored(db) == ["small"]


def test_what_was_sent_before_a_drop_is_stored_and_may_be_sent_again(db: Database) -> None:
    events = [an_event(f"event {index}", occurred=f"2024-01-22T15:30:{index:02}Z") for index in range(20)]
    with served(db) as address:
        with socket(address) as one:
            send(one, *events)
            one.socket.shutdown(2)
        with socket(address) as again:
            send(again, *events)
            assert again.ping().wait(10)
        assert stored(db) == [event["event"] for event in events]


def test_a_shutdown_stores_what_was_taken_in(db: Database) -> None:
    gate = Gate()
    with served(db, gate) as address, socket(address) as one:
        send(one, an_event("first"))
        assert gate.reached.wait(10)
        send(one, an_event("second"))
        threading.Timer(0.2, gate.open.set).start()
    assert stored(db)[0] == "first"


@pytest.mark.parametrize("error", [ValueError("a bug"), RecursionError()])
def test_an_event_that_a_follower_fails_on_is_stored_and_keeps_nobody_waiting(db: Database, error: Exception) -> None:
    followed: list[str] = []

    def follow(tx: Tx, events: list[Event]) -> None:
        if any(event.event == "poison" for event in events):
            raise error
        tx.after_commit(followed.extend, [event.event for event in events])

    names = [f"event {index:02}" for index in range(40)]
    names[17] = "poison"
    with served(db, follow) as address, socket(address) as one:
        send(one, *(an_event(name) for name in names))
        assert one.ping().wait(20)
        assert sorted(stored(db)) == sorted(names)
    assert sorted(followed) == sorted({*names} - {"poison"})


def test_an_event_that_the_database_refuses_is_dropped_alone(db: Database) -> None:
    long = "".join(chr(0x4E00 + (index * 7919) % 20000) for index in range(1500))
    poison = [
        an_event("long", resource={"prefect.resource.id": long}),
        an_event("nul", resource={"prefect.resource.id": "a\0b"}),
    ]
    with served(db) as address, socket(address) as one:
        send(one, an_event("before"), *poison, an_event("after"))
        assert one.ping().wait(20)
    assert {"before", "after"} <= set(stored(db))
    if db.dialect.name == "postgres":
        assert set(stored(db)) == {"before", "after"}


class Flaky:
    """A follower that has the database away for some tries."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, tx: Tx, events: list[Event]) -> None:
        if self.left:
            self.left -= 1
            raise Unavailable("away")


def test_a_database_that_is_away_is_waited_for(db: Database) -> None:
    flaky = Flaky(3)
    with served(db, flaky) as address, socket(address) as one:
        send(one, *(an_event() for _ in range(50)))
        assert one.ping().wait(20)
        assert len(stored(db)) == 50
    assert flaky.left == 0


def test_while_it_is_away_no_more_is_taken_in(tmp_path: Any) -> None:
    db = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    db.migrate()
    away = Flaky(10**9)
    taken: list[int] = []

    def follow(tx: Tx, events: list[Event]) -> None:
        taken.append(len(events))
        away(tx, events)

    event = an_event(payload={"x": "y" * 4000})
    with served(db, follow) as address, socket(address, compression=None) as one:
        sender = threading.Thread(target=_flood, args=(one, event, 20_000), daemon=True)
        sender.start()
        until(lambda: len(taken) >= 4)
        assert sender.is_alive()  # it is held back by TCP
        away.left = 0
        sender.join(60)
        assert one.ping().wait(20)
    assert len(stored(db)) == 1
    db.close()


def _flood(one: ClientConnection, event: dict[str, Any], count: int) -> None:
    text = json.dumps(event)
    for _ in range(count):
        one.send(text)


def test_other_sockets_are_answered_at_once(db: Database) -> None:
    """Pings before the handshake's end, too, are not held."""
    with served(db) as address, connect(f"ws://{address}/events/in", subprotocols=["prefect"]) as one:  # type: ignore[list-item]
        assert one.ping().wait(10)
