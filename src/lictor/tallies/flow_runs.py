"""Tallies of flow runs: how many, how late, and how many task runs they have."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from lictor.db import Tx, Where, sql
from lictor.filters import FlowRunFilter, estimates, history
from lictor.filters.history import Grid, Interval
from lictor.filters.leaves import Operator, Period
from lictor.kit import clock
from lictor.states.types import TERMINAL
from lictor.tallies import days, task_runs
from lictor.tallies.cutting import PLACES, Cut
from lictor.tallies.days import Days
from lictor.tallies.ledger import Ledger, ranges
from lictor.tallies.slots import FIRST, LAST, TICK, TOUCHED_AFTER, Span, floor, is_old

DAYS = Days("flow_run", {"runs": "{int_type}", "lateness": "{float_type}", "tasks": "{int_type}"})
_TASKS = "(select count(*) from task_run own where own.flow_run_id = r.id)"

LEDGER = Ledger(
    "flow_run",
    "r",
    kinds={},
    measures={
        "runs": "count(*)",
        "run_time": f"sum({history.positive('r.total_run_time')})",
        "lateness": f"sum({estimates.lateness_sql('r')})",
        "tasks": f"cast(sum({_TASKS}) as {{int_type}})",
    },
    compared=("runs", "tasks"),
    days=DAYS,
)

TOUCH_RUNS = sql("tallies.touch_these_flow_runs", None, LEDGER.marking("r", "flow_run r", "r.id {in:ids:uuid}"))
TOUCH_FLOWS = sql("tallies.touch_flows", None, LEDGER.marking("r", "flow_run r", "r.flow_id {in:ids:uuid}"))


def touch(tx: Tx, expected_start: datetime | None) -> None:
    """Say that a run with this expected start came, ended, was revived or went, in the transaction in which it does."""
    if expected_start is not None and is_old(expected_start):
        tx.put(LEDGER.touch, slot=floor(expected_start))


def touch_flow_runs(tx: Tx, run_ids: list[str]) -> None:
    """Say that task runs of these flow runs came or went."""
    tx.put(TOUCH_RUNS, ids=run_ids, before=clock.now() - TOUCHED_AFTER)


def touch_runs(tx: Tx, run_ids: list[str]) -> None:
    """Say that runs are about to be deleted, with their task runs."""
    touch_flow_runs(tx, run_ids)
    task_runs.touch_those_of(tx, run_ids)


def touch_flows(tx: Tx, flow_ids: list[str]) -> None:
    """The same of all runs of flows that are about to be deleted."""
    tx.put(TOUCH_FLOWS, ids=flow_ids, before=clock.now() - TOUCHED_AFTER)
    task_runs.touch_those_of_flows(tx, flow_ids)


# What is read from the runs themselves: `x` are their ranges, both ends included. What is made of the columns here
# keeps SQLite from reading all runs of a state instead of those of the ranges.
_RUNS = """
    select r.id, r.expected_start_time, r.state_type || '' as state_type, r.state_name || '' as state_name,
        r.start_time, r.state_timestamp, r.total_run_time
    from ranges x cross join {within:flow_run r:r.expected_start_time:x.s:x.e}"""
_RANGES = ranges("flow_run")


class Total(Struct):
    """Runs, and the seconds that they were late."""

    runs: int
    lateness: float


_TOTAL = f"""
    with ranges (s, e) as ({_RANGES}), {DAYS.ctes()}
    select cast(coalesce(sum(runs), 0) as {{int_type}}), coalesce(sum(lateness), 0.0) from (
        {DAYS.parts("sum(r.runs) as runs, sum(r.lateness) as lateness", "and {where}")}
        union all
        select count(*), sum({estimates.lateness_sql("r")}) from ({_RUNS}) r {estimates.MOMENT} where {{where}}
        union all
        select count(*), 0.0 from flow_run r
        where {{int:undated}} = 1 and r.expected_start_time is null and {{where}}
    ) parts"""
_ALL_TASKS = f"""
    with ranges (s, e) as ({_RANGES}), {DAYS.ctes()}
    select cast(coalesce(sum(tasks), 0) as {{int_type}}) from (
        {DAYS.parts("sum(r.tasks) as tasks", "and {where}")}
        union all
        select sum({_TASKS}) from ({_RUNS}) r where {{where}}
        union all
        select sum({_TASKS}) from flow_run r where {{int:undated}} = 1 and r.expected_start_time is null and {{where}}
    ) parts"""


class Tallied(NamedTuple):
    """A question that tallies can answer: when runs were expected to start (both ends included; without instants all
    runs are meant), and a condition on `r.state_type` and `r.state_name`."""

    after: datetime | None
    before: datetime | None
    states: Where

    def span(self, tx: Tx) -> Span | None:
        """None if no slot is settled: the runs may as well be read."""
        found = LEDGER.span(tx, self.after or FIRST, self.before or LAST)
        return found if found.first < found.last else None

    def undated(self) -> int:
        return int(self.after is None and self.before is None)


def tallied(runs: FlowRunFilter) -> Tallied | None:
    """The question that a filter asks, if that is no more than tallies know, and some of what they do: runs that are
    over."""
    if runs.operator != Operator.and_ or not runs.says_only({"expected_start_time", "state"}):
        return None
    if runs.state is not None and not runs.state.may_be(TERMINAL):
        return None
    period = runs.expected_start_time or Period()
    return Tallied(period.after_, period.before_, FlowRunFilter(state=runs.state).where())


def params(found: Span) -> dict[str, Any]:
    """What the statements need whose answers are added up from days."""
    return found.params() | days.params(found)


def total(tx: Tx, asked: Tallied) -> Total | None:
    """The runs that meet the question. None if no slot of them is settled."""
    found = asked.span(tx)
    if found is None:
        return None
    totals: list[Total] = tx.composed(Total, _TOTAL, asked.states, undated=asked.undated(), **params(found))
    return totals[0]


def total_tasks(tx: Tx, asked: Tallied) -> int | None:
    """The task runs of those runs."""
    found = asked.span(tx)
    if found is None:
        return None
    totals: list[int] = tx.composed(int, _ALL_TASKS, asked.states, undated=asked.undated(), **params(found))
    return totals[0]


class OfState(Struct):
    """How many runs are in a state; of runs that never had one, its type and name are null."""

    state_type: str | None
    state_name: str | None
    runs: int


BY_STATE = sql(
    "tallies.flow_runs_by_state",
    OfState,
    f"""
    with ranges (s, e) as ({_RANGES}), {DAYS.ctes()}
    select state_type, state_name, cast(sum(runs) as {{int_type}}) from (
        {DAYS.parts("r.state_type, r.state_name, sum(r.runs) as runs", "group by 1, 2")}
        union all
        select r.state_type, r.state_name, count(*) from ({_RUNS}) r group by 1, 2
        union all
        select r.state_type, r.state_name, count(*) from flow_run r where r.expected_start_time is null group by 1, 2
    ) parts
    group by 1, 2 order by 1, 2
    """,
)


def by_state(tx: Tx) -> list[OfState]:
    """How many runs are in each state now, by its type and name."""
    return tx.all(BY_STATE, **params(LEDGER.span(tx, FIRST, LAST)))


_PARTS = """
    select r.place, r.expected_start_time, r.state_type || '' as state_type, r.state_name || '' as state_name,
        r.start_time, r.state_timestamp, r.total_run_time
    from (
        select p.place, r.* from part p cross join {within:flow_run r:r.expected_start_time:p.low:p.high}
        and {quarter:p.low} not in (select u.slot from flow_run_unsettled u)
    ) r"""
_SECONDS = f"{history.positive(estimates.run_time_sql('r'))}, {estimates.lateness_sql('r')}"
_HISTORY = f"""
    with ranges (s, e) as ({_RANGES}),
    {PLACES},
    moment as (select {{ts:now}} as now)
    select cast(place as integer), state_type, state_name, cast(sum(runs) as integer), sum(run_time), sum(lateness)
    from (
        select w.place, r.state_type, r.state_name, r.runs, r.run_time, r.lateness
        from whole w cross join {{within:flow_run_tally r:r.slot:w.low:w.high}}
        and r.slot not in (select u.slot from flow_run_unsettled u) and {{where}}
        union all
        select r.place, r.state_type, r.state_name, 1, {_SECONDS}
        from ({_PARTS}) r cross join moment where {{where}}
        union all
        select {history.interval("r.expected_start_time")}, r.state_type, r.state_name, 1, {_SECONDS}
        from ({_RUNS}) r cross join moment where r.state_type is not null and {{where}}
    ) parts
    group by 1, 2, 3"""


def intervals(tx: Tx, grid: Grid, states: Where) -> list[Interval]:
    """How many runs there were by interval; see `filters.history`."""
    found = LEDGER.span(tx, grid.start, grid.edge(grid.length) - TICK)
    cut = Cut(grid, found)
    params = {**history.grid_params(grid), **cut.params(), **found.params()}
    return history.filled(grid, cut.summed(tx.composed(history.Row, _HISTORY, states, **params)))
