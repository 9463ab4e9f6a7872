"""Pages of events, and how many there are."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lictor.db import Tx, Where
from lictor.db.statement import composed
from lictor.events import asking, conditions, mentions, narrowing, reading, settling, sifting, tallies
from lictor.events.filters import EventFilter, Order
from lictor.events.mentions import Mention
from lictor.events.reading import Recorded
from lictor.events.recalling import Period, Spot, recall
from lictor.events.remembering import Memory
from lictor.events.sifting import Sifted
from lictor.events.spans import TICK
from lictor.events.types import ReceivedEvent
from lictor.kit import decoding, times

MOST_ON_A_PAGE = 50
# Events that are looked at first for one of each resource.
FIRST_STEP = 500
# Resources whose events are counted by bringing them together.
MOST_ARMS = 5

OWN = "event_resources r"

DIRECTIONS = {Order.ASC: "", Order.DESC: " desc"}


class After(NamedTuple):
    """The event behind which a page begins."""

    occurred: datetime
    position: int


class Continuation(Struct):
    """What a page token says: the filter, how many there were at first, and where the next page begins.

    That is behind an event; only one of each resource (`distinct`) has to be counted off each time.
    """

    filter: EventFilter
    count: int
    page_size: int
    offset: int
    after: After | None = None


class Slice(NamedTuple):
    """Events of a page, how many there are in all, and the token of the next page if there is one."""

    events: list[ReceivedEvent]
    total: int
    next_token: str | None


def first_page(tx: Tx, asked: EventFilter, size: int, memory: Memory) -> Slice:
    total = tallied(tx, asked)
    if total is not None:
        positions = _positions(tx, asked, min(total, _size(asked, size))) if total else []
    else:
        positions, total = _first(tx, asked, size, memory)
    return _slice(tx, Continuation(asked, total, size, 0), positions)


def _first(tx: Tx, asked: EventFilter, size: int, memory: Memory) -> Sifted:
    as_of = tallies.as_of(tx)
    wanted = settling.settled(tx, asked)
    question = asking.how_many(tx, memory, asked, wanted, as_of)
    recalled = None if question is None else recall(tx, memory, question, [narrowing.period(wanted)])
    if question is not None and recalled is not None:
        [total] = recalled.counts()
        many = min(total, size)
        if question.placed:
            return Sifted(_at_spots(tx, wanted, recalled.spots(), many, None), total)
        return Sifted(_positions(tx, wanted, many) if many else [], total)
    found = _looked_for(tx, wanted, size)
    asking.note(tx, memory, asked, wanted, as_of, found.total)
    return found


def _looked_for(tx: Tx, wanted: EventFilter, size: int) -> Sifted:
    where = narrowing.to_sift(tx, wanted)
    if where is not None:
        own = mentions.own_rows(wanted)
        return sifting.page(tx, wanted, where, size) if own is None else _of_own(tx, wanted, where, own, size)
    total = count(tx, wanted)
    return Sifted(_positions(tx, wanted, min(total, _size(wanted, size))) if total else [], total)


def _of_own(tx: Tx, wanted: EventFilter, where: Where, own: Where, size: int) -> Sifted:
    """By the rows of events' own resources, of which each has one; a page of many is found sooner in the log."""
    total = tx.count(f"from {OWN}", own)
    if total > narrowing.FEW_TO_COUNT:
        return Sifted(sifting.first(tx, wanted, where, size), total)
    order = _order(wanted, "r")
    return Sifted(tx.page(int, f"select r.position from {OWN}", own, order=order, limit=size) if total else [], total)


def next_page(tx: Tx, at: Continuation, memory: Memory) -> Slice:
    """The page that a token leads to; the total is still the first page's."""
    as_of = tallies.as_of(tx)
    wanted = settling.settled(tx, at.filter)
    size = _size(wanted, at.page_size)
    if wanted.distinct:  # to look for more than there were would be to look through the whole log
        size = max(0, min(size, at.count - at.offset))
    question = None if at.after is None else asking.how_many(tx, memory, at.filter, wanted, as_of)
    if at.after is not None and question is not None and question.placed:
        recalled = recall(tx, memory, question, _spans_behind(wanted, at.after))
        if recalled is not None:
            return _slice(tx, at, _at_spots(tx, wanted, recalled.spots(), size, at.after))
    return _slice(tx, at, _positions(tx, wanted, size, at.offset, at.after))


def _spans_behind(wanted: EventFilter, after: After) -> list[Period]:
    """The filter's period from that event on: its own moment, and what is left."""
    since, until = narrowing.period(wanted)
    at = times.utc(after.occurred)
    spans = [(since, at - TICK), (at, at)] if wanted.order == Order.DESC else [(at, at), (at + TICK, until)]
    return [(first, last) for first, last in spans if first <= last]


def _at_spots(tx: Tx, wanted: EventFilter, spots: list[Spot], many: int, after: After | None) -> list[int]:
    """Where the first so many events are, of those that are known to be there."""
    found: list[int] = []
    some: list[int] = []
    for spot in spots if wanted.order == Order.ASC else reversed(spots):
        if len(found) >= many:
            break
        if spot.known.positions is None:
            found += _in_order(tx, wanted, some, many - len(found), after)
            some = []
            found += _of_spot(tx, wanted, spot, many - len(found), after)
            continue
        some += spot.known.positions
        if len(found) + len(some) >= many:
            found += _in_order(tx, wanted, some, many - len(found), after)
            some = []
    return found + _in_order(tx, wanted, some, many - len(found), after)


def _of_spot(tx: Tx, wanted: EventFilter, spot: Spot, many: int, after: After | None) -> list[int]:
    there = after is not None and spot.first <= times.utc(after.occurred) <= spot.last
    wanted = replace(wanted, occurred=replace(wanted.occurred, since=spot.first, until=spot.last))
    return _positions(tx, wanted, many, 0, after if there else None) if many > 0 else []


def _in_order(tx: Tx, wanted: EventFilter, positions: list[int], many: int, after: After | None) -> list[int]:
    if not positions or many <= 0:
        return []
    where = Where()
    where.add("e.position {in:positions:bigint}", positions=positions)
    _add_after(where, wanted, "e", after)
    return tx.page(int, "select e.position from events e", where, order=_order(wanted, "e"), limit=many)


def _size(wanted: EventFilter, size: int) -> int:
    return min(size, len(wanted.id.id)) if wanted.id.id else size


def _slice(tx: Tx, at: Continuation, positions: list[int]) -> Slice:
    events = _at(tx, positions)
    found = [event.as_received() for event in events]
    behind = at.offset + at.page_size
    if behind >= at.count:
        return Slice(found, at.count, None)
    after = After(events[-1].occurred, events[-1].position) if events and not at.filter.distinct else at.after
    return Slice(found, at.count, encode(Continuation(at.filter, at.count, at.page_size, behind, after)))


def _behind(wanted: EventFilter, after: After) -> EventFilter:
    """The filter from that moment on."""
    ends = {"since" if wanted.order == Order.ASC else "until": after.occurred}
    return replace(wanted, occurred=replace(wanted.occurred, **ends))


def page(tx: Tx, wanted: EventFilter, limit: int, offset: int = 0) -> list[Recorded]:
    """Events of one moment are in the order of the log."""
    return _at(tx, _positions(tx, wanted, limit, offset))


def _at(tx: Tx, positions: list[int]) -> list[Recorded]:
    """The events at these positions, but for those that were deleted since the positions were read: on PostgreSQL each
    statement sees what was committed before it."""
    found = {event.position: event for event in reading.at(tx, positions)} if positions else {}
    return [found[position] for position in positions if position in found]


def _positions(tx: Tx, wanted: EventFilter, limit: int, offset: int = 0, after: After | None = None) -> list[int]:
    if after is not None:
        wanted, offset = _behind(wanted, after), 0
    where = narrowing.to_sift(tx, wanted)
    if where is not None:
        _add_after(where, wanted, "e", after)
        return sifting.first(tx, wanted, where, offset + limit)[offset:]
    named = mentions.find(wanted)
    if wanted.distinct:
        return _first_of_each(tx, wanted, offset + limit)[offset:]
    if named and named[0].several and not named[0].single:
        return _merged(tx, wanted, named[0], limit, offset, after)
    found = narrowing.narrowed(tx, wanted, whole=False)
    _add_after(found.where, wanted, found.at, after)
    select = f"select {found.at}.position from {found.source}"
    return tx.page(int, select, found.where, order=_order(wanted, found.at), limit=limit, offset=offset)


def _order(wanted: EventFilter, at: str) -> str:
    direction = DIRECTIONS[wanted.order]
    return f"{at}.occurred{direction}, {at}.position{direction}"


class Own(Struct):
    """An event and the resource that it is about."""

    position: int
    occurred: datetime
    resource_id: str


def _first_of_each(tx: Tx, wanted: EventFilter, many: int) -> list[int]:
    """The first event of each resource, of so many: mostly they are all found near the beginning."""
    first: dict[str, int] = {}
    after: After | None = None
    step = FIRST_STEP
    while len(first) < many:
        found = narrowing.narrowed(tx, wanted if after is None else _behind(wanted, after))
        _add_after(found.where, wanted, found.at, after)
        select = f"select {found.at}.position, {found.at}.occurred, e.resource_id from {found.source}"
        rows: list[Own] = tx.page(Own, select, found.where, order=_order(wanted, found.at), limit=step)
        for row in rows:
            first.setdefault(row.resource_id, row.position)
        if len(rows) < step:
            break
        after, step = After(rows[-1].occurred, rows[-1].position), min(step * 4, sifting.STRETCH)
    return list(first.values())[:many]


def _merged(tx: Tx, wanted: EventFilter, mention: Mention, limit: int, offset: int, after: After | None) -> list[int]:
    """From the first events of each resource."""
    where = Where()
    mention.add(where, ids=False)
    _add_after(where, wanted, "r", after)
    source = "event_resources r"
    if not mention.alone:
        source = "event_resources r cross join events e"
        where.add("e.position = r.position")
        mention.add_rest(where)
    direction = DIRECTIONS[wanted.order]
    arms = [
        f"""select * from (
            select r.occurred, r.position from {source} where r.resource_id = {{text:id{index}}} and {where.text()}
            order by r.occurred{direction}, r.position{direction} limit :most
        ) r{index}"""
        for index in range(len(mention.ids))
    ]
    text = f"""
        select r.position from ({" union ".join(arms)}) r
        order by r.occurred{direction}, r.position{direction} limit :limit offset :offset"""
    ids = {f"id{index}": id for index, id in enumerate(mention.ids)}
    return tx.all(composed(int, text), **where.params, **ids, most=offset + limit, limit=limit, offset=offset)


def _add_after(where: Where, wanted: EventFilter, at: str, after: After | None) -> None:
    if after is not None:
        sign = ">" if wanted.order == Order.ASC else "<"
        either = f"{at}.occurred {sign} {{ts:occurred}} or {at}.position {sign} {{int:position}}"
        where.add(f"({either})", occurred=after.occurred, position=after.position)


def tallied(tx: Tx, wanted: EventFilter) -> int | None:
    """How many events there are, if tallies know; those of names at a time, that is."""
    names = conditions.names_alone(wanted)
    if names is None:
        return None
    found = tallies.counts(tx, [narrowing.period(wanted)], names)
    return None if found is None else found[0]


def count(tx: Tx, wanted: EventFilter) -> int:
    if wanted.distinct:
        return _count_resources(tx, wanted)
    mention = narrowing.best(tx, wanted)
    if mention is not None and mention.alone and mention.several:
        if 1 < len(mention.ids) <= MOST_ARMS and not mention.others:
            return _count_of_arms(tx, " union ", [mention._replace(ids=[id]) for id in mention.ids])
        # To look each event of one up among those of another takes longer than to bring both together, if there are
        # many; and PostgreSQL, which keeps one plan for resources of any size, would do so.
        if mention.single and mention.others and narrowing.many(tx, mention)[0] > narrowing.FEW:
            return _count_of_arms(tx, " intersect ", [mention._replace(others=()), *mention.others])
    found = narrowing.by_mention(tx, wanted, mention, narrowing.FEW_TO_COUNT)
    return _count(tx, found, found.many)


def _count_resources(tx: Tx, wanted: EventFilter) -> int:
    own = mentions.own_rows(wanted)
    if own is not None:
        text = f"select count(*) from (select distinct r.resource_id from {OWN} where {{where}}) own"
        return int(tx.composed(int, text, own)[0])
    return _count(tx, narrowing.narrowed(tx, wanted), "count(distinct e.resource_id)")


def _count(tx: Tx, found: narrowing.Narrowed, many: str) -> int:
    return int(tx.composed(int, f"select {many} from {found.source} where {{where}}", found.where)[0])


def _count_of_arms(tx: Tx, combined: str, arms: list[Mention]) -> int:
    where, selects = Where(), []
    for arm in arms:
        rows = Where()
        arm.add(rows)
        selects.append(f"select r.occurred, r.position from event_resources r where {where.take(rows)}")
    text = f"select count(*) from ({combined.join(selects)}) arms"
    return int(tx.value(composed(int, text), **where.params))


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
    fits = fits and (found.after is None or abs(found.after.position) < 2**62)
    return found if fits else None
