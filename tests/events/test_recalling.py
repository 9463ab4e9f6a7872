"""What was counted once is remembered, and told again only for as long as it holds."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.events.samples import an_event, write
from tests.events.test_naming import forget_all

from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import asking, counting, listing, loops, narrowing, recalling, sifting, store, tallies
from lictor.events.counting import Countable, CountQuery
from lictor.events.filters import EventFilter
from lictor.events.remembering import Memory
from lictor.events.types import Event
from lictor.kit import clock

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
QUARTER = datetime(2026, 3, 14, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDS = ("a.1", "a.2", "b.1")
NAMES = ("x.a", "x.b", "y")
WORDS = ("needle", "hay", "straw")
# To make a failing example smaller takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture(autouse=True)
def _now() -> None:
    clock.set_source(lambda: NOW)


@pytest.fixture(autouse=True)
def _everything_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few events there are."""
    monkeypatch.setattr(asking, "MANY", 1)
    monkeypatch.setattr(asking, "MANY_ENTRIES", 0)
    monkeypatch.setattr(narrowing, "FEW", 0)


def event_at(at: datetime, name: str = "y", own: str = "a.1", other: str = "b.1", word: str = "hay") -> Event:
    labels = {"prefect.resource.name": word}
    event = an_event(name, resource=own, related=[(other, "part")], labels=labels, payload={"word": word})
    event.occurred = at
    return event


def a_filter(since: datetime, until: datetime, **wanted: Any) -> EventFilter:
    occurred = {"since": since.isoformat(), "until": until.isoformat()}
    return msgspec.convert({"occurred": occurred, **wanted}, EventFilter)


def fold(db: Database, limit: int = 1000) -> int:
    return db.write_now(tallies.fold, limit)


def pages(tx: Tx, filter: EventFilter, size: int, memory: Memory) -> tuple[list[str], int]:
    page = listing.first_page(tx, filter, size, memory)
    found, total = page.events, page.total
    while page.next_token:
        at = listing.decode(page.next_token)
        assert at is not None
        page = listing.next_page(tx, at, memory)
        found += page.events
    return [event.id for event in found], total


def answers(tx: Tx, filter: EventFilter, memory: Memory) -> list[Any]:
    hours = CountQuery(filter=filter, time_unit=counting.TimeUnit.hour, time_interval=1.0)
    longer = CountQuery(filter=filter, time_unit=counting.TimeUnit.hour, time_interval=30.0)
    return [
        pages(tx, filter, 3, memory),
        *(counting.count(tx, countable, hours, memory) for countable in Countable),
        counting.count(tx, Countable.time, longer, memory),
    ]


def looked_at(db: Database, filter: EventFilter) -> list[Any]:
    """The answers, without any memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "MANY", 2**40)
        return db.read_now(answers, filter, Memory())


# Few slots, so that what comes and goes meets what is remembered; and any moment.
moments = st.one_of(
    st.tuples(st.sampled_from([0, 20, 21, 40, 64]), st.integers(0, 3)).map(
        lambda at: NOW - at[0] * HOUR - at[1] * HOUR / 9
    ),
    st.integers(0, 3 * 86_400_000_000).map(lambda micro: NOW - timedelta(microseconds=micro)),
)
ends = st.one_of(
    st.just((NOW - 80 * HOUR, NOW + HOUR / 2)),
    st.tuples(moments, moments).map(lambda two: (min(two), max(two))),
    st.tuples(st.integers(100, 300), st.integers(-5, 99)).map(lambda two: tuple(QUARTER - n * HOUR / 4 for n in two)),
)
few = st.lists(
    st.tuples(moments, st.sampled_from(NAMES), st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(WORDS)),
    max_size=12,
)
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("write"), few),
        st.tuples(st.just("fold"), st.sampled_from([3, 100])),
        st.tuples(st.just("delete"), moments),
    ),
    min_size=2,
    max_size=6,
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from([{"query": "needle"}, {"query": "-hay"}, {"query": "x.a"}]),
        "resource": st.sampled_from(
            [{"labels": {"prefect.resource.name": "ne*"}}, {"id_prefix": ["a."]}, {"id": ["a.1"]}, {"distinct": True}]
        ),
        "related": st.sampled_from([{"role": ["part"]}, {"id": ["a.1"]}, {"id": ["a.1"], "role": ["part"]}]),
        "any_resource": st.sampled_from(
            [{"id": ["a.1", "b.1"]}, {"id_prefix": ["b"]}, [{"id": ["a.1"]}, {"id": ["b.1"]}]]
        ),
        "event": st.sampled_from([{"exclude_name": ["y"]}, {"prefix": ["x."]}]),
        "order": st.sampled_from(["ASC", "DESC"]),
    },
)
asked = st.lists(st.tuples(ends, filters), min_size=1, max_size=2)


@settings(max_examples=20, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(begin=few, deeds=deeds, asked=asked, kept=st.sampled_from([0, 2, 500]), stretch=st.sampled_from([2, 20_000]))
def test_what_is_remembered_is_what_would_be_counted_now(
    db: Database, begin: list[Any], deeds: list[tuple[str, Any]], asked: list[Any], kept: int, stretch: int
) -> None:
    """Whatever is written, folded and deleted meanwhile."""
    db.write_now(forget_all)
    memory = Memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recalling, "KEPT", kept)
        patch.setattr(sifting, "STRETCH", stretch)
        for deed, what in [("write", begin), ("fold", 100), *deeds, ("fold", 100)]:
            if deed == "write":
                write(db, *(event_at(*each) for each in what))
            elif deed == "fold":
                fold(db, what)
            else:
                retention = loops.Retention(timedelta(0), {"x.a": timedelta(0)})
                db.write_now(loops.sweep, retention, what, 5)
            for period, wanted in asked:
                filter = a_filter(*period, **wanted)
                told = looked_at(db, filter)
                assert [db.read_now(answers, filter, memory) for _ in range(2)] == [told, told]


TEXT = {"text": {"query": "needle"}}
DAYS = (QUARTER - 80 * HOUR, NOW)


def asked_twice(db: Database, memory: Memory, **wanted: Any) -> int:
    """How many there are, by two questions."""
    [total] = {db.read_now(listing.first_page, a_filter(*DAYS, **wanted), 3, memory).total for _ in range(2)}
    return total


def test_one_that_comes_and_one_that_goes_in_the_same_slot_are_noticed(db: Database) -> None:
    """Though there are as many as before, also if all that were there have gone."""
    memory, at = Memory(), NOW - 50 * HOUR
    write(db, event_at(at, "x.a", word="needle"), event_at(at + HOUR / 60, "x.b", word="hay"))
    fold(db)
    assert asked_twice(db, memory, **TEXT) == 1
    retention = loops.Retention(timedelta(0), {})
    for word, found in (("hay", 0), ("needle", 1), ("hay", 0)):
        db.write_now(loops.sweep, retention, at + HOUR / 120, 10)
        write(db, event_at(at, "x.a", word=word))
        fold(db)
        assert asked_twice(db, memory, **TEXT) == found


def test_what_was_mended_is_counted_again(db: Database) -> None:
    memory = Memory()
    write(db, *(event_at(NOW - hours * HOUR, word="needle") for hours in (30, 50)))
    fold(db)
    assert asked_twice(db, memory, **TEXT) == 2
    db.write_now(lambda tx: tx.run(composed(None, "delete from events where position = 1")))
    db.write_now(tallies.mend, db.read_now(tallies.check))
    assert asked_twice(db, memory, **TEXT) == 1


def test_what_a_version_without_numbers_tallied_is_told_when_this_one_leads(db: Database) -> None:
    """While servers are replaced one by one."""
    memory, service = Memory(), tallies.EventTallier(db)
    write(db, event_at(NOW - 30 * HOUR, word="needle"))
    asyncio.run(service.run_once())
    assert asked_twice(db, memory, **TEXT) == 1
    numbers = db.read_now(lambda tx: tx.all(composed(tallies.Slot, "select level, slot from event_slot")))
    write(db, *(event_at(NOW - hours * HOUR, word="needle") for hours in (30, 50)))
    before = db.read_now(tallies.as_of)
    fold(db)
    db.write_now(forget_changes, numbers, before.changed)
    asyncio.run(tallies.EventTallier(db).run_once())
    assert asked_twice(db, memory, **TEXT) == 3


def forget_changes(tx: Tx, known: list[tallies.Slot], changed: int) -> None:
    """As if whoever changed tallies last had not known that slots have numbers: `known` ones keep theirs, others have
    none."""
    tx.run(composed(None, "delete from event_slot"))
    rows = [{"level": at.level, "slot": at.slot, "changed": changed} for at in known]
    tx.many(tallies.MARK, rows)


def test_the_second_time_little_is_read(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for a period that has moved on; and of a page of what is rare no more than its events."""
    write(db, *(event_at(NOW - n * HOUR / 2, word="needle" if n % 40 == 0 else "hay") for n in range(150)))
    fold(db)
    memory = Memory()
    first = db.read_now(listing.first_page, a_filter(*DAYS, **TEXT), 3, memory)
    counted: list[list[Any]] = []
    count = recalling._counted

    def counting_them(tx: Tx, asked: recalling.Question, missing: list[Any]) -> dict[Any, Any]:
        counted.append(missing)
        return count(tx, asked, missing)

    monkeypatch.setattr(recalling, "_counted", counting_them)
    monkeypatch.setattr(sifting, "stretches", lambda *_: pytest.fail("the log was looked through"))
    assert db.read_now(listing.first_page, a_filter(*DAYS, **TEXT), 3, memory).events == first.events
    assert counted == []
    clock.set_source(lambda: NOW + HOUR / 4)
    later = a_filter(DAYS[0] + HOUR / 4, NOW + HOUR / 4, **TEXT)
    assert db.read_now(listing.first_page, later, 3, memory).total == first.total == 4
    assert len(counted[0]) == 1


@pytest.mark.parametrize("countable", [Countable.time, Countable.event])
def test_counts_are_remembered_too(db: Database, monkeypatch: pytest.MonkeyPatch, countable: Countable) -> None:
    write(db, *(event_at(NOW - n * HOUR, NAMES[n % 3], word="needle" if n % 2 else "hay") for n in range(70)))
    fold(db)
    memory, query = Memory(), CountQuery(a_filter(*DAYS, **TEXT))
    first = db.read_now(counting.count, countable, query, memory)
    assert sum(each.count for each in first) == 35
    monkeypatch.setattr(sifting, "stretches", lambda *_: pytest.fail("the log was looked through"))
    monkeypatch.setattr(recalling, "_counted", lambda *_: pytest.fail("slots were counted"))
    assert db.read_now(counting.count, countable, query, memory) == first


@pytest.mark.only_on("postgres")
def test_an_answer_is_of_one_moment_whoever_writes_meanwhile(database_url: str) -> None:
    """Each transaction takes an event away and brings another: there are always as many."""
    db = open_database(database_url)
    memory, at, done = Memory(), NOW - 60 * HOUR, threading.Event()
    failed: list[BaseException] = []
    try:
        write(db, *(event_at(at + n * HOUR, word="needle") for n in range(20)))
        fold(db)

        def swap(tx: Tx, number: int) -> None:
            tallies_of = loops.old(tx, None, NOW, 1)
            loops.delete(tx, tallies_of)
            store.emit_all(tx, [event_at(tallies_of[0].occurred + (7 * number % 11) * HOUR, word="needle")])

        def write_on() -> None:
            try:
                number = 0
                while not done.is_set():
                    number += 1
                    db.write_now(swap, number)
                    if number % 3 == 0:
                        fold(db)
            except BaseException as error:
                failed.append(error)

        writer = threading.Thread(target=write_on)
        writer.start()
        filter = a_filter(at - HOUR, NOW + 24 * HOUR, **TEXT)
        totals = {db.read_now(listing.first_page, filter, 0, memory).total for _ in range(80)}
        done.set()
        writer.join()
        assert (failed, totals) == ([], {20})
    finally:
        done.set()
        db.close()
