"""How many events there are by time, by name, by resource."""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from lictor.db import Tx, Where
from lictor.events import asking, conditions, mentions, narrowing, settling, sifting, tallies
from lictor.events.filters import EventFilter, Order
from lictor.events.narrowing import Narrowed
from lictor.events.recalling import Period, recall
from lictor.events.remembering import Memory
from lictor.events.tallies import AsOf
from lictor.events.types import RESOURCE_NAME
from lictor.kit import clock, times
from lictor.kit.errors import Unprocessable
from lictor.web import Embedded

# Spans of time begin here and there, whatever the filter: the reference's first Monday.
PIVOT = datetime(2024, 4, 1, tzinfo=UTC)
MOST_SPANS = 1000
MICROSECOND = timedelta(microseconds=1)


class TimeUnit(StrEnum):
    week = "week"
    day = "day"
    hour = "hour"
    minute = "minute"
    second = "second"


SECONDS = {
    TimeUnit.week: 604_800.0,
    TimeUnit.day: 86_400.0,
    TimeUnit.hour: 3_600.0,
    TimeUnit.minute: 60.0,
    TimeUnit.second: 1.0,
}


class Countable(StrEnum):
    day = "day"
    time = "time"
    event = "event"
    resource = "resource"


class CountQuery(Embedded):
    filter: EventFilter
    time_unit: TimeUnit = TimeUnit.day
    time_interval: Annotated[float, Meta(ge=0.01)] = 1.0


class EventCount(Struct):
    """The count of a span (`value` is its number in the answer), of a name or of a resource; both ends belong to it."""

    value: str
    label: str
    count: int
    start_time: datetime
    end_time: datetime


class Asked(NamedTuple):
    """A filter as it was asked and as it is settled, and when that was."""

    filter: EventFilter
    wanted: EventFilter
    as_of: AsOf


def count(tx: Tx, countable: Countable, query: CountQuery, memory: Memory) -> list[EventCount]:
    """Raises Unprocessable for more than a thousand spans, whatever is counted, as the reference."""
    as_of = tallies.as_of(tx)
    wanted = settling.settled(tx, query.filter)
    asked = Asked(query.filter, wanted, as_of)
    try:
        size = timedelta(seconds=SECONDS[query.time_unit] * query.time_interval)
        check_spans(wanted, size)
        if countable == Countable.time:
            return _by_time(tx, asked, query.time_unit, size, memory)
        if countable == Countable.day:
            day = timedelta(days=1)
            check_spans(wanted, day)
            return _by_time(tx, asked, TimeUnit.day, day, memory)
    except OverflowError:
        raise Unprocessable("The given interval reaches beyond the years 1 to 9999.") from None
    return _by_name(tx, asked, memory) if countable == Countable.event else _by_resource(tx, wanted)


def check_spans(wanted: EventFilter, size: timedelta) -> None:
    spans = math.ceil((wanted.occurred.until - wanted.occurred.since) / size)
    if spans > MOST_SPANS:
        raise Unprocessable(
            f"The given interval would create {spans} buckets, which is too many. Please increase the interval or "
            f"reduce the time range to produce {MOST_SPANS} buckets or fewer."
        )


def bounds(since: datetime, until: datetime, unit: TimeUnit, size: timedelta) -> list[datetime]:
    """Where the spans begin that `since` to `until` touches, and where the last one ends; there is none after the end
    of the present unit of time."""
    now = clock.now()
    if until > now:
        until = _end(now, unit)
    at = PIVOT + size * ((since - PIVOT) // size)
    found = [at]
    while at < until:
        at += size
        found.append(at)
    return found


def _end(moment: datetime, unit: TimeUnit) -> datetime:
    since_pivot = (moment - PIVOT) // timedelta(seconds=SECONDS[unit])
    return PIVOT + timedelta(seconds=SECONDS[unit]) * (since_pivot + 1) - MICROSECOND


def _by_time(tx: Tx, asked: Asked, unit: TimeUnit, size: timedelta, memory: Memory) -> list[EventCount]:
    wanted = asked.wanted
    since, until = narrowing.period(wanted)
    edges = bounds(since, until, unit, size)
    if len(edges) < 2:
        return []
    counts = _tallied(tx, wanted, edges) if since <= until else [0] * len(edges)
    if counts is None:
        counts = _remembered(tx, asked, edges, memory)
    if counts is None:
        counts = _counted(tx, wanted, edges)
        asking.note(tx, memory, asked.filter, wanted, asked.as_of, sum(counts))
    return [
        EventCount(str(index), low.isoformat(), counts[index], low, high - MICROSECOND)
        for index, (low, high) in enumerate(pairwise(edges))
    ]


def _tallied(tx: Tx, wanted: EventFilter, edges: list[datetime]) -> list[int] | None:
    names = conditions.names_alone(wanted)
    if names is None:
        return None
    return tallies.counts(tx, _spans(wanted, edges), names)


def _spans(wanted: EventFilter, edges: list[datetime]) -> list[Period]:
    """Both ends included."""
    since, until = narrowing.period(wanted)
    return [(max(low, since), min(high - MICROSECOND, until)) for low, high in pairwise(edges)]


def _remembered(tx: Tx, asked: Asked, edges: list[datetime], memory: Memory) -> list[int] | None:
    question = asking.how_many(tx, memory, asked.filter, asked.wanted, asked.as_of)
    recalled = None if question is None else recall(tx, memory, question, _spans(asked.wanted, edges))
    return None if recalled is None else recalled.counts()


def _counted(tx: Tx, wanted: EventFilter, edges: list[datetime]) -> list[int]:
    counts = _sifted(tx, wanted, edges)
    if counts is not None:
        return counts
    found = narrowing.to_count(tx, wanted, narrowing.FEW)
    return _of_few(tx, found, edges) if found.few else _of_spans(tx, wanted, edges)


def _of_few(tx: Tx, found: Narrowed, edges: list[datetime]) -> list[int]:
    counts = [0] * len(edges)
    text = f"select {found.at}.occurred from {found.source} where {{where}}"
    for occurred in tx.composed(datetime, text, found.where):
        counts[bisect_right(edges, occurred) - 1] += 1
    return counts


def _sifted(tx: Tx, wanted: EventFilter, edges: list[datetime]) -> list[int] | None:
    """By looking through the log, if there is no other way."""
    where = narrowing.to_sift(tx, wanted)
    if where is None:
        return None
    counts = [0] * len(edges)
    found = Narrowed(where, False, sifting.SOURCE)
    for since, until in sifting.stretches(tx, wanted):
        first, behind = bisect_right(edges, since), bisect_right(edges, until)
        parts = [since, *edges[first:behind], until + MICROSECOND]
        for span, many in enumerate(_of_parts(tx, found, parts), first - 1):
            counts[span] += many
    return counts


def _of_spans(tx: Tx, wanted: EventFilter, edges: list[datetime]) -> list[int]:
    since, until = narrowing.period(wanted)
    clipped = [max(edges[0], since), *edges[1:-1], min(edges[-1], until + MICROSECOND)]
    return _of_parts(tx, narrowing.to_count(tx, wanted, narrowing.FEW, occurred=False), clipped)


def _of_parts(tx: Tx, found: Narrowed, edges: list[datetime]) -> list[int]:
    """One range of an index for each."""
    text = f"""
        select (
            select {found.many} from {found.source}
            where {found.at}.occurred >= cast(low as {{ts_type}}) and {found.at}.occurred < cast(high as {{ts_type}})
                and {{where}}
        ) from (select value as low, lead(value) over (order by value) as high from {{each:edges}}) spans
        where high is not null order by low
    """
    return tx.composed(int, text, found.where, edges=[times.text(edge) for edge in edges])


# Step by step from each name to the next, in an index: there are few names and many events.
_NAMES = """
    with recursive names (event) as (
        select min(event) from events
        union all
        select (select min(e.event) from events e where e.event > names.event) from names where names.event is not null
    )
    select n.event, n.event, n.many, n.oldest, n.latest from (
        select names.event,
            (select count(*) from events e where e.event = names.event and {where}) as many,
            (select min(e.occurred) from events e where e.event = names.event and {where}) as oldest,
            (select max(e.occurred) from events e where e.event = names.event and {where}) as latest
        from names where names.event is not null
    ) n where n.many > 0 order by n.many desc, n.event
"""
_NAMES_OF_FEW = """
    select e.event, e.event, count(*) as many, min(e.occurred), max(e.occurred) from {source} where {where}
    group by e.event order by many desc, e.event
"""
# By the numbers beside the mentions of resources,
_NUMBERS = """
    select coalesce(n.name, '') as event, coalesce(n.name, '') as label, c.many, c.oldest, c.latest from (
        select r.name, {many} as many, min(r.occurred) as oldest, max(r.occurred) as latest
        from {source} where {where} group by r.name
    ) c left join event_name n on n.id = c.name
"""
# and by the events of those that have none. (PostgreSQL must not look into events first.)
_NAMES_WITHOUT = f"""
    select c.event, c.event, {{many}}, min(c.occurred), max(c.occurred) from (
        select r.occurred, r.position, (select e.event from events e where e.position = r.position) as event
        from {{source}} where {{where}} and not {mentions.NUMBERED}
    ) c group by c.event
"""


def _by_name(tx: Tx, asked: Asked, memory: Memory) -> list[EventCount]:
    wanted = asked.wanted
    question = asking.by_name(tx, memory, asked.filter, wanted, asked.as_of)
    recalled = None if question is None else recall(tx, memory, question, [narrowing.period(wanted)])
    if recalled is not None:
        found = [EventCount(name, name, *named) for name, named in recalled.names().items()]
        return sorted(found, key=lambda count: (-count.count, count.value))
    found = _by_name_now(tx, wanted)
    asking.note(tx, memory, asked.filter, wanted, asked.as_of, sum(each.count for each in found), b"names")
    return found


def _by_name_now(tx: Tx, wanted: EventFilter) -> list[EventCount]:
    names = conditions.names_alone(wanted)
    tallied = None if names is None else tallies.by_name(tx, narrowing.period(wanted), names)
    if tallied is not None:
        return [EventCount(row.event, row.event, row.events, row.oldest, row.latest) for row in tallied]
    where = narrowing.to_sift(tx, wanted)
    if where is not None:
        return _added(tx, wanted, where, _NAMES_OF_FEW)
    beside = narrowing.beside(tx, wanted)
    if beside is not None:
        return _by_number(tx, beside)
    found = narrowing.narrowed(tx, wanted)
    text = _NAMES_OF_FEW.replace("{source}", found.source) if found.few else _NAMES
    return tx.composed(EventCount, text, found.where)


def _by_number(tx: Tx, found: Narrowed) -> list[EventCount]:
    text = _NUMBERS.replace("{source}", found.source).replace("{many}", found.many)
    rows = tx.composed(EventCount, text, found.where)
    counts = [row for row in rows if row.value]
    if len(counts) < len(rows):
        many = found.many.replace("r.", "c.")
        text = _NAMES_WITHOUT.replace("{source}", found.source).replace("{many}", many)
        counts = _merged(counts, tx.composed(EventCount, text, found.where))
    return sorted(counts, key=lambda count: (-count.count, count.value))


def _merged(counts: list[EventCount], others: list[EventCount]) -> list[EventCount]:
    merged = {count.value: count for count in counts}
    for other in others:
        count = merged.setdefault(other.value, other)
        if count is not other:
            count.count += other.count
            count.start_time = min(count.start_time, other.start_time)
            count.end_time = max(count.end_time, other.end_time)
    return list(merged.values())


# The label is the name in the resource's latest event. That is mostly the last that was written of it, which is found
# sooner than by its time.
_LABEL = f"coalesce({{key:n.resource:{RESOURCE_NAME}}}, {{key:n.resource:prefect.name}}, n.resource_id)"
_RESOURCES = f"""
    select c.value, coalesce(
        (select {_LABEL} from events n where n.position = c.last and n.occurred = c.latest),
        (
            select {_LABEL} from events n where n.occurred = c.latest and n.resource_id = c.value
            order by n.position desc limit 1
        )
    ) as label, c.many, c.oldest, c.latest from (
        select e.resource_id as value, count(*) as many, min(e.occurred) as oldest, max(e.occurred) as latest,
            max(e.position) as last
        from {{source}} where {{where}} group by e.resource_id
    ) c order by c.many desc, label
"""


def _by_resource(tx: Tx, wanted: EventFilter) -> list[EventCount]:
    where = narrowing.in_log(tx, wanted)
    if where is not None:
        return _added(tx, wanted, where, _RESOURCES)
    found = narrowing.narrowed(tx, wanted)
    text = _RESOURCES.replace("{source}", found.source)
    return tx.composed(EventCount, text, found.where)


def _added(tx: Tx, wanted: EventFilter, where: Where, text: str) -> list[EventCount]:
    """From the counts of stretches of the log, the newest first: a label is that of the latest event."""
    text = text.replace("{source}", sifting.SOURCE).replace("{where}", sifting.WITHIN)
    counts: dict[str, EventCount] = {}
    for since, until in sifting.stretches(tx, replace(wanted, order=Order.DESC)):
        for older in tx.composed(EventCount, text, where, since=since, until=until):
            newer = counts.setdefault(older.value, older)
            if newer is not older:
                newer.count += older.count
                newer.start_time = older.start_time
    return sorted(counts.values(), key=lambda count: (-count.count, count.label))
