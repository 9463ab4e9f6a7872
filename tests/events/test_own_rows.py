"""What is asked of the resources that events are about: how their ids begin, and one event of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.samples import an_event, write
from tests.events.test_filters import wanted
from tests.events.test_naming import forget_all

from lictor.db import Database, Tx
from lictor.events import listing, matching, narrowing, sifting, tallies
from lictor.events.conditions import LAST_CHARACTER, text_behind
from lictor.events.filters import EventFilter
from lictor.events.remembering import Memory
from lictor.events.streaming import AHEAD

IDS = ("a", "a.1", "a.2", "ab", "b.1", "B")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["x", "x.y", "z"]), st.integers(0, 5), st.sampled_from(IDS), st.lists(st.sampled_from(IDS))
    ),
    max_size=16,
)
NAMES = {"event": st.sampled_from([{"name": ["x"]}, {"prefix": ["x"]}, {"exclude_name": ["z"]}])}
RESOURCE = st.fixed_dictionaries(
    {"distinct": st.booleans()}, optional={"id_prefix": st.lists(st.sampled_from(["a", "a.", "b", "c"]), min_size=1)}
)
OTHERS = {"related": st.just({"id": ["a.1"]}), "any_resource": st.just({"id": ["a.1", "b.1"]})}
ASKED = st.fixed_dictionaries(
    {"resource": RESOURCE, "order": st.sampled_from(["ASC", "DESC"])}, optional=NAMES | OTHERS
)
# How many mentions are few, and how many events are brought into order rather than looked for in the log.
SIZES = st.sampled_from([(3000, 50_000), (0, 50_000), (0, 0)])


def by_hand(tx: Tx, filter: EventFilter) -> list[int]:
    """The positions of what it lets through, in its order; of each resource the first, if it asks for that."""
    lines = [line for line in tx.all(AHEAD, last=0, limit=100) if matching.matcher(filter)(line)]
    lines.sort(key=lambda line: (line.occurred, line.position), reverse=filter.order == "DESC")
    if not filter.distinct:
        return [line.position for line in lines]
    first: dict[str, int] = {}
    for line in lines:
        first.setdefault(line.resource_id, line.position)
    return list(first.values())


def pages(tx: Tx, filter: EventFilter, size: int) -> tuple[list[str], int]:
    page = listing.first_page(tx, filter, size, Memory())
    found, total = page.events, page.total
    while page.next_token:
        at = listing.decode(page.next_token)
        assert at is not None
        page = listing.next_page(tx, at, Memory())
        found += page.events
    return [event.id for event in found], total


CHARACTERS = st.sampled_from(["a", "b", "\x00", "\ud7ff", "\ue000", "\uffff", "\U00010000", LAST_CHARACTER])
TEXT = st.text(CHARACTERS, max_size=4)


@given(prefix=TEXT, text=TEXT, more=TEXT)
def test_what_begins_so_is_before_the_text_behind(prefix: str, text: str, more: str) -> None:
    behind = text_behind(prefix)
    for each in (text, prefix + more):
        within = prefix.encode() <= each.encode() and (behind is None or each.encode() < behind.encode())
        assert within == each.startswith(prefix)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, keys=ASKED, sizes=SIZES, fold=st.booleans(), size=st.sampled_from([2, 50]))
def test_pages_and_totals_are_those_of_looking_at_each_event(
    db: Database, events: list[Any], keys: dict[str, Any], sizes: tuple[int, int], fold: bool, size: int
) -> None:
    db.write_now(forget_all)
    write(db, *(an_event(name, at, own, related=[(id, "part") for id in ids]) for name, at, own, ids in events))
    if fold:
        db.write_now(tallies.fold, 100)
    filter = wanted(**keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrowing, "FEW", sizes[0])
        patch.setattr(narrowing, "FEW_TO_COUNT", sizes[1])
        patch.setattr(listing, "FIRST_STEP", 1)
        patch.setattr(sifting, "STRETCH", 3)

        def look(tx: Tx) -> None:
            expected = by_hand(tx, filter)
            ids = {line.position: line.id for line in tx.all(AHEAD, last=0, limit=100)}
            assert pages(tx, filter, size) == ([ids[position] for position in expected], len(expected))

        db.read_now(look)
