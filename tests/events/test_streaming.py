"""`/events/out`: what happened before and what happens, each event once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.events.samples import an_event, write
from tests.processes import until
from tests.serving import serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lictor.db import Database, Tx, open_database
from lictor.events import routes, store, streaming
from lictor.events.filters import EventFilter
from lictor.events.ingest import Intake
from lictor.events.matching import Line
from lictor.events.streaming import EventStream, Hub, Subscription
from lictor.events.types import Event
from lictor.feed import Bells
from lictor.kit import clock
from lictor.settings import Settings
from lictor.web.asgi import App

EVER = "2999-01-01T00:00:00Z"


@contextmanager
def served(db: Database, *, poll_seconds: float = 30.0, **options: Any) -> Iterator[str]:
    """A long time between looks: subscribers are woken by the bell, or the tests fail."""
    hub = Hub(db, Bells(db).of(store.TOPIC), poll_seconds=poll_seconds)
    stream = EventStream(db, hub, **options)
    app = App([routes.router], {Database: db, Settings: Settings(), Intake: Intake(db), EventStream: stream})
    with serving(app) as address:
        yield address + app.base


@contextmanager
def subscribed(address: str, *, backfill: bool = True, **wanted: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://{address}/events/out", subprotocols=["prefect"], ping_interval=None, close_timeout=5) as one:  # type: ignore[list-item]
        one.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(one.recv(10)) == {"type": "auth_success"}
        wanted = {"occurred": {"since": "2024-01-01T00:00:00Z", "until": EVER}} | wanted
        one.send(json.dumps({"type": "filter", "filter": wanted, "backfill": backfill}))
        yield one


def now(name: str, **fields: Any) -> Event:
    event = an_event(name, **fields)
    event.occurred = clock.now()
    return event


def heard(one: ClientConnection, count: int = 1) -> list[str]:
    frames = [json.loads(one.recv(10)) for _ in range(count)]
    assert {frame["type"] for frame in frames} <= {"event"}
    return [frame["event"]["event"] for frame in frames]


def joined(db: Database, one: ClientConnection) -> None:
    """One without the past begins at some moment: write until it hears something, then until it has heard all of it."""
    for index in range(1000):
        write(db, now(f"begin {index}"))
        try:
            name = json.loads(one.recv(0.05))["event"]["event"]
        except TimeoutError:
            continue
        while name != f"begin {index}":
            [name] = heard(one)
        return
    raise AssertionError


def test_the_past_and_what_comes_then(db: Database) -> None:
    write(db, now("past 1"), now("past 2"))
    with served(db) as address, subscribed(address) as one:
        assert heard(one, 2) == ["past 1", "past 2"]
        sent = now("live", follows="00000000-0000-4000-8000-000000000001", related=[("b.2", "part")], payload={"x": 1})
        write(db, sent)
        frame = json.loads(one.recv(10))
        received = frame["event"].pop("received")
        assert received.endswith("Z")
        assert frame == {
            "type": "event",
            "event": {
                "occurred": sent.occurred.isoformat().replace("+00:00", "Z"),
                "event": "live",
                "resource": {"prefect.resource.id": "a.1"},
                "related": [{"prefect.resource.id": "b.2", "prefect.resource.role": "part"}],
                "payload": {"x": 1},
                "id": sent.id,
                "follows": sent.follows,
            },
        }


def test_the_past_is_of_many_pages(db: Database) -> None:
    names = [f"past {number}" for number in range(25)]
    moment = now("x").occurred
    events = [now(name) for name in names]
    for index, event in enumerate(events):
        event.occurred = moment - timedelta(seconds=10 - index // 5)  # five at a time
    write(db, *events)
    with served(db, page_size=7) as address, subscribed(address) as one:
        assert heard(one, 25) == names


def test_of_the_past_so_much_is_read_at_a_time_by_what_it_holds(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [10, 900, 10, 3000, 10, 900, 900, 10]
    write(db, *(now(f"past {number}", payload={"x": "y" * size}) for number, size in enumerate(sizes)))
    read: list[int] = []

    def at(tx: Tx, positions: list[int]) -> list[Line]:
        read.append(len(positions))
        return tx.all(streaming.AT, positions=positions)

    monkeypatch.setattr(streaming, "_at", at)
    monkeypatch.setattr(streaming, "BYTES_AT_ONCE", 1900)
    with served(db, page_size=7) as address, subscribed(address) as one:
        assert heard(one, len(sizes)) == [f"past {number}" for number in range(len(sizes))]
    assert read == [3, 1, 2, 1, 1]


def test_the_past_reaches_only_so_far_back(db: Database) -> None:
    old = now("old")
    old.occurred -= timedelta(minutes=16)
    write(db, old, now("new"))
    with served(db) as address, subscribed(address) as one:
        assert heard(one) == ["new"]


def test_without_the_past(db: Database) -> None:
    write(db, now("past"))
    with served(db) as address, subscribed(address, backfill=False) as one:
        joined(db, one)


def test_only_what_the_filter_lets_through(db: Database) -> None:
    wanted = {"event": {"prefix": ["a."]}, "related": {"id": ["b.2"]}}
    related = [("b.2", "part")]
    write(db, now("a.1"), now("a.2", related=related))
    with served(db) as address, subscribed(address, **wanted) as one, subscribed(address) as everything:
        assert heard(one) == ["a.2"]
        write(db, now("b.3", related=related), now("a.4"), now("a.5", related=related))
        assert heard(one) == ["a.5"]
        assert heard(everything, 5) == ["a.1", "a.2", "b.3", "a.4", "a.5"]


def test_a_period_that_ends_now_has_no_future(db: Database) -> None:
    write(db, now("past"))
    with served(db) as address, subscribed(address, occurred={}) as one, subscribed(address) as other:
        assert heard(one) == heard(other) == ["past"]
        write(db, now("live"))
        assert heard(other) == ["live"]
        with pytest.raises(TimeoutError):
            one.recv(0.1)


def test_where_nothing_goes_out_there_is_still_the_past(db: Database) -> None:
    write(db, now("past"))
    with served(db, live=False) as address, subscribed(address) as one:
        assert heard(one) == ["past"]
        write(db, now("live"))
        with pytest.raises(TimeoutError):
            one.recv(0.2)


def test_at_the_joint_nothing_is_missed_and_nothing_told_twice(db: Database) -> None:
    """Subscribers come while events are written, and each hears all of them from the first on."""
    write(db, now("0"))
    with served(db, page_size=3) as address:
        for round_ in range(5):
            names = [str(number) for number in range(round_ * 40, round_ * 40 + 41)]
            with subscribed(address) as one:
                for name in names[1:]:
                    write(db, now(name))
                every = [str(number) for number in range(round_ * 40 + 41)]
                told = heard(one, len(every))
                assert sorted(told, key=int) == every
                with pytest.raises(TimeoutError):
                    one.recv(0.05)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ('{"type": "subscribe"}', "Expected 'filter' message"),
        ('{"type": "filter"}', "Invalid filter"),
        ('{"type": "filter", "filter": null}', "Invalid filter"),
        ('{"type": "filter", "filter": {"nope": 1}}', "Invalid filter"),
        ('{"type": "filter", "filter": {"occurred": {"since": "x"}}}', "Invalid filter"),
        ('{"type": "filter", "filter": {"event": {"prefix": "x"}}}', "Invalid filter"),
        ("{", "Invalid filter"),
        ("[]", "Invalid filter"),
        ("[" * 5000, "Invalid filter"),
        ('"\\ud800"', "Invalid filter"),
    ],
)
def test_what_is_no_filter_ends_the_conversation(db: Database, first: str, reason: str) -> None:
    with served(db) as address, connect(f"ws://{address}/events/out", ping_interval=None) as one:
        one.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002
        assert reason in closed.value.rcvd.reason


def test_naive_instants_and_odd_spellings_are_taken(db: Database) -> None:
    write(db, now("past"))
    with (
        served(db) as address,
        subscribed(address, occurred={"since": "2024-01-01 00:00", "until": 4000000000}) as one,
    ):
        assert heard(one) == ["past"]


def test_other_processes_events_are_found_by_looking(database_url: str) -> None:
    ours, others = open_database(database_url), open_database(database_url)
    with served(ours, poll_seconds=0.05) as address, subscribed(address, backfill=False) as one:
        joined(others, one)
    ours.close()
    others.close()


@pytest.mark.only_on("postgres")
def test_an_event_that_is_committed_late_comes_late(database_url: str) -> None:
    held, go_on = threading.Event(), threading.Event()

    def slowly(tx: Any) -> None:
        store.emit(tx, now("late"))
        assert tx.value(streaming.reading.LAST) is not None  # an answer: the row has its position
        held.set()
        assert go_on.wait(20)

    db = open_database(database_url)
    try:
        with served(db) as address, subscribed(address, backfill=False) as one:
            joined(db, one)
            slow = threading.Thread(target=db.write_now, args=(slowly,))
            slow.start()
            assert held.wait(20)
            write(db, now("first"), now("second"))
            assert heard(one, 2) == ["first", "second"]
            # Who comes now is told of the past, and of the late one when it is there.
            with subscribed(address) as other:
                until(lambda: heard(other) == ["second"])
                go_on.set()
                slow.join()
                assert heard(one) == heard(other) == ["late"]
    finally:
        go_on.set()
        db.close()


# --- one that reads slowly


def line(position: int) -> tuple[int, bytes]:
    return position, b"x" * 100


def taken(one: Subscription) -> list[tuple[int, bytes | None]]:
    async def take() -> list[tuple[int, bytes | None]]:
        found: list[tuple[int, bytes | None]] = []
        while one._waiting:
            found += await one.take()
        return found

    return asyncio.run(take())


def test_of_what_waits_long_only_the_place_is_kept() -> None:
    one = Subscription(EventFilter())
    for position in range(1000):
        one.offer(*line(position))
    found = taken(one)
    assert [position for position, _ in found] == list(range(1000))
    assert [sent is not None for _, sent in found] == [True] * 256 + [False] * 744


def test_large_events_are_not_kept() -> None:
    one = Subscription(EventFilter())
    for position in range(10):
        one.offer(position, b"x" * 1_500_000)
    assert sum(sent is not None for _, sent in taken(one)) == 3


def test_one_that_is_far_behind_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_WAITING", 1000)
    one = Subscription(EventFilter())
    for position in range(1001):
        one.offer(*line(position))
    assert one.left_behind
    assert taken(one) == []
    assert asyncio.run(one.take()) == []


def test_a_slow_reader_misses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FRAMES_WAITING", 3)
    with served(db) as address, subscribed(address) as one, subscribed(address) as other:
        large = {"text": "x" * 50_000}
        for at in range(0, 200, 20):
            write(db, *(now(str(number), payload=large) for number in range(at, at + 20)))
        # It reads nothing, and the other is not kept waiting.
        assert heard(other, 200) == [str(number) for number in range(200)]
        assert heard(one, 200) == [str(number) for number in range(200)]


def test_what_is_live_is_read_by_what_it_holds_too(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all subscribers, and again for one that was slow: beyond a few, so many bytes and an event."""
    monkeypatch.setattr(streaming, "BYTES_AT_ONCE", 1900)
    monkeypatch.setattr(streaming, "FEW_AT_ONCE", 1)
    monkeypatch.setattr(streaming, "FRAMES_WAITING", 2)
    read: list[int] = []

    def noted(method: Callable[..., list[Line]]) -> Callable[..., list[Line]]:
        def call(*args: Any) -> list[Line]:
            lines = method(*args)
            read.append(sum(sorted(map(streaming._held, lines))[:-1]))
            return lines

        return call

    monkeypatch.setattr(streaming, "after", noted(streaming.after))
    monkeypatch.setattr(streaming, "_at", noted(streaming._at))
    with served(db) as address, subscribed(address, backfill=False) as one:
        joined(db, one)
        write(db, *(now(str(number), payload={"x": "y" * 700}) for number in range(30)))
        assert heard(one, 30) == [str(number) for number in range(30)]
    assert max(read) < 1900 + 900


def test_one_that_is_left_behind_is_sent_away(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_WAITING", 5)
    with served(db) as address, subscribed(address, backfill=False) as one:
        joined(db, one)
        write(db, *(now(str(number)) for number in range(20)))
        with pytest.raises(ConnectionClosed) as closed:
            heard(one, 20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


def test_without_subscribers_nothing_is_read(db: Database) -> None:
    hub = Hub(db, Bells(db).of(store.TOPIC))

    async def main() -> None:
        one, two = Subscription(EventFilter()), Subscription(EventFilter())
        await asyncio.gather(hub.join(one), hub.join(two))
        hub.leave(one)
        assert hub._task is not None
        hub.leave(two)
        hub.leave(two)
        assert hub._task is None
        assert await hub.join(one) is not None
        hub.leave(one)

    asyncio.run(main())
