"""Tallies of task runs.

Dashboards ask for those that *started* in a time: so a tally knows when its runs did, and where that does not tell
whether all or none of them are meant, the runs of that slot are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lictor.db import Tx, Where, sql
from lictor.filters import estimates, history
from lictor.filters.history import Grid, Interval
from lictor.kit import clock
from lictor.tallies.cutting import PLACES, Cut
from lictor.tallies.ledger import SLOT_END, Ledger, ranges, settled
from lictor.tallies.slots import FIRST, LAST, TICK, TOUCHED_AFTER, floor, is_old

_SUBFLOW = "(exists (select 1 from flow_run subflow where subflow.parent_task_run_id = t.id))"

LEDGER = Ledger(
    "task_run",
    "t",
    kinds={"of_flow": "(t.flow_run_id is not null)", "subflow": _SUBFLOW},
    measures={
        "runs": "count(*)",
        "run_time": f"sum({history.positive('t.total_run_time')})",
        "lateness": f"sum({estimates.lateness_sql('t')})",
        "first_start": "case when count(t.start_time) = count(*) then min(t.start_time) end",
        "last_start": "case when count(t.start_time) = count(*) then max(t.start_time) end",
    },
    compared=("runs",),
)

TOUCH_TASK_RUNS = sql("tallies.touch_these_task_runs", None, LEDGER.marking("t", "task_run t", "t.id {in:ids:uuid}"))
TOUCH_THOSE_OF = sql(
    "tallies.touch_task_runs_of", None, LEDGER.marking("t", "task_run t", "t.flow_run_id {in:ids:uuid}")
)
TOUCH_PARENTS_OF = sql(
    "tallies.touch_parents_of",
    None,
    LEDGER.marking(
        "t",
        "task_run t",
        "t.id in (select r.parent_task_run_id from flow_run r"
        " where r.id {in:ids:uuid} and r.parent_task_run_id is not null)",
    ),
)
_OF_FLOWS = "flow_run r where r.flow_id {in:ids:uuid}"
TOUCH_THOSE_OF_FLOWS = sql(
    "tallies.touch_task_runs_of_flows",
    None,
    LEDGER.marking(
        "t",
        "task_run t",
        f"(t.flow_run_id in (select r.id from {_OF_FLOWS})"
        f" or t.id in (select r.parent_task_run_id from {_OF_FLOWS} and r.parent_task_run_id is not null))",
    ),
)


def touch_task(tx: Tx, *expected_starts: datetime | None) -> None:
    """Say that runs with these expected starts came, ended or were revived, in the transaction in which they do."""
    slots = {floor(expected) for expected in expected_starts if expected is not None and is_old(expected)}
    if slots:
        tx.many(LEDGER.touch, [{"slot": slot} for slot in sorted(slots)])


def touch_task_runs(tx: Tx, run_ids: Iterable[str]) -> None:
    """Say that these runs are about to change or to go, or that a subflow of theirs came or is about to go."""
    tx.put(TOUCH_TASK_RUNS, ids=list(run_ids), before=clock.now() - TOUCHED_AFTER)


def touch_those_of(tx: Tx, flow_run_ids: list[str]) -> None:
    """The same of flow runs that are about to go: of their task runs, and of those that they were subflows of."""
    before = clock.now() - TOUCHED_AFTER
    tx.put(TOUCH_THOSE_OF, ids=flow_run_ids, before=before)
    tx.put(TOUCH_PARENTS_OF, ids=flow_run_ids, before=before)


def touch_those_of_flows(tx: Tx, flow_ids: list[str]) -> None:
    """The same of all runs of flows that are about to be deleted."""
    tx.put(TOUCH_THOSE_OF_FLOWS, ids=flow_ids, before=clock.now() - TOUCHED_AFTER)


_WITHIN = "t.first_start >= {ts:since} and t.last_start <= {ts:until}"
# Tallies of which neither all nor none are meant.
_STRADDLING = f"""
    select t.slot from task_run_tally t where t.slot >= {{ts:first}} and t.slot < {{ts:last}} and {{where}}
        and (t.first_start is null or (
            t.last_start >= {{ts:since}} and t.first_start <= {{ts:until}} and not ({_WITHIN})
        ))"""
_SETTLED = settled("task_run", "t")
# As of flow runs (see there); `subflow` is worked out only where it is asked for.
_RUNS = f"""
    select t.id, t.expected_start_time, t.state_type || '' as state_type, t.state_name || '' as state_name,
        t.start_time, t.state_timestamp, t.total_run_time, t.flow_run_id is not null as of_flow, {_SUBFLOW} as subflow
    from ranges x cross join {{within:task_run t:t.expected_start_time:x.s:x.e}}"""


class Started:
    """When the runs asked for started: what there is to say of it, in each part of a question."""

    def __init__(self, since: datetime | None, until: datetime | None) -> None:
        self.asked = since is not None or until is not None
        self.params = {"since": since or FIRST, "until": until or LAST} if self.asked else {}
        self.tallied = _WITHIN if self.asked else "true"
        self.run = "t.start_time >= {ts:since} and t.start_time <= {ts:until}" if self.asked else "true"

    def reading(self) -> str:
        """The slots, as a common table `reading`, whose runs are read though they are settled."""
        return _STRADDLING if self.asked else "select t.slot from task_run_tally t where false"


def _ranges(started: Started) -> str:
    """Common tables: which slots are read though they are settled, and the times whose runs are."""
    return f"""
        with reading (slot) as ({started.reading()}),
        ranges (s, e) as (
            {ranges("task_run")}
            union select reading.slot, {SLOT_END % "reading.slot"} from reading
        )"""


_TALLIED = "t.slot not in (select reading.slot from reading)"


def total(tx: Tx, expected: tuple[datetime | None, datetime | None], started: Started, conditions: Where) -> int | None:
    """How many runs meet conditions on `t.state_type`, `t.state_name`, `t.of_flow` and `t.subflow`. None if no slot of
    them is settled."""
    after, before = expected
    found = LEDGER.span(tx, after or FIRST, before or LAST)
    if found.first >= found.last:
        return None
    text = f"""{_ranges(started)}
        select cast(coalesce(sum(runs), 0) as {{int_type}}) from (
            select t.runs from task_run_tally t
            where {_SETTLED} and {_TALLIED} and {started.tallied} and {{where}}
            union all
            select 1 from ({_RUNS}) t where {started.run} and {{where}}
        ) parts"""
    params = {**started.params, **found.params()}
    totals: list[int] = tx.composed(int, text, conditions, **params)
    return totals[0] + (_outside(tx, started, conditions) if after is None and before is None else 0)


# Runs without an expected start are in no slot.
_OUTSIDE = f"""
    select count(*) from (
        select coalesce(t.start_time, null) as start_time, t.state_type || '' as state_type, t.state_name,
            t.flow_run_id is not null as of_flow, {_SUBFLOW} as subflow
        from task_run t where t.expected_start_time is null
    ) t where {{where}} and """


def _outside(tx: Tx, started: Started, conditions: Where) -> int:
    found: list[int] = tx.composed(int, _OUTSIDE + started.run, conditions, **started.params)
    return found[0]


_PARTS = f"""
    select t.place, t.id, t.expected_start_time, t.state_type || '' as state_type, t.state_name || '' as state_name,
        t.start_time, t.state_timestamp, t.total_run_time, t.flow_run_id is not null as of_flow, {_SUBFLOW} as subflow
    from (
        select p.place, t.* from part p cross join {{within:task_run t:t.expected_start_time:p.low:p.high}}
        and {{quarter:p.low}} not in (select u.slot from task_run_unsettled u)
        and {{quarter:p.low}} not in (select reading.slot from reading)
    ) t"""
_SECONDS = f"{history.positive(estimates.run_time_sql('t'))}, {estimates.lateness_sql('t')}"


def intervals(tx: Tx, grid: Grid, started: Started, conditions: Where) -> list[Interval]:
    """How many runs there were by interval of their expected start; see `filters.history`."""
    found = LEDGER.span(tx, grid.start, grid.edge(grid.length) - TICK)
    conditions.add("t.state_type is not null")
    cut = Cut(grid, found)
    text = f"""{_ranges(started)},
        {PLACES},
        moment as (select {{ts:now}} as now)
        select cast(place as integer), state_type, state_name, cast(sum(runs) as integer), sum(run_time), sum(lateness)
        from (
            select w.place, t.state_type, t.state_name, t.runs, t.run_time, t.lateness
            from whole w cross join {{within:task_run_tally t:t.slot:w.low:w.high}}
            and t.slot not in (select u.slot from task_run_unsettled u) and {_TALLIED} and {started.tallied}
            and {{where}}
            union all
            select t.place, t.state_type, t.state_name, 1, {_SECONDS}
            from ({_PARTS}) t cross join moment where {started.run} and {{where}}
            union all
            select {history.interval("t.expected_start_time")}, t.state_type, t.state_name, 1, {_SECONDS}
            from ({_RUNS}) t cross join moment where {started.run} and {{where}}
        ) parts
        group by 1, 2, 3"""
    params = {**history.grid_params(grid), **started.params, **cut.params(), **found.params()}
    return history.filled(grid, cut.summed(tx.composed(history.Row, text, conditions, **params)))
