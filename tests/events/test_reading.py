"""Following the event log: every committed event once, in the order of the log, however late it becomes visible."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import msgspec
import pytest
from tests.processes import until

from lictor.db import Database, Tx, open_database
from lictor.events import reading, store
from lictor.events.types import Event, ReceivedEvent
from lictor.feed import Bells, Positions
from lictor.kit import clock

AT = datetime(2024, 1, 22, 15, 30, 45, 123456, UTC)


def an_event(name: str, **fields: object) -> Event:
    labels = {"prefect.resource.id": "a.1"}
    related = [{"prefect.resource.id": "b.2", "prefect.resource.role": "part"}]
    return Event(occurred=AT, event=name, resource=labels, related=related, payload={"x": [1]}, **fields)  # type: ignore[arg-type]


class Follower:
    """Reads forward; `names` is what it saw."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.positions = Positions(0)
        self.names: list[str] = []

    def look(self, limit: int = 10) -> int:
        found = self.db.read_now(reading.after, self.positions.last, self.positions.gaps, limit)
        self.positions.saw((event.position for event in found), time.monotonic())
        self.names += [event.event for event in found]
        return len(found)


def test_an_event_is_read_as_it_was_written(db: Database) -> None:
    clock.set_source(lambda: AT)
    event = an_event("it.happened", follows="00000000-0000-4000-8000-000000000001")
    db.write_now(store.emit, event)
    [found] = db.read_now(reading.after, 0, [], 10)
    received = found.as_received()
    assert isinstance(received, ReceivedEvent)
    received_at = {"received": "2024-01-22T15:30:45.123456Z"}
    assert json.loads(msgspec.json.encode(received)) == msgspec.to_builtins(event) | received_at
    assert db.read_now(reading.last) == found.position


def test_a_follower_reads_in_steps(db: Database) -> None:
    follower = Follower(db)
    assert follower.look() == 0
    db.write_now(store.emit_all, [an_event(f"e{number}") for number in range(5)])
    assert [follower.look(2) for _ in range(4)] == [2, 2, 1, 0]
    assert follower.names == [f"e{number}" for number in range(5)]


def test_a_commit_of_events_rings(db: Database) -> None:
    bell = Bells(db).of(store.TOPIC)
    db.write_now(store.emit, an_event("one"))
    db.write_now(store.emit_all, [an_event("two")])
    db.write_now(store.insert, [an_event("three")], AT)
    assert bell.rung == 3
    db.write_now(store.emit_all, [])
    assert bell.rung == 3


@pytest.mark.only_on("postgres")
def test_an_event_that_is_committed_late_is_not_passed_over(database_url: str) -> None:
    held, go_on = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> None:
        store.emit(tx, an_event("late"))
        reading.last(tx)  # an answer: the row has its position
        held.set()
        assert go_on.wait(20)

    db = open_database(database_url)
    try:
        follower = Follower(db)
        slow = threading.Thread(target=db.write_now, args=(slowly,))
        slow.start()
        assert held.wait(20)
        for name in ("first", "second"):
            db.write_now(store.emit, an_event(name))
        follower.look()
        assert follower.names == ["first", "second"]
        # It goes on elsewhere, from what it stored.
        follower.positions = Positions(follower.positions.last, follower.positions.gaps, time.monotonic())
        db.write_now(store.emit, an_event("third"))
        follower.look(1)
        go_on.set()
        slow.join()
        until(lambda: follower.look() or "late" in follower.names)
        assert follower.names == ["first", "second", "third", "late"]
        assert follower.look() == 0
    finally:
        go_on.set()
        db.close()
