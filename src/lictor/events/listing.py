"""Pages of events, and how many there are."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lictor.db import Tx, Where, sql
from lictor.db.statement import composed
from lictor.events import conditions, mentions, reading, settling, sifting, tallies
from lictor.events.filters import EventFilter, Order
from lictor.events.mentions import Mention
from lictor.events.reading import Recorded
from lictor.events.sifting import Sifted
from lictor.events.types import ReceivedEvent
from lictor.kit import decoding, times

MOST_ON_A_PAGE = 50
# Events of a resource up to which they are looked at one by one; of more, the log is read in order instead.
FEW = 3_000
# To count them there is no order to make use of: up to so many they are looked at one by one.
FEW_TO_COUNT = 50_000
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


class Density(Struct):
    """How many of a resource's latest events there are, and when the first of them occurred."""

    many: int
    oldest: datetime | None


LATEST = sql(
    "events.latest_of_resource",
    Density,
    """
    select count(*), min(latest.occurred) from (
        select r.occurred from event_resources r
        where r.resource_id = {text:resource_id} and r.occurred >= {ts:since} and r.occurred <= {ts:until}
        order by r.occurred desc limit :limit
    ) latest
    """,
)


class Narrowed(NamedTuple):
    """Where the filter's events are found, and on what conditions; `at` has when they occurred and their positions.

    What `few` is said of is looked at one by one.
    """

    where: Where
    few: bool
    source: str = "events e"
    at: str = "e"
    many: str = "count(*)"


def first_page(tx: Tx, asked: EventFilter, size: int) -> Slice:
    wanted = settling.settled(tx, asked)
    total = tallied(tx, wanted)
    if total is None and (where := to_sift(tx, wanted)) is not None:
        own = mentions.own_rows(wanted)
        positions, total = (
            sifting.page(tx, wanted, where, size) if own is None else _of_own(tx, wanted, where, own, size)
        )
    else:
        total = count(tx, wanted) if total is None else total
        positions = _positions(tx, wanted, min(total, _size(wanted, size))) if total else []
    return _slice(tx, Continuation(asked, total, size, 0), positions)


def _of_own(tx: Tx, wanted: EventFilter, where: Where, own: Where, size: int) -> Sifted:
    """By the rows of events' own resources, of which each has one; a page of many is found sooner in the log."""
    total = tx.count(f"from {OWN}", own)
    if total > FEW_TO_COUNT:
        return Sifted(sifting.first(tx, wanted, where, size), total)
    direction = DIRECTIONS[wanted.order]
    order = f"r.occurred{direction}, r.position{direction}"
    return Sifted(tx.page(int, f"select r.position from {OWN}", own, order=order, limit=size) if total else [], total)


def next_page(tx: Tx, at: Continuation) -> Slice:
    """The page that a token leads to; the total is still the first page's."""
    wanted = settling.settled(tx, at.filter)
    size = _size(wanted, at.page_size)
    if wanted.distinct:  # to look for more than there were would be to look through the whole log
        size = max(0, min(size, at.count - at.offset))
    return _slice(tx, at, _positions(tx, wanted, size, at.offset, at.after))


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


def to_sift(tx: Tx, wanted: EventFilter) -> Where | None:
    """The conditions of a filter for which the log is looked through, but for its period."""
    return None if wanted.distinct or conditions.nothing_but_names(wanted) else in_log(tx, wanted)


def in_log(tx: Tx, wanted: EventFilter) -> Where | None:
    """The same, if all events of its period must be read."""
    named = mentions.find(wanted)
    if wanted.id.id or (named and named[0].several):
        return None
    found = _in_log(tx, wanted, FEW, occurred=False)
    return None if found.few else found.where


def _best(tx: Tx, wanted: EventFilter) -> Mention | None:
    """By which resources the filter's events are found: of several that all must concern, the one with the fewest."""
    found = mentions.find(wanted)
    singles = [one for one in found if one.single]
    return min(singles, key=lambda one: _many(tx, one)) if len(singles) > 1 else next(iter(found), None)


def _many(tx: Tx, mention: Mention) -> tuple[int, datetime]:
    """About how many events a resource has: if there are many, the longer ago the latest of them began, the fewer."""
    since, until = period(mention.rest)
    found = tx.one(LATEST, resource_id=mention.ids[0], since=since, until=until, limit=FEW + 1)
    return (found.many, found.oldest or since) if found is not None else (0, since)


def narrowed(tx: Tx, wanted: EventFilter, *, whole: bool = True) -> Narrowed:
    """By a resource that the filter names; where it names several, by the positions of their events if those are few;
    else in the log. `whole`: more than their positions is wanted, so `events e` is among what they are found in.

    Planners cannot know how many events resources have: that is anything from one to all of them, and reading the log
    in order until a page is full is as bad for the one as gathering and sorting is for the other.
    """
    mention = _best(tx, wanted)
    if mention is None or not mention.several:
        return _in_log(tx, wanted, FEW)
    return _mentioned(mention, whole=whole) if mention.single else _of_several(mention)


def to_count(tx: Tx, wanted: EventFilter, few: int, *, occurred: bool = True) -> Narrowed:
    """The same for who wants no order. Of others up to `few` events are found by their positions; the conditions on
    when they `occurred` can be left out."""
    return _to_count(tx, wanted, _best(tx, wanted), few, occurred=occurred)


def _to_count(tx: Tx, wanted: EventFilter, mention: Mention | None, few: int, *, occurred: bool = True) -> Narrowed:
    if mention is not None and (mention.several or mention.alone):
        return _mentioned(mention, occurred=occurred)
    return _in_log(tx, wanted, few, occurred=occurred)


def beside(tx: Tx, wanted: EventFilter) -> Narrowed | None:
    """The mentions of resources alone, if they tell all that the filter asks."""
    mention = _best(tx, wanted)
    return _mentioned(mention) if mention is not None and mention.several and mention.alone else None


def _of_several(mention: Mention) -> Narrowed:
    """Each event once, though it may concern several of the resources."""
    where, rows = Where(), Where()
    mention.add(rows)
    select = f"select distinct r.occurred, r.position from event_resources r where {where.take(rows)}"
    where.add("e.position = r.position")
    mention.add_rest(where)
    return Narrowed(where, True, f"({select}) r cross join events e", "r")


def _mentioned(mention: Mention, *, occurred: bool = True, whole: bool = False) -> Narrowed:
    where = Where()
    mention.add(where, occurred=occurred)
    many = "count(*)" if mention.single else "count(distinct r.position)"
    if mention.alone and not whole:
        return Narrowed(where, False, "event_resources r", "r", many)
    where.add("e.position = r.position")
    mention.add_rest(where)
    # `cross join`: SQLite would rather begin with the events.
    return Narrowed(where, whole, "event_resources r cross join events e", "r", many)


def _in_log(tx: Tx, wanted: EventFilter, few: int, *, occurred: bool = True) -> Narrowed:
    where = Where()
    positions: set[int] | None = None
    for candidate, exact in mentions.candidates(wanted):
        text = f"select r.position from event_resources r where {candidate.text()} limit :limit"
        found: list[int] = tx.all(composed(int, text), **candidate.params, limit=few + 1)
        if len(found) <= few:
            positions = set(found) if positions is None else positions.intersection(found)
        elif exact:
            # It stands first: an index answers it, and what the filter says of JSON is looked at for the rest.
            where.add_exists(conditions.OF_EVENT, candidate)
    conditions.add(where, wanted, occurred=occurred)
    if positions is not None:
        where.add("e.position {in:positions:bigint}", positions=sorted(positions))
    return Narrowed(where, positions is not None)


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
    where = to_sift(tx, wanted)
    if where is not None:
        _add_after(where, wanted, "e", after)
        return sifting.first(tx, wanted, where, offset + limit)[offset:]
    named = mentions.find(wanted)
    if wanted.distinct:
        return _first_of_each(tx, wanted, offset + limit)[offset:]
    if named and named[0].several and not named[0].single:
        return _merged(tx, wanted, named[0], limit, offset, after)
    found = narrowed(tx, wanted, whole=False)
    _add_after(found.where, wanted, found.at, after)
    select = f"select {found.at}.position from {found.source}"
    return tx.page(int, select, found.where, order=_order(wanted, found), limit=limit, offset=offset)


def _order(wanted: EventFilter, found: Narrowed) -> str:
    direction = DIRECTIONS[wanted.order]
    return f"{found.at}.occurred{direction}, {found.at}.position{direction}"


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
        found = narrowed(tx, wanted if after is None else _behind(wanted, after))
        _add_after(found.where, wanted, found.at, after)
        select = f"select {found.at}.position, {found.at}.occurred, e.resource_id from {found.source}"
        rows: list[Own] = tx.page(Own, select, found.where, order=_order(wanted, found), limit=step)
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
    found = tallies.counts(tx, [period(wanted)], names)
    return None if found is None else found[0]


def period(wanted: EventFilter) -> tuple[datetime, datetime]:
    """From when to when, both included."""
    return times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)


def count(tx: Tx, wanted: EventFilter) -> int:
    if wanted.distinct:
        return _count_resources(tx, wanted)
    mention = _best(tx, wanted)
    if mention is not None and mention.alone and mention.several:
        if 1 < len(mention.ids) <= MOST_ARMS and not mention.others:
            return _count_of_arms(tx, " union ", [mention._replace(ids=[id]) for id in mention.ids])
        # To look each event of one up among those of another takes longer than to bring both together, if there are
        # many; and PostgreSQL, which keeps one plan for resources of any size, would do so.
        if mention.single and mention.others and _many(tx, mention)[0] > FEW:
            return _count_of_arms(tx, " intersect ", [mention._replace(others=()), *mention.others])
    found = _to_count(tx, wanted, mention, FEW_TO_COUNT)
    return _count(tx, found, found.many)


def _count_resources(tx: Tx, wanted: EventFilter) -> int:
    own = mentions.own_rows(wanted)
    if own is not None:
        text = f"select count(*) from (select distinct r.resource_id from {OWN} where {{where}}) own"
        return int(tx.composed(int, text, own)[0])
    return _count(tx, narrowed(tx, wanted), "count(distinct e.resource_id)")


def _count(tx: Tx, found: Narrowed, many: str) -> int:
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
