"""Event tallies: how many events of each name there were, by quarter of an hour and by day of when they occurred.

Counts over weeks must not read a million events. Nobody who writes an event does anything for that: a service follows
the log and *folds* what it reads into the tallies, in the transaction that moves its position on:

    positions     ───────────── folded ─────────────────▶│── fresh: read from the log ──
                  (but for gaps: written by transactions that were still open when others had passed them)

    time asked    ▐ its rows │ quarters │ days │ days │ … │ quarters │ its rows ▌

A question takes whole days and quarters from the tallies, edges from the events themselves (`spans`), and what was not
folded yet, which is little, from the log; one statement does it all, so it sees one state of things. An answer is
exact, whether the service runs or not. Retention takes what it deletes out of the tallies, in its transaction.

Whatever changes tallies has a number, higher than all before, and leaves it with each slot that it changed: what one
statement told of a slot's folded events and its number holds for as long as the slot has that number (`recalling`).

With several writers (PostgreSQL) an event may become visible after later ones were folded: the positions that a round
passed without seeing are gaps, looked for again for `GAP_SECONDS`; what is committed later than that `check` finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from lictor.db import Database, Tx, Where, sql
from lictor.events import naming
from lictor.events.spans import DAY, QUARTER, TICK, Pieces, Stretches, end, floor
from lictor.feed.positions import GAP_SECONDS, MOST_GAPS
from lictor.kit import clock, times
from lictor.loops import Service

# With more than so many events to fold, after an upgrade for instance, a question reads the events alone.
MOST_FRESH = 50_000
BATCH = 2_000


class Progress(Struct):
    """Up to where events were folded, and the number of the last change."""

    position: int
    changed: int


class AsOf(Struct):
    """How many positions wait to be folded, up to where they were, and the number of the last change."""

    waiting: int
    position: int
    changed: int


class Slot(Struct, frozen=True, order=True):
    """A quarter of an hour, or a day."""

    level: int
    slot: datetime


LOCK = sql(
    "event_tallies.lock",
    Progress,
    "select p.position, p.changed from event_tally_progress p where p.id = 1 {for_update}",
)
AS_OF = sql(
    "event_tallies.as_of",
    AsOf,
    """
    select (select coalesce(max(e.position), 0) from events e) - p.position + (select count(*) from event_tally_gap),
        p.position, p.changed
    from event_tally_progress p where p.id = 1
    """,
)
NEXT = sql(
    "event_tallies.next",
    int,
    "select e.position from events e where e.position > {int:last} order by e.position limit :limit",
)
LATE = sql(
    "event_tallies.late",
    int,
    "select g.position from event_tally_gap g cross join events e where e.position = g.position",
)
_ADD = """
    insert into event_tally (level, slot, event, events, oldest, latest)
    select l.level, case when l.level = 0 then {quarter:e.occurred} else {day:e.occurred} end, e.event,
        count(*), min(e.occurred), max(e.occurred)
    from events e cross join (select 0 as level union all select 1) l
    where %s
    group by 1, 2, 3
"""
FOLD = sql(
    "event_tallies.fold",
    Slot,
    _ADD % "e.position {in:positions:bigint}"
    + """
    on conflict (level, slot, event) do update set events = event_tally.events + excluded.events,
        oldest = case when excluded.oldest < event_tally.oldest then excluded.oldest else event_tally.oldest end,
        latest = case when excluded.latest > event_tally.latest then excluded.latest else event_tally.latest end
    returning level, slot
    """,
)
MOVE = sql(
    "event_tallies.move",
    None,
    "update event_tally_progress set position = :position, changed = :changed where id = 1",
)
MARK = sql(
    "event_tallies.mark",
    None,
    """
    insert into event_slot (level, slot, changed) values (:level, :slot, :changed)
    on conflict (level, slot) do update set changed = excluded.changed
    """,
)
NUMBER_ALL = sql(
    "event_tallies.number_all",
    None,
    """
    insert into event_slot (level, slot, changed) select distinct t.level, t.slot, {int:changed} from event_tally t
    where true on conflict (level, slot) do update set changed = excluded.changed
    """,
)
PASS = sql("event_tallies.pass", None, "insert into event_tally_gap (position, passed) values (:position, :passed)")
FILL = sql("event_tallies.fill", None, "delete from event_tally_gap where position {in:positions:bigint}")
GIVE_UP = sql("event_tallies.give_up", None, "delete from event_tally_gap where passed < {ts:before}")


def as_of(tx: Tx) -> AsOf:
    return tx.one(AS_OF) or AsOf(0, 0, 0)


def waiting(tx: Tx) -> int:
    """How many positions there are that a round would look at."""
    return max(0, as_of(tx).waiting)


def fold(tx: Tx, limit: int) -> int:
    """Count the next events of the log; how many there were."""
    progress = _locked(tx)
    last = progress.position
    late = tx.all(LATE)
    ahead = tx.all(NEXT, last=last, limit=limit)
    if late:
        tx.run(FILL, positions=late)
    now = clock.now()
    tx.run(GIVE_UP, before=now - timedelta(seconds=GAP_SECONDS))
    if ahead:
        begin = max(last + 1, ahead[-1] - MOST_GAPS)
        missing = set(range(begin, ahead[-1])).difference(ahead)
        tx.many(PASS, [{"position": position, "passed": now} for position in sorted(missing)])
        last = ahead[-1]
    if late or ahead:
        # By position: what has become visible since then is a gap, and must not be counted as well.
        _mark(tx, last, progress, tx.all(FOLD, positions=late + ahead))
        naming.number(tx, late + ahead)
    return len(late) + len(ahead)


def _locked(tx: Tx) -> Progress:
    """Nobody else changes tallies until this is committed."""
    return tx.one(LOCK) or Progress(0, 0)


def number_all(tx: Tx) -> None:
    """Give all slots new numbers: a version before there were numbers may have changed tallies."""
    progress = _locked(tx)
    tx.run(NUMBER_ALL, changed=_moved(tx, progress.position, progress))


def _moved(tx: Tx, position: int, before: Progress) -> int:
    """A number that no change has had before, not even one of a database that was here once and is gone: servers may
    remember it."""
    changed = max(before.changed + 1, (clock.now() - times.EPOCH) // TICK)
    tx.run(MOVE, position=position, changed=changed)
    return changed


def _mark(tx: Tx, position: int, before: Progress, slots: Iterable[Slot]) -> None:
    """Give slots whose tallies change a number."""
    changed = _moved(tx, position, before)
    # In one order, though whoever does this holds the lock: two at once would show.
    tx.many(MARK, [{"level": at.level, "slot": at.slot, "changed": changed} for at in sorted(set(slots))])


class Gone(Protocol):
    """An event that is being deleted."""

    position: int
    occurred: datetime
    event: str


Touched = list[dict[str, Any]]


GAPS = sql("event_tallies.gaps", int, "select position from event_tally_gap")
TAKE = sql(
    "event_tallies.take",
    None,
    """
    update event_tally set events = events - :gone
    where level = :level and slot = {ts:slot} and event = {text:event}
    """,
)
EMPTY = sql(
    "event_tallies.empty",
    None,
    "delete from event_tally where level = :level and slot = {ts:slot} and event = {text:event} and events <= 0",
)
UNMARK = sql(
    "event_tallies.unmark",
    None,
    """
    delete from event_slot where level = :level and slot = {ts:slot} and not exists (
        select 1 from event_tally t where t.level = event_slot.level and t.slot = event_slot.slot)
    """,
)
_REMAINING = """
    select {which}(e.occurred) from events e
    where e.event = {{text:event}} and e.occurred >= {{ts:slot}} and e.occurred <= {{ts:end}}"""
# What has not been folded yet may be among them: it belongs to the same answers.
NARROW = sql(
    "event_tallies.narrow",
    None,
    f"""
    update event_tally set oldest = coalesce(({_REMAINING.format(which="min")}), oldest),
        latest = coalesce(({_REMAINING.format(which="max")}), latest)
    where level = :level and slot = {{ts:slot}} and event = {{text:event}}
    """,
)


def forget(tx: Tx, events: Iterable[Gone]) -> Touched:
    """Take events out of the tallies that are about to be deleted; `narrow` what was touched when they are."""
    progress = _locked(tx)
    gaps = set(tx.all(GAPS))
    gone: Counter[tuple[int, datetime, str]] = Counter()
    for event in events:
        folded = event.position <= progress.position and event.position not in gaps
        gone.update({(level, floor(event.occurred, level), event.event): int(folded) for level in (QUARTER, DAY)})
    rows = [
        {"level": level, "slot": slot, "event": event, "gone": many}
        for (level, slot, event), many in sorted(gone.items())
    ]
    tx.many(TAKE, rows)
    tx.many(EMPTY, rows)
    slots = {Slot(level, slot) for level, slot, _ in gone}
    _mark(tx, progress.position, progress, slots)
    tx.many(UNMARK, [{"level": at.level, "slot": at.slot} for at in sorted(slots)])
    return rows


def narrow(tx: Tx, touched: Touched) -> None:
    """Say of these tallies when the first and the last of their remaining events occurred."""
    tx.many(NARROW, [{**row, "end": end(row["slot"], row["level"])} for row in touched])


# `cross join`: SQLite would rather read all events than the gaps first.
_FRESH = """
    fresh (occurred, event) as materialized (
        select e.occurred, e.event from events e
        where e.position > (select p.position from event_tally_progress p where p.id = 1)
        union all
        select e.occurred, e.event from event_tally_gap g cross join events e where e.position = g.position
    )"""
_LOW = "cast(substr(each.value, 1, 27) as {ts_type})"
_HIGH = "cast(substr(each.value, 28, 27) as {ts_type})"
_IN_ROWS = f"e.occurred >= {_LOW} and e.occurred <= {_HIGH} and {{where}}"
_IN_TALLY = f"e.slot >= {_LOW} and e.slot <= {_HIGH} and {{where}}"
_IN_FRESH = "e.occurred >= {ts:first} and e.occurred <= {ts:last} and {where}"


class _Part(Struct):
    """Events of a span, or one that was not folded yet."""

    span: int
    occurred: datetime | None
    events: int


_SPAN = "cast(substr(each.value, 55) as integer)"
_COUNTS = f"""
    with {_FRESH}
    select span, cast(null as {{ts_type}}), cast(many as {{int_type}}) from (
        select {_SPAN} as span, (select count(*) from events e where {_IN_ROWS}) as many from {{each:rows}}
        union all
        select {_SPAN}, (select sum(e.events) from event_tally e where e.level = 0 and {_IN_TALLY})
            from {{each:quarters}}
        union all
        select {_SPAN}, (select sum(e.events) from event_tally e where e.level = 1 and {_IN_TALLY})
            from {{each:days}}
    ) parts where many > 0
    union all
    select 0, e.occurred, 1 from fresh e where {_IN_FRESH}"""
# Many quarters that stand close together are read at once, rather than each be looked for.
SLOT = -1
_COUNTS_AT_ONCE = f"""{_COUNTS}
    union all
    select {SLOT}, e.slot, cast(sum(e.events) as {{int_type}}) from event_tally e
    where e.level = 0 and e.slot >= {{ts:low}} and e.slot <= {{ts:high}} and {{where}} group by e.slot"""
MANY = 100


def counts(tx: Tx, spans: list[tuple[datetime, datetime]], names: Where) -> list[int] | None:
    """How many events there are in each span of time (both ends included; ascending and apart) that meet a condition
    on `e.event`. None if tallies are of no use."""
    pieces = Pieces(spans)
    pieces.share()
    if not useful(tx, pieces):
        return None
    parts: Counter[int] = Counter()
    fresh = []
    quarters = pieces.close_quarters(MANY)
    for part in _parts(tx, pieces, quarters, names):
        if part.occurred is None:
            parts[part.span] += part.events
        elif part.span != SLOT:
            fresh.append(part.occurred)
        elif (span := quarters.span(part.occurred)) is not None:
            parts[span] += part.events
    return pieces.summed(parts + pieces.place(fresh))


def _parts(tx: Tx, pieces: Pieces, quarters: Stretches, names: Where) -> list[_Part]:
    if not quarters.pieces:
        return tx.composed(_Part, _COUNTS, names, **pieces.params())
    ends = {"low": quarters.pieces[0].first, "high": quarters.pieces[-1].last}
    return tx.composed(_Part, _COUNTS_AT_ONCE, names, **pieces.params(quarters=False), **ends)


def useful(tx: Tx, pieces: Pieces) -> bool:
    return any(pieces.tallied) and waiting(tx) <= MOST_FRESH


class Named(Struct):
    """How many events have a name, and when the first and the last of them occurred."""

    event: str
    events: int
    oldest: datetime
    latest: datetime


_SUMS = "sum(e.events), min(e.oldest), max(e.latest)"
_NAMES = f"""
    with {_FRESH}
    select event, cast(sum(many) as {{int_type}}) as events, min(oldest), max(latest) from (
        select e.event, count(*) as many, min(e.occurred) as oldest, max(e.occurred) as latest
        from {{each:rows}} cross join events e where {_IN_ROWS} group by e.event
        union all
        select e.event, {_SUMS} from {{each:quarters}} cross join event_tally e
        where e.level = 0 and {_IN_TALLY} group by e.event
        union all
        select e.event, {_SUMS} from {{each:days}} cross join event_tally e
        where e.level = 1 and {_IN_TALLY} group by e.event
        union all
        select e.event, count(*), min(e.occurred), max(e.occurred) from fresh e where {_IN_FRESH} group by e.event
    ) parts group by event order by events desc, event"""


def by_name(tx: Tx, span: tuple[datetime, datetime], names: Where) -> list[Named] | None:
    """The same by name; those of most events first."""
    pieces = Pieces([span])
    return tx.composed(Named, _NAMES, names, **pieces.params()) if useful(tx, pieces) else None


_FOLDED = """
    e.position <= (select p.position from event_tally_progress p where p.id = 1)
    and e.position not in (select g.position from event_tally_gap g)"""
WRONG = sql(
    "event_tallies.wrong",
    Slot,
    f"""
    with counted (level, slot, event, events) as (
        select l.level, case when l.level = 0 then {{quarter:e.occurred}} else {{day:e.occurred}} end, e.event, count(*)
        from events e cross join (select 0 as level union all select 1) l where {_FOLDED} group by 1, 2, 3
    ),
    tallied (level, slot, event, events) as (select level, slot, event, events from event_tally)
    select distinct w.level, w.slot from (
        select * from (select * from counted except select * from tallied) missing
        union all select * from (select * from tallied except select * from counted) surplus
    ) w order by 1, 2
    """,
)
CLEAR = sql("event_tallies.clear", None, "delete from event_tally where level = :level and slot = {ts:slot}")
COUNT = sql(
    "event_tallies.count",
    None,
    _ADD % f"l.level = :level and e.occurred >= {{ts:slot}} and e.occurred <= {{ts:end}} and {_FOLDED}",
)


def check(tx: Tx) -> list[Slot]:
    """The slots whose tallies are not what the folded events say. There should never be one."""
    return tx.all(WRONG)


def mend(tx: Tx, wrong: list[Slot]) -> None:
    """Count slots again."""
    progress = _locked(tx)
    places = [{"level": each.level, "slot": each.slot} for each in wrong]
    tx.many(CLEAR, places)
    tx.many(COUNT, [{**place, "end": end(each.slot, each.level)} for place, each in zip(places, wrong, strict=True)])
    _mark(tx, progress.position, progress, wrong)
    tx.many(UNMARK, places)


class EventTallier(Service):
    """Folds what the log has brought since the last round."""

    name = "event-tallies"
    batch = BATCH

    def __init__(self, db: Database, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._numbered = False

    async def run_once(self) -> int:
        if not self._numbered:  # while servers are replaced one by one, an old one may have led until now
            await self._db.write(number_all)
            self._numbered = True
        if not await self._db.read(waiting):
            return 0
        return await self._db.write(fold, BATCH)
