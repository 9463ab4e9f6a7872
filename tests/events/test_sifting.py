"""Looking through the log, stretch by stretch, for what no index answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.events.samples import ALL, an_event, write

from lictor.db import Database, Tx
from lictor.events import listing, sifting, tallies
from lictor.events.filters import EventFilter
from lictor.events.remembering import Memory
from lictor.events.types import Event
from lictor.kit import text_search

NAMES = ("prefect.flow-run.Late", "kept", "kept.for needle")
QUERIES = ("needle", "+needle +a.2", "flow-run", "flow-run -needle", "NEEDLE flow", '"late {"', "größe", "-größe -kept")


def the_events() -> list[Event]:
    words = ("a Needle", "hay", "GRÖßE Größe", "hay")
    return [an_event(NAMES[n % 3], n // 2, f"a.{n % 5}", payload={"word": words[n % 4]}) for n in range(40)]


def meant(events: list[Event], query: str, lowered: bool) -> list[Event]:
    """By looking at each. SQLite lowers nothing but ASCII."""
    search = text_search.parse(query)
    found = []
    for event in events:
        parts = [msgspec.json.encode(part).decode() for part in (event.resource, event.related, event.payload)]
        text = " ".join([event.event, *parts])
        text = text.lower() if lowered else text.encode().lower().decode()
        if search.any and not any(term in text for term in search.any):
            continue
        if all(term in text for term in search.required) and not any(term in text for term in search.excluded):
            found.append(event)
    return found


def pages(tx: Tx, wanted: EventFilter, size: int) -> tuple[list[str], set[int]]:
    """The ids on all pages, and what the pages say of how many there are."""
    page = listing.first_page(tx, wanted, size, Memory())
    found, totals = page.events, {page.total}
    while page.next_token:
        at = listing.decode(page.next_token)
        assert at is not None
        page = listing.next_page(tx, at, Memory())
        found, totals = found + page.events, totals | {page.total}
    return [event.id for event in found], totals


def filter(**wanted: Any) -> EventFilter:
    return msgspec.convert({"occurred": ALL} | wanted, EventFilter)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_pages_and_totals_of_a_text_are_those_of_looking_at_each_event(
    db: Database, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """However many stretches it takes, before names were tallied and after."""
    monkeypatch.setattr(sifting, "STRETCH", 4)
    events = the_events()
    write(db, *events)
    for tallied in (False, True):
        if tallied:
            db.write_now(tallies.fold, 100)
        for query in QUERIES:
            expected = [event.id for event in meant(events, query, lowered=db.dialect.name == "postgres")]
            expected = expected if order == "ASC" else expected[::-1]
            for size in (3, 7, 50):
                found = db.read_now(pages, filter(text={"query": query}, order=order), size)
                assert found == (expected, {len(expected)}), (query, size, tallied)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_page_behind_an_event_needs_nothing_before_it(db: Database, order: str) -> None:
    """Events of one moment may be on different pages."""
    events = [an_event("e", n // 5, related=[("b.1", "part")]) for n in range(33)]
    write(db, *events)
    expected = [event.id for event in (events if order == "ASC" else events[::-1])]
    for wanted in ({}, {"related": {"id": ["b.1"]}}, {"text": {"query": "part"}}, {"related": {"role": ["part"]}}):
        assert db.read_now(pages, filter(order=order, **wanted), 4) == (expected, {33})


def test_a_token_tells_where_the_next_page_begins(db: Database) -> None:
    """And one that tells only how many to leave out is good, too."""
    events = [an_event("e", n) for n in range(10)]
    write(db, *events)
    first = db.read_now(listing.first_page, filter(), 3, Memory())
    assert first.next_token is not None
    at = listing.decode(first.next_token)
    assert at is not None
    assert at.after is not None
    assert at.after.occurred == events[7].occurred
    older = msgspec.structs.replace(at, after=None)
    assert db.read_now(listing.next_page, older, Memory()).events == db.read_now(listing.next_page, at, Memory()).events


def test_a_name_that_is_found_is_counted_without_its_events(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those are looked at whose names do not tell."""
    write(db, *the_events())
    db.write_now(tallies.fold, 100)
    counted: list[Any] = []
    monkeypatch.setattr(sifting, "STRETCH", 4)
    monkeypatch.setattr(sifting, "_count", lambda *args: counted.append(args) or 0)
    assert db.read_now(listing.first_page, filter(text={"query": "kept late"}), 3, Memory()).total == 40
    assert not counted
    db.read_now(listing.first_page, filter(text={"query": "late"}), 3, Memory())
    assert counted
