"""Tallies: how many flow runs there were and how they ended, counted once for each quarter of an hour that is over.

Counts and histories over months must not read a million runs. Runs are put into *slots*, the quarters of an hour of
their expected start. A slot in which every run is over is *settled*: what there is to say of it stands in
`flow_run_tally`, and a question reads that instead of the runs. What is not settled is read from the runs themselves,
so an answer is always exact:

    ─── slots before the frontier ──────────────────────────────▶│◀── the last two hours and the future
    settled │ settled │ unsettled │ settled │ settled │ …        │
     tally  │  tally  │  its runs │  tally  │  tally  │          │   their runs

The service `tallies` moves the frontier and settles again what has changed. A slot before the frontier is unsettled for
one of two reasons, each a row in `flow_run_unsettled`: it is *open* (a run in it is not over), or it was *touched*:
whoever inserts, deletes, ends or revives a run whose expected start is more than an hour ago says so in the same
transaction (`touch`). Such changes are rare, so a transition costs nothing here as a rule. The frontier stays two hours
behind, an hour more than the touching needs, so neither clocks nor long transactions can come between.

With several writers (PostgreSQL) a mark may commit after the round that settles its slot has looked: then it is
there afterwards, and unsettles the slot. The round deletes only the marks that it saw, before it reads the runs: so
what a deleted mark told of is in what is read. Marks are only ever added, which locks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from lictor.db import Database, Tx, Where, sql
from lictor.filters import estimates, history
from lictor.filters.history import Grid, Interval
from lictor.kit import clock, times
from lictor.loops import Service
from lictor.states.types import TERMINAL

SLOT = timedelta(minutes=15)
BEHIND = timedelta(hours=2)
TOUCHED_AFTER = timedelta(hours=1)
# So many slots are settled in one transaction: a day of them, or of changed ones.
MOST_SLOTS = 96
TICK = timedelta(microseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

# What is made of the column keeps SQLite from reading all runs of a state, rather than those of some slots.
_OVER = "coalesce(r.state_type || '', '') in ({})".format(", ".join(f"'{type_}'" for type_ in sorted(TERMINAL)))


class Mark(Struct):
    position: int
    slot: datetime


TOUCH = sql("tallies.touch", None, "insert into flow_run_unsettled (slot, open) values (:slot, false)")
TOUCH_RUNS = sql(
    "tallies.touch_runs",
    None,
    """
    insert into flow_run_unsettled (slot, open)
    select distinct {quarter:r.expected_start_time}, false from flow_run r
    where r.id {in:ids:uuid} and r.expected_start_time < {ts:before}
    """,
)
TOUCH_FLOWS = sql(
    "tallies.touch_flows",
    None,
    """
    insert into flow_run_unsettled (slot, open)
    select distinct {quarter:r.expected_start_time}, false from flow_run r
    where r.flow_id {in:ids:uuid} and r.expected_start_time < {ts:before}
    """,
)
FRONTIER = sql("tallies.frontier", datetime, "select slot from tally_frontier where name = 'flow_run'")
LOCK_FRONTIER = sql("tallies.lock_frontier", datetime, f"{FRONTIER.text} {{for_update}}")
PUT_FRONTIER = sql(
    "tallies.put_frontier",
    None,
    """
    insert into tally_frontier (name, slot) values ('flow_run', :slot)
    on conflict (name) do update set slot = excluded.slot
    """,
)
# A mark of a slot that is not before the frontier tells nothing that will not be counted anyway.
TOUCHED = sql(
    "tallies.touched",
    Mark,
    """
    select u.position, u.slot from flow_run_unsettled u where u.slot in (
        select slot from flow_run_unsettled where not open group by slot order by slot limit :most
    )
    """,
)
FORGET_MARKS = sql("tallies.forget_marks", None, "delete from flow_run_unsettled where position {in:positions:bigint}")
NEXT_RUN = sql(
    "tallies.next_run",
    datetime,
    """
    select r.expected_start_time from flow_run r where r.expected_start_time >= {ts:slot}
    order by r.expected_start_time limit 1
    """,
)
FORGET = sql("tallies.forget", None, "delete from flow_run_tally where slot >= {ts:start} and slot <= {ts:end}")
COUNT = sql(
    "tallies.count",
    None,
    f"""
    insert into flow_run_tally (slot, state_type, state_name, runs, run_time, lateness)
    select {{quarter:r.expected_start_time}}, r.state_type, r.state_name, count(*),
        sum({history.positive("r.total_run_time")}), sum({estimates.lateness_sql("r")})
    from flow_run r {estimates.MOMENT}
    where r.expected_start_time >= {{ts:start}} and r.expected_start_time <= {{ts:end}} and {_OVER}
    group by 1, 2, 3
    """,
)
OPEN = sql(
    "tallies.open",
    None,
    f"""
    insert into flow_run_unsettled (slot, open)
    select distinct {{quarter:r.expected_start_time}}, true from flow_run r
    where r.expected_start_time >= {{ts:start}} and r.expected_start_time <= {{ts:end}} and not {_OVER}
    """,
)


def touch(tx: Tx, expected_start: datetime | None) -> None:
    """Say that a run with this expected start came, ended, was revived or went, in the transaction in which it does."""
    if expected_start is not None and expected_start < clock.now() - TOUCHED_AFTER:
        tx.put(TOUCH, slot=floor(expected_start))


def touch_runs(tx: Tx, run_ids: list[str]) -> None:
    """The same of runs that are about to be deleted."""
    tx.run(TOUCH_RUNS, ids=run_ids, before=clock.now() - TOUCHED_AFTER)


def touch_flows(tx: Tx, flow_ids: list[str]) -> None:
    """The same of all runs of flows that are about to be deleted."""
    tx.run(TOUCH_FLOWS, ids=flow_ids, before=clock.now() - TOUCHED_AFTER)


def floor(instant: datetime) -> datetime:
    """The slot that an instant is in."""
    utc = times.utc(instant)
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)


def ceil(instant: datetime) -> datetime:
    """The first slot that begins at this instant or later."""
    slot = floor(instant)
    return slot if slot == instant else slot + SLOT


def settle(tx: Tx, now: datetime) -> int:
    """Settle slots that were touched, and move the frontier; how many slots were counted."""
    frontier = tx.one(LOCK_FRONTIER)
    done = _settle_touched(tx, now)
    limit = floor(now - BEHIND)
    begin = tx.one(NEXT_RUN, slot=FIRST if frontier is None else frontier)
    end = limit if begin is None else min(limit, floor(begin) + MOST_SLOTS * SLOT)
    if begin is not None and begin < end:
        _settle(tx, [Slots(floor(begin), end - TICK)], now)
        done += (end - floor(begin)) // SLOT
    if frontier is None or end > frontier:
        tx.run(PUT_FRONTIER, slot=end)
    return done


def _settle_touched(tx: Tx, now: datetime) -> int:
    marks = tx.all(TOUCHED, most=MOST_SLOTS)
    slots = sorted({mark.slot for mark in marks})
    if marks:
        tx.run(FORGET_MARKS, positions=[mark.position for mark in marks])
        _settle(tx, [Slots(slot, slot + SLOT - TICK) for slot in slots], now)
    return len(slots)


class Slots(NamedTuple):
    """One or more slots, from the begin of the first to the end of the last."""

    start: datetime
    end: datetime


def _settle(tx: Tx, stretches: list[Slots], now: datetime) -> None:
    params = [stretch._asdict() for stretch in stretches]
    tx.many(FORGET, params)
    tx.many(COUNT, [{**each, "now": now} for each in params])
    tx.many(OPEN, params)


class Span(NamedTuple):
    """From `after` to `before`, both included; of it, the slots from `first` up to `last` may be settled."""

    after: datetime
    before: datetime
    first: datetime
    last: datetime

    def params(self) -> dict[str, Any]:
        """The span as parameters: what is left of the slots (nothing, if it begins with one), the slots, the rest."""
        edge = self.first > self.after
        return {
            "left": self.after if edge else LAST,
            "left_end": min(self.first - TICK, self.before) if edge else FIRST,
            "first": self.first,
            "last": self.last,
            "right_end": self.before,
            "now": clock.now(),
        }


def span(tx: Tx, after: datetime, before: datetime) -> Span:
    frontier = tx.one(FRONTIER)
    first = ceil(after) if after < LAST - SLOT else after
    if frontier is None:
        return Span(after, before, first, first)
    end = floor(before + TICK) if before < LAST else frontier
    return Span(after, before, first, max(first, min(frontier, end)))


# What is read from the runs themselves: `x` are their ranges, both ends included. What is made of the columns here
# keeps SQLite from reading all runs of a state instead of those of the ranges.
_RUNS = """
    select r.expected_start_time, r.state_type || '' as state_type, r.state_name || '' as state_name,
        r.start_time, r.state_timestamp, r.total_run_time
    from ranges x cross join flow_run r
    where r.expected_start_time >= x.s and r.expected_start_time <= x.e"""
_SLOT_END = "{add_seconds:%s:899.999999}"
_RANGES = f"""
    select {{ts:left}}, {{ts:left_end}} union all select {{ts:last}}, {{ts:right_end}}
    union select u.slot, {_SLOT_END % "u.slot"} from flow_run_unsettled u
        where u.slot >= {{ts:first}} and u.slot < {{ts:last}}"""
_SETTLED = """
    r.slot >= {ts:first} and r.slot < {ts:last}
    and r.slot not in (select u.slot from flow_run_unsettled u)"""


class Total(Struct):
    """Runs, and the seconds that they were late."""

    runs: int
    lateness: float


_TOTAL = f"""
    with ranges (s, e) as ({_RANGES})
    select cast(coalesce(sum(runs), 0) as {{int_type}}), coalesce(sum(lateness), 0.0) from (
        select sum(r.runs) as runs, sum(r.lateness) as lateness from flow_run_tally r where {_SETTLED} and {{where}}
        union all
        select count(*), sum({estimates.lateness_sql("r")}) from ({_RUNS}) r {estimates.MOMENT} where {{where}}
        union all
        select count(*), 0.0 from flow_run r
        where {{int:undated}} = 1 and r.expected_start_time is null and {{where}}
    ) parts"""


def total(tx: Tx, after: datetime | None, before: datetime | None, states: Where) -> Total | None:
    """Of the runs with an expected start between these instants (both included), those that meet a condition on
    `r.state_type` and `r.state_name`. Without instants, of all runs. None if no slot of them is settled."""
    found = span(tx, after or FIRST, before or LAST)
    if found.first >= found.last:
        return None
    undated = int(after is None and before is None)
    totals: list[Total] = tx.composed(Total, _TOTAL, states, undated=undated, **found.params())
    return totals[0]


_INTERVAL = "floor(({seconds:%s:moment.start} + 0.0000005) / moment.step)"
_HISTORY = f"""
    with ranges (s, e) as (
        {_RANGES}
        union select c.slot, {_SLOT_END % "c.slot"}
            from (select cast(each.value as {{ts_type}}) as slot from {{each:crossing}}) c
    ),
    moment as (select {{ts:now}} as now, {{ts:start}} as start, cast(:step as {{float_type}}) as step)
    select cast(slot as integer), state_type, state_name, cast(sum(runs) as integer), sum(run_time), sum(lateness)
    from (
        select {_INTERVAL % "r.slot"} as slot, r.state_type, r.state_name, r.runs, r.run_time, r.lateness
        from flow_run_tally r cross join moment
        where {_SETTLED} and r.slot {{not_in:crossing:timestamptz}} and {{where}}
        union all
        select {_INTERVAL % "r.expected_start_time"}, r.state_type, r.state_name, 1,
            {history.positive(estimates.run_time_sql("r"))}, {estimates.lateness_sql("r")}
        from ({_RUNS}) r cross join moment where r.state_type is not null and {{where}}
    ) parts
    group by 1, 2, 3 order by 1, 2, 3"""


def intervals(tx: Tx, grid: Grid, states: Where) -> list[Interval]:
    """The same by interval; see `filters.history`."""
    found = span(tx, grid.start, grid.edge(grid.length) - TICK)
    params = {"start": grid.start, "step": grid.step.total_seconds(), "crossing": _crossing(grid, found)}
    rows = tx.composed(history.Row, _HISTORY, states, **params, **found.params())
    return history.filled(grid, rows)


def worth_it(grid: Grid) -> bool:
    """Whether there are slots wholly within an interval."""
    return grid.step >= 2 * SLOT


def _crossing(grid: Grid, found: Span) -> list[str]:
    """The slots that are partly in one interval and partly in the next."""
    edges = (grid.edge(index) for index in range(1, grid.length))
    slots = {floor(edge) for edge in edges if floor(edge) != edge}
    return [times.text(slot) for slot in sorted(slots) if found.first <= slot < found.last]


WRONG = sql(
    "tallies.wrong",
    datetime,
    """
    with counted (slot, state_type, state_name, runs) as (
        select {quarter:r.expected_start_time}, r.state_type, r.state_name, count(*) from flow_run r
        where r.expected_start_time < {ts:frontier} group by 1, 2, 3
    ),
    tallied (slot, state_type, state_name, runs) as (
        select r.slot, r.state_type, r.state_name, r.runs from flow_run_tally r where r.slot < {ts:frontier}
    )
    select distinct w.slot from (
        select * from (select * from counted except select * from tallied) missing
        union all select * from (select * from tallied except select * from counted) surplus
    ) w where not exists (select 1 from flow_run_unsettled u where u.slot = w.slot)
    """,
)


def check(tx: Tx) -> list[datetime]:
    """The settled slots whose tallies are not what their runs say. There should never be one."""
    frontier = tx.one(FRONTIER)
    return [] if frontier is None else tx.all(WRONG, frontier=frontier)


def mend(tx: Tx, slots: Iterable[datetime]) -> None:
    """Have slots counted again."""
    tx.many(TOUCH, [{"slot": slot} for slot in slots])


class Tallier(Service):
    """Settles what is over, and again what has changed."""

    name = "tallies"
    batch = MOST_SLOTS

    def __init__(self, db: Database, interval: float = 30.0) -> None:
        super().__init__(interval)
        self._db = db

    async def run_once(self) -> int:
        return await self._db.write(settle, clock.now())
