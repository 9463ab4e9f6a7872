"""What is asked of events all day uses an index on a large log, on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.architecture.test_plans import SERIES, START, explained, id_sql

from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.events import counting, listing, loops, reading, streaming, tallies
from lictor.events.counting import Countable, CountQuery
from lictor.events.filters import EventFilter
from lictor.events.listing import After, Continuation
from lictor.events.remembering import Memory

EVENTS = 30_000
FILL = f"""
    insert into events (id, occurred, received, event, resource_id, resource, related, payload)
    {SERIES} select {id_sql("i")}, moment, moment, 'event ' || cast(i % 7 as text), 'run ' || cast(i / 5 as text),
        cast(:labels as {{raw_json_type}}), cast('[]' as {{raw_json_type}}), cast(:labels as {{raw_json_type}})
    from numbers
"""
RESOURCES = """
    insert into event_resources (resource_id, occurred, position, kind, name)
    select resource_id, occurred, position, 0, 1 + position % 7 from events
    union all
    select 'everything', occurred, position, 1, 1 + position % 7 from events where position % 3 > 0
"""
NAMES = "insert into event_name (id, name) select distinct 1 + position % 7, event from events where position <= 7"
TABLES = ("event_name", "events", "event_resources", "event_tally", "event_tally_progress", "event_tally_gap")
DAY = {"occurred": {"since": "2026-01-10T00:00:00Z", "until": "2026-01-11T00:00:00Z"}}
WEEKS = {"occurred": {"since": "2026-01-02T00:07:00Z", "until": "2026-01-20T00:07:00Z"}}
EXCLUDING = {"event": {"exclude_name": ["event 3"]}}


def fill(tx: Tx) -> None:
    tx.run(composed(None, FILL), start=START, count=EVENTS, labels='{"prefect.resource.id": "run"}')
    tx.run(composed(None, RESOURCES))
    tx.run(composed(None, NAMES))


def ask(**wanted: Any) -> Callable[[Tx], object]:
    filter = msgspec.convert(DAY | wanted, EventFilter)
    return lambda tx: listing.first_page(tx, filter, 50, Memory())


def behind(**wanted: Any) -> Callable[[Tx], object]:
    filter = msgspec.convert(WEEKS | wanted, EventFilter)
    after = After(datetime(2026, 1, 10, tzinfo=UTC), 9)
    return lambda tx: listing.next_page(tx, Continuation(filter, 10_000_000, 50, 9_000_000, after), Memory())


def total(**wanted: Any) -> Callable[[Tx], object]:
    filter = msgspec.convert(WEEKS | wanted, EventFilter)
    return lambda tx: listing.tallied(tx, filter)


def count(countable: Countable, **wanted: Any) -> Callable[[Tx], object]:
    query = msgspec.convert({"filter": DAY | wanted, "time_unit": "hour"}, CountQuery)
    return lambda tx: counting.count(tx, countable, query, Memory())


BY_TIME, BY_NAME = "ix_events__occurred", "ix_events__event_occurred"
BY_EITHER = f"{BY_TIME}|{BY_NAME}"
BY_TALLY = r"event_tally_pkey|e USING PRIMARY KEY \(level=\? AND slot>\? AND slot<\?\)"
BY_RESOURCE = r"pk_event_resources|USING PRIMARY KEY"
CASES: dict[str, tuple[Callable[[Tx], object], str]] = {
    "newest": (ask(), BY_TIME),
    "without some names": (ask(**EXCLUDING), BY_TIME),
    "of a resource": (ask(any_resource={"id": ["run 77"]}), BY_RESOURCE),
    "of a related resource": (ask(related={"id": ["run 77"]}), BY_RESOURCE),
    "by hour": (count(Countable.time), BY_TIME),
    "by hour without some names": (count(Countable.time, **EXCLUDING), BY_TIME),
    "by name": (count(Countable.event), BY_TALLY),
    "by name of those with a label": (count(Countable.event, resource={"labels": {"a": "b"}}), BY_EITHER),
    "by hour of those with a label": (count(Countable.time, resource={"labels": {"a": "b"}}), BY_EITHER),
    "by resource": (count(Countable.resource), BY_TIME),
    "with a text": (ask(text={"query": "somewhere"}), BY_TIME),
    "of what begins so": (ask(any_resource={"id_prefix": ["run 777"]}), BY_RESOURCE),
    "of either": (ask(any_resource={"id": ["run 7", "run 77", "run 777"]}, event={"name": ["event 3"]}), BY_RESOURCE),
    "of both": (ask(any_resource=[{"id": ["run 7"]}, {"id": ["run 77"]}]), BY_RESOURCE),
    "of a resource without some names": (ask(any_resource={"id": ["everything"]}, **EXCLUDING), BY_RESOURCE),
    "of a resource by hour": (count(Countable.time, any_resource={"id": ["everything"]}, **EXCLUDING), BY_RESOURCE),
    "of a resource by name": (count(Countable.event, any_resource={"id": ["everything"]}, **EXCLUDING), BY_RESOURCE),
    "of all": (ask(any_resource=[{"id": ["everything"]}, {"id": ["run 77"]}], **EXCLUDING), BY_RESOURCE),
    "far back": (behind(), BY_TIME),
    "far back of a resource": (behind(any_resource={"id": ["run 77"]}), BY_RESOURCE),
    "how many in weeks": (total(), BY_TALLY),
    "how many in weeks without some names": (total(**EXCLUDING), BY_TALLY),
    "weeks by hour": (count(Countable.time, **WEEKS), BY_TALLY),
    "weeks by day without some names": (count(Countable.day, **WEEKS, **EXCLUDING), BY_TALLY),
    "weeks by name": (count(Countable.event, **WEEKS), BY_TALLY),
    "to be tallied": (lambda tx: tx.all(tallies.NEXT, last=29_000, limit=10), r"events_pkey|USING INTEGER PRIMARY KEY"),
    "ahead": (lambda tx: reading.after(tx, 29_000, [5], 10), r"events_pkey|USING INTEGER PRIMARY KEY"),
    "for subscribers": (lambda tx: streaming.after(tx, 29_000, [5]), r"events_pkey|USING INTEGER PRIMARY KEY"),
    "old": (lambda tx: loops.old(tx, None, START, 200), BY_TIME),
    "old of a type": (lambda tx: loops.old(tx, "event 3", START, 200), BY_EITHER),
}


def test_what_is_asked_all_day_uses_an_index(db: Database) -> None:
    db.write_now(fill)
    while db.write_now(tallies.fold, 10_000):
        pass
    if db.dialect.name == "postgres":
        db.write_now(lambda tx: [tx.run(composed(None, f"analyze {table}")) for table in TABLES])

    def look(tx: Tx) -> list[str]:
        complaints = []
        for name, (read, index) in CASES.items():
            plan = explained(tx, read)
            scans = re.findall(r"SCAN e$|SCAN e USING|Seq Scan on events", plan, re.MULTILINE)
            # What was not folded yet is a table of its own, and short.
            if not re.search(index, plan) or len(scans) > plan.count("MATERIALIZE fresh"):
                complaints.append(f"{name}: not by {index}\n{plan}")
        return complaints

    found = db.read_now(look)
    if found:
        pytest.fail("\n\n".join(found))
