"""Event tallies give what the events themselves would give, whatever came, went and was folded when."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.samples import an_event, write

from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import conditions, counting, listing, loops, reading, spans, store, tallies
from lictor.events.counting import Countable, CountQuery
from lictor.events.filters import EventFilter
from lictor.events.remembering import Memory
from lictor.events.types import Event
from lictor.kit import clock

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
NAMES = ("prefect.flow-run.Running", "prefect.flow-run.Completed", "prefect.log.write", "a", "Ä b")
# True of every event, but more than tallies know: what is asked with it reads the events.
PLAINLY = {"resource": {"labels": {"prefect.resource.id": "*"}}}


@pytest.fixture(autouse=True)
def _now() -> None:
    clock.set_source(lambda: NOW)


def event_at(at: datetime, name: str) -> Event:
    event = an_event(name)
    event.occurred = at
    return event


def fold(db: Database, limit: int = 1000) -> int:
    return db.write_now(tallies.fold, limit)


def a_filter(since: datetime, until: datetime, **wanted: Any) -> dict[str, Any]:
    return {"occurred": {"since": since.isoformat(), "until": until.isoformat()}, **wanted}


def answers(db: Database, wanted: dict[str, Any], unit: str, interval: float) -> list[Any]:
    filter = msgspec.convert(wanted, EventFilter)
    query = msgspec.convert({"filter": wanted, "time_unit": unit, "time_interval": interval}, CountQuery)
    found: list[Any] = [db.read_now(listing.first_page, filter, 0, Memory()).total]
    for countable in (Countable.day, Countable.time, Countable.event):
        found.append(db.read_now(counting.count, countable, query, Memory()))
    return found


def compare(db: Database, wanted: dict[str, Any], unit: str = "hour", interval: float = 1) -> list[Any]:
    told = answers(db, wanted, unit, interval)
    assert told == answers(db, wanted | PLAINLY, unit, interval), wanted
    return told


moments = st.one_of(
    st.integers(0, 4 * 86_400_000_000).map(lambda micro: NOW - timedelta(microseconds=micro)),
    st.integers(0, 400).map(lambda quarters: datetime(2026, 3, 10, tzinfo=UTC) + quarters * timedelta(minutes=15)),
    st.integers(0, 5).map(lambda days: datetime(2026, 3, 10, tzinfo=UTC) + days * timedelta(days=1, microseconds=-1)),
)
events = st.lists(st.tuples(moments, st.sampled_from(NAMES)), max_size=30)
wanted_names = st.sampled_from(
    [
        {},
        {"event": {"name": ["a", "Ä b"]}},
        {"event": {"prefix": ["prefect.flow-run."]}},
        {"event": {"exclude_name": ["prefect.log.write"]}, "any_resource": {"id_prefix": []}},
        {"event": {"exclude_prefix": ["prefect."], "prefix": [], "name": []}, "related": []},
    ]
)
units = st.sampled_from(
    [
        ("hour", 1),
        ("minute", 13),
        ("minute", 7.5),
        ("minute", 90.5),
        ("week", 1),
        ("day", 1),
        ("second", 1000),
        ("hour", 7),
    ]
)
questions = st.lists(st.tuples(moments, moments, wanted_names, units), min_size=1, max_size=4)
deeds = st.lists(
    st.one_of(st.tuples(st.just("write"), events), st.tuples(st.just("fold"), st.integers(1, 20)),
              st.tuples(st.just("delete"), moments)),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=deeds, asked=questions, many=st.sampled_from([1, tallies.MANY]))
def test_what_is_told_is_what_a_scan_would_tell(
    db: Database, deeds: list[tuple[str, Any]], asked: list[Any], many: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "MANY", many)
        _told_as_by_a_scan(db, deeds, asked)


def _told_as_by_a_scan(db: Database, deeds: list[tuple[str, Any]], asked: list[Any]) -> None:
    db.write_now(lambda tx: [tx.run(composed(None, f"delete from {table}")) for table in ("events", "event_tally")])
    for deed, what in deeds:
        if deed == "write":
            write(db, *(event_at(at, name) for at, name in what))
        elif deed == "fold":
            fold(db, what)
        else:
            retention = loops.Retention(timedelta(0), {"a": timedelta(0)})
            db.write_now(loops.sweep, retention, what, 7)
        for one, other, names, (unit, interval) in asked:
            compare(db, a_filter(min(one, other), max(one, other), **names), unit, interval)
        assert db.read_now(tallies.check) == []


def test_whole_days_and_quarters_are_read_from_tallies_and_edges_from_events(db: Database) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    minutes = [0, 16, 61, 24 * 60, 40 * 60, 48 * 60, 48 * 60 + 7]
    write(db, *(event_at(midnight + timedelta(minutes=minute), "a") for minute in minutes))
    wanted = a_filter(midnight + timedelta(minutes=9), midnight + timedelta(minutes=48 * 60 + 7))
    assert compare(db, wanted)[0] == 6
    fold(db)
    assert compare(db, wanted)[0] == 6
    # Nobody may change events behind the tallies' back: it shows which are read.
    db.write_now(lambda tx: tx.run(composed(None, "delete from events")))
    assert answers(db, wanted, "hour", 1)[0] == 4
    wrong = db.read_now(tallies.check)
    assert {each.level for each in wrong} == {spans.QUARTER, spans.DAY}
    db.write_now(tallies.mend, wrong)
    assert db.read_now(tallies.check) == []
    assert answers(db, wanted, "hour", 1)[0] == 0


@pytest.mark.parametrize("many", [1, tallies.MANY])
def test_spans_that_meet_within_a_quarter_share_its_tally(
    db: Database, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "MANY", many)
    begin = datetime(2026, 3, 10, tzinfo=UTC)
    write(db, *(event_at(begin + timedelta(minutes=minute, microseconds=minute % 3 - 1), "a") for minute in range(600)))
    fold(db)
    for minutes in (1, 2.5, 4, 5, 7, 13, 15, 20):
        for edge in (0, 3, 8, 14):
            wanted = a_filter(begin + timedelta(minutes=edge), begin + timedelta(minutes=500 - edge))
            compare(db, wanted, "minute", minutes)
    # Of 13 minutes each, two thirds are known without looking at an event.
    pieces = spans.Pieces([(begin + n * 13 * MINUTE, begin + (n + 1) * 13 * MINUTE - spans.TICK) for n in range(45)])
    pieces.share()
    assert sum((piece.length for piece in pieces.rows), timedelta()) < 45 * 13 * MINUTE / 3


def test_many_quarters_are_read_at_once_if_they_are_close(db: Database) -> None:
    """Rather than looked for one by one; few, or those of spans of days, are."""
    begin = datetime(2026, 3, 10, tzinfo=UTC)

    def close(minutes: int, many: int) -> int:
        size = minutes * MINUTE
        pieces = spans.Pieces([(begin + n * size, begin + (n + 1) * size - spans.TICK) for n in range(many)])
        pieces.share()
        return len(pieces.close_quarters(tallies.MANY).pieces)

    assert close(13, 500) > 400
    assert close(13, 50) == 0
    assert close(10 * 24 * 60 + 30, 200) == 0


def test_what_was_counted_wrongly_is_mended(db: Database) -> None:
    write(db, *(event_at(NOW - timedelta(hours=hour), "a") for hour in range(60)))
    fold(db)
    db.write_now(lambda tx: tx.run(composed(None, "update event_tally set events = events + 1 where level = 1")))
    db.write_now(tallies.mend, db.read_now(tallies.check))
    assert db.read_now(tallies.check) == []
    compare(db, a_filter(NOW - timedelta(days=5), NOW))


def test_the_ends_of_time_can_be_asked_for(db: Database) -> None:
    ends = [datetime.min.replace(tzinfo=UTC), NOW, datetime.max.replace(tzinfo=UTC)]
    write(db, *(event_at(at, "a") for at in ends))
    fold(db)
    filter = msgspec.convert(a_filter(ends[0], ends[2]), EventFilter)
    assert db.read_now(listing.first_page, filter, 0, Memory()).total == 3


@pytest.mark.only_on("postgres")
def test_an_event_that_is_committed_late_is_counted_when_it_is_there(database_url: str) -> None:
    held, go_on = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> None:
        store.emit(tx, event_at(NOW - timedelta(hours=30), "a"))
        reading.last(tx)  # an answer: the row has its position
        held.set()
        assert go_on.wait(20)

    wanted = a_filter(NOW - timedelta(days=2), NOW)
    db = open_database(database_url)
    try:
        slow = threading.Thread(target=db.write_now, args=(slowly,))
        slow.start()
        assert held.wait(20)
        write(db, *(event_at(NOW - timedelta(hours=hours), "a") for hours in (29, 31, 32)))
        assert fold(db) == 3
        assert compare(db, wanted)[0] == 3
        go_on.set()
        slow.join()
        assert compare(db, wanted)[0] == 4, "it is read where it was passed"
        assert (fold(db), fold(db)) == (1, 0)
        assert compare(db, wanted)[0] == 4
        assert db.read_now(tallies.check) == []
    finally:
        go_on.set()
        db.close()


def test_a_position_that_nobody_filled_is_given_up(db: Database) -> None:
    write(db, *(event_at(NOW, name) for name in ("a", "b", "c")))
    db.write_now(lambda tx: tx.run(composed(None, "delete from events where event = 'b'")))
    assert fold(db) == 2
    assert db.read_now(tallies.waiting) == 1
    clock.set_source(lambda: NOW + timedelta(minutes=3))
    assert fold(db) == 0
    assert db.read_now(tallies.waiting) == 0


def test_the_service_folds_what_there_is_and_then_rests(db: Database) -> None:
    write(db, event_at(NOW, "a"))
    service = tallies.EventTallier(db)
    assert [asyncio.run(service.run_once()) for _ in range(2)] == [1, 0]


def test_filters_that_tallies_cannot_answer() -> None:
    for wanted in (
        {"resource": {"id": ["a"]}},
        {"resource": {"distinct": True}},
        {"any_resource": [{}, {"id_prefix": ["a"]}]},
        {"related": {"role": ["flow"]}},
        {"text": {"query": "a"}},
        {"id": {"id": ["00000000-0000-7000-8000-000000000000"]}},
    ):
        assert conditions.names_alone(msgspec.convert(wanted, EventFilter)) is None
    assert conditions.names_alone(msgspec.convert({"related": {}, "text": {"query": ""}}, EventFilter)) is not None
