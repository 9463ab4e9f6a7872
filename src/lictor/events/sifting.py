"""Looking through the log, for what no index answers: a text, a label, a role.

That takes a microsecond or two for each event, so a long log is looked through in stretches of time, newest first (or
oldest first), one statement each: none meets the time limit of statements, a page ends with the stretch that fills it,
and its events are not looked at again to count them. Where an event's name tells that it is meant, or that it is not,
tallies count it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lictor.db import Tx, Where, sql
from lictor.events import conditions, spans, tallies
from lictor.events.filters import EventFilter, Order
from lictor.filters.leaves import equals_none, on
from lictor.kit import text_search, times
from lictor.kit.text_search import TextSearch

# Events of a stretch.
STRETCH = 20_000

Period = tuple[datetime, datetime]

_EDGE = """
    select e.occurred from events e where e.occurred >= {{ts:since}} and e.occurred <= {{ts:until}}
    order by e.occurred{direction} limit 1 offset :many"""
EDGES = {
    Order.ASC: sql("events.edge_ahead", datetime, _EDGE.format(direction="")),
    Order.DESC: sql("events.edge_behind", datetime, _EDGE.format(direction=" desc")),
}
# SQLite might read them all for an index that has them in the order in which they are counted.
SOURCE = "events e {by_index:ix_events__occurred}"
WITHIN = "e.occurred >= {ts:since} and e.occurred <= {ts:until} and {where}"
COUNT = f"select count(*) from {SOURCE} where {WITHIN}"
_ROWS = f"select e.position, e.event from {SOURCE} where {WITHIN} order by e.occurred%s, e.position%s limit :limit"
ROWS = {Order.ASC: _ROWS % ("", ""), Order.DESC: _ROWS % (" desc", " desc")}


class Row(Struct):
    """Where an event is that meets the conditions."""

    position: int
    event: str


class Sifted(NamedTuple):
    """Where the first events are that meet the conditions, and how many there are in all."""

    positions: list[int]
    total: int


class Decided(NamedTuple):
    """Names that tell alone whether their events are meant, how many are, and whether there are no other names."""

    names: frozenset[str] = frozenset()
    meant: int = 0
    all: bool = False


def stretches(tx: Tx, wanted: EventFilter) -> Iterator[Period]:
    """The filter's period in parts of so many events, both ends included."""
    since, until = times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)
    while since <= until:
        edge = tx.one(EDGES[wanted.order], since=since, until=until, many=STRETCH - 1)
        if edge is None:
            yield since, until
            return
        if wanted.order == Order.ASC:
            yield since, edge
            since = edge + spans.TICK
        else:
            yield edge, until
            until = edge - spans.TICK


def first(tx: Tx, wanted: EventFilter, where: Where, many: int) -> list[int]:
    """Where the first so many events are; `where` is the filter but for its period."""
    found: list[Row] = []
    for stretch in stretches(tx, wanted):
        found += _rows(tx, wanted.order, where, stretch, many - len(found))
        if len(found) >= many:
            break
    return [row.position for row in found]


def page(tx: Tx, wanted: EventFilter, where: Where, many: int) -> Sifted:
    """The same, with how many there are."""
    by_name = decided(tx, wanted)
    undecided = _but(where, by_name.names)
    found: list[Row] = []
    total = by_name.meant
    for stretch in stretches(tx, wanted):
        left = many - len(found)
        if not left and by_name.all:
            break
        here = _rows(tx, wanted.order, where, stretch, left) if left else []
        found += here
        if len(here) < left:
            total += sum(row.event not in by_name.names for row in here)
        elif not by_name.all:
            total += _count(tx, undecided, stretch)
    return Sifted([row.position for row in found], total)


def _rows(tx: Tx, order: Order, where: Where, stretch: Period, limit: int) -> list[Row]:
    rows: list[Row] = tx.composed(Row, ROWS[order], where, since=stretch[0], until=stretch[1], limit=limit)
    return rows


def _count(tx: Tx, where: Where, stretch: Period) -> int:
    return int(tx.composed(int, COUNT, where, since=stretch[0], until=stretch[1])[0])


def decided(tx: Tx, wanted: EventFilter) -> Decided:
    """What the names of events tell alone, if nothing but a text is asked for beside names and a time."""
    names = conditions.names_alone(replace(wanted, text=None))
    if wanted.text is None or names is None:
        return Decided()
    tallied = tallies.by_name(tx, (times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)), names)
    if tallied is None:
        return Decided()
    search = text_search.parse(wanted.text.query)
    meant = {row.event: row.events for row in tallied if _is_meant(search, row.event)}
    others = {row.event for row in tallied if any(term in row.event.lower() for term in search.excluded)}
    known = frozenset(name for name in others.union(meant) if name.isascii())
    return Decided(known, sum(many for name, many in meant.items() if name in known), len(known) == len(tallied))


def _is_meant(search: TextSearch, event: str) -> bool:
    name = event.lower()
    if search.excluded or not all(term in name for term in search.required):
        return False
    return not search.any or any(term in name for term in search.any)


def _but(where: Where, names: frozenset[str]) -> Where:
    found = Where()
    found.add_any([where])
    if excluded := equals_none(on("e.event"), sorted(names), "text"):
        found.add(excluded.text, **excluded.params)
    return found
