"""How many runs were in which state, by interval of their expected start: one query for any number of intervals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from lictor.db import Tx, Where
from lictor.filters import estimates
from lictor.filters.bodies import RunFilters
from lictor.kit import clock, times
from lictor.kit.errors import OutOfRange, Unprocessable
from lictor.states.types import StateType
from lictor.web.shapes import Instant

MOST_INTERVALS = 500

Table = Literal["flow_run r", "task_run t"]


class HistoryBody(RunFilters):
    """What both histories ask for."""

    history_start: Instant
    history_end: Instant
    history_interval_seconds: float


class StateCount(Struct):
    """Runs of one interval that are in one state; the sums are seconds."""

    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


class Interval(Struct):
    interval_start: datetime
    interval_end: datetime
    states: list[StateCount]


class Grid(NamedTuple):
    """Intervals of equal length; the last may end after what was asked for."""

    start: datetime
    step: timedelta
    length: int

    def edge(self, index: int) -> datetime:
        return self.start + index * self.step


class Row(Struct):
    """What is found of one interval and one kind of state."""

    interval: int
    state_type: StateType
    state_name: str
    count_runs: int
    run_time: float
    lateness: float


def run_history(tx: Tx, table: Table, wanted: HistoryBody, where: Where, *, plain: bool = False) -> list[Interval]:
    """The intervals from start to end, at most 500, also those without runs. `plain` conditions are such that nothing
    but the expected start leads to the runs that meet them."""
    grid = divide(wanted.history_start, wanted.history_end, wanted.history_interval_seconds)
    if grid.length == 0:
        return []
    params = {**grid_params(grid), "now": clock.now()}
    # SQLite takes as long to work out the interval of a run as to read it: so there each interval's runs are looked up.
    # PostgreSQL cannot tell how few runs an interval has, and might read all runs for each.
    if plain and tx.dialect.name == "sqlite":
        edges = [times.text(grid.edge(index)) + times.text(grid.edge(index + 1)) for index in range(grid.length)]
        return filled(grid, tx.composed(Row, _text_by_interval(table), where, edges=edges, **params))
    return filled(grid, tx.composed(Row, _text(table), where, end=grid.edge(grid.length), **params))


def grid_params(grid: Grid) -> dict[str, Any]:
    """What `interval` needs."""
    return {"start": grid.start, "step": grid.step.total_seconds()}


def interval(instant: str) -> str:
    """The number of the interval that an instant is in."""
    # Instants are whole microseconds, so half of one more keeps a start on a boundary on its side of it,
    # whatever was lost when SQLite subtracted floats.
    return f"floor(({{seconds_since:{instant}:start}} + 0.0000005) / cast(:step as {{float_type}}))"


def filled(grid: Grid, rows: Iterable[Row]) -> list[Interval]:
    """All intervals of the grid, with what was found of them."""
    intervals = [Interval(grid.edge(index), grid.edge(index + 1), []) for index in range(grid.length)]
    for row in rows:
        found = StateCount(row.state_type, row.state_name, row.count_runs, row.run_time, row.lateness)
        intervals[row.interval].states.append(found)
    return intervals


def divide(start: datetime, end: datetime, seconds: float) -> Grid:
    """Raises the reference's 422 for intervals under a second, OutOfRange where one would pass the year 9999."""
    try:
        step = timedelta(seconds=seconds)
        if step < timedelta(seconds=1):
            raise Unprocessable("History interval must not be less than 1 second.")
        grid = Grid(times.utc(start), step, max(0, min(-((start - end) // step), MOST_INTERVALS)))
        grid.edge(grid.length)
    except OverflowError:
        raise OutOfRange("History intervals must end before the year 10000.") from None
    return grid


def positive(seconds: str) -> str:
    """Clocks of clients differ: a run may seem to have taken less than nothing."""
    return f"(case when {seconds} > 0 then {seconds} else 0 end)"


def _text(table: str) -> str:
    run = table[-1]
    return _summed(
        f"""
            select {interval(f"{run}.expected_start_time")} as slot, {_columns(run)}
            from {table} {estimates.MOMENT}
            where {run}.expected_start_time >= {{ts:start}} and {run}.expected_start_time < {{ts:end}}
                and {run}.state_type is not null and {{where}}"""
    )


def _text_by_interval(table: str) -> str:
    """Only for SQLite. What is made of the state's type keeps its index out."""
    run = table[-1]
    return _summed(
        f"""
            select each.key as slot, {_columns(run)}
            from {{each:edges}} {estimates.MOMENT} cross join {table}
            where {run}.expected_start_time >= substr(each.value, 1, 27)
                and {run}.expected_start_time < substr(each.value, 28)
                and {run}.state_type || '' is not null and {{where}}"""
    )


def _columns(run: str) -> str:
    run_time, lateness = estimates.run_time_sql(run), estimates.lateness_sql(run)
    return f"{run}.state_type, {run}.state_name, {run_time} as run_time, {lateness} as lateness"


def _summed(runs: str) -> str:
    return f"""
        select cast(slot as integer), state_type, state_name, count(*),
            sum({positive("run_time")}), sum(lateness)
        from ({runs}
        ) runs
        group by slot, state_type, state_name order by slot, state_type, state_name"""
