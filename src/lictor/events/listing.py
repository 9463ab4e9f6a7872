"""Pages of events, and how many there are."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct

from lictor.db import Tx, Where
from lictor.db.statement import composed
from lictor.events import filters, tallies
from lictor.events.filters import EventFilter, Order
from lictor.events.reading import COLUMNS, Recorded
from lictor.events.types import ReceivedEvent
from lictor.kit import decoding, times

MOST_ON_A_PAGE = 50
# Events of a resource up to which they are looked at one by one; of more, the log is read in order instead.
FEW = 3_000
# To count them there is no order to make use of: up to so many they are looked at one by one.
FEW_TO_COUNT = 50_000

DIRECTIONS = {Order.ASC: "", Order.DESC: " desc"}


class Continuation(Struct):
    """What a page token says: the filter, how many there were at first, and where the next page begins."""

    filter: EventFilter
    count: int
    page_size: int
    offset: int


class Slice(NamedTuple):
    """Events of a page, how many there are in all, and the token of the next page if there is one."""

    events: list[ReceivedEvent]
    total: int
    next_token: str | None


class Narrowed(NamedTuple):
    """Conditions on `events e`; those of a `few` name the positions."""

    where: Where
    few: bool


def first_page(tx: Tx, wanted: EventFilter, size: int) -> Slice:
    where = narrowed(tx, wanted)
    total = tallied(tx, wanted)
    if total is None:
        total = count(tx, wanted, where.where if where.few else narrowed(tx, wanted, few=FEW_TO_COUNT).where)
    return _slice(tx, Continuation(wanted, total, size, 0), where.where)


def next_page(tx: Tx, at: Continuation) -> Slice:
    """The page that a token leads to; the total is still the first page's."""
    return _slice(tx, at, narrowed(tx, at.filter).where)


def _slice(tx: Tx, at: Continuation, where: Where) -> Slice:
    size = min(at.page_size, len(at.filter.id.id)) if at.filter.id.id else at.page_size
    events = [found.as_received() for found in page(tx, at.filter, where, size, at.offset)] if size else []
    behind = at.offset + at.page_size
    if behind >= at.count:
        return Slice(events, at.count, None)
    return Slice(events, at.count, encode(Continuation(at.filter, at.count, at.page_size, behind)))


def narrowed(tx: Tx, wanted: EventFilter, *, occurred: bool = True, few: int = FEW) -> Narrowed:
    """The filter's conditions; where it names resources of few events, with the positions of those.

    Planners cannot know how many events a resource has: that is anything from one to all of them, and reading the log
    in order until a page is full is as bad for the one as gathering and sorting is for the other.
    """
    where = Where()
    positions: set[int] | None = None
    for candidate, exact in filters.candidates(wanted):
        text = f"select r.position from event_resources r where {candidate.text()} limit :limit"
        found: list[int] = tx.all(composed(int, text), **candidate.params, limit=few + 1)
        if len(found) <= few:
            positions = set(found) if positions is None else positions.intersection(found)
        elif exact:
            # It stands first: an index answers it, and what the filter says of JSON is looked at for the rest.
            where.add_exists("select 1 from event_resources r where r.position = e.position", candidate)
    filters.add(where, wanted, occurred=occurred)
    if positions is not None:
        where.add("e.position {in:positions:bigint}", positions=sorted(positions))
    return Narrowed(where, positions is not None)


def page(tx: Tx, wanted: EventFilter, where: Where, limit: int, offset: int = 0) -> list[Recorded]:
    """Events of one moment are in the order of the log."""
    direction = DIRECTIONS[wanted.order]
    order = f"e.occurred{direction}, e.position{direction}"
    if not wanted.distinct:
        select = f"select {COLUMNS} from events e"
        return tx.page(Recorded, select, where, order=order, limit=limit, offset=offset)
    text = f"""
        select {COLUMNS} from events e join (
            select e.position, row_number() over (partition by e.resource_id order by {order}) as place
            from events e where {{where}}
        ) ranked on ranked.position = e.position
        where ranked.place = 1 order by {order} limit :limit offset :offset
    """
    return tx.composed(Recorded, text, where, limit=limit, offset=offset)


def tallied(tx: Tx, wanted: EventFilter) -> int | None:
    """How many events there are, if tallies know; those of names at a time, that is."""
    names = filters.names_alone(wanted)
    if names is None:
        return None
    found = tallies.counts(tx, [period(wanted)], names)
    return None if found is None else found[0]


def period(wanted: EventFilter) -> tuple[datetime, datetime]:
    """From when to when, both included."""
    return times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)


def count(tx: Tx, wanted: EventFilter, where: Where) -> int:
    if not wanted.distinct:
        return tx.count("from events e", where)
    return int(tx.composed(int, "select count(distinct e.resource_id) from events e where {where}", where)[0])


def encode(at: Continuation) -> str:
    """JSON in base64, twice, as the reference's."""
    return base64.b64encode(base64.b64encode(msgspec.json.encode(at))).decode()


def decode(token: str) -> Continuation | None:
    """None for what is not a token; one that asks for more than a page may hold is none either."""
    try:
        inner = base64.b64decode(base64.b64decode(token.encode()))
        found = decoding.decode(inner, Continuation)
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        return None
    fits = 0 <= found.page_size <= MOST_ON_A_PAGE and 0 <= found.offset < 2**62 and found.count >= 0
    return found if fits else None
