"""Lists of task runs: filtered, sorted, counted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from lictor.db import Tx, Where, sql
from lictor.filters import RunFilters, TaskRunFilter, where_for
from lictor.filters.history import Grid, HistoryBody, Interval, divide, run_history
from lictor.filters.leaves import Operator, Period, PeriodOrNull
from lictor.states.types import TERMINAL
from lictor.tallies import flow_runs, task_runs
from lictor.tallies.flow_runs import Tallied
from lictor.tallies.task_runs import Started
from lictor.task_runs.types import SELECT, TaskRun, TaskRunSummary, summary
from lictor.web import DEFAULT_LIMIT, Limit, Offset, Page, PageNumber, page_offset, paginate


class TaskRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"
    DURATION_DESC = "DURATION_DESC"
    DURATION_ASC = "DURATION_ASC"


ORDERS: Final[dict[TaskRunSort, str]] = {
    TaskRunSort.ID_DESC: "t.id desc",
    TaskRunSort.EXPECTED_START_TIME_ASC: "t.expected_start_time, t.id",
    TaskRunSort.EXPECTED_START_TIME_DESC: "t.expected_start_time desc, t.id desc",
    TaskRunSort.NAME_ASC: "t.name, t.id",
    TaskRunSort.NAME_DESC: "t.name desc, t.id desc",
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: "t.next_scheduled_start_time, t.id",
    TaskRunSort.END_TIME_DESC: "t.end_time desc, t.id desc",
    TaskRunSort.DURATION_DESC: "t.total_run_time desc, t.expected_start_time desc, t.id desc",
    TaskRunSort.DURATION_ASC: "t.total_run_time, t.expected_start_time desc, t.id desc",
}


class TaskRunQuery(RunFilters):
    """Which task runs: those that all of the given filters let through."""


class TaskRunSlice(TaskRunQuery):
    sort: TaskRunSort = TaskRunSort.ID_DESC
    offset: Offset = 0
    limit: Limit = DEFAULT_LIMIT


class TaskRunPage(TaskRunQuery):
    sort: TaskRunSort = TaskRunSort.ID_DESC
    page: PageNumber = 1
    limit: Limit = DEFAULT_LIMIT


class TaskRunHistory(HistoryBody):
    """The history of task runs."""


def find_slice(tx: Tx, wanted: TaskRunSlice) -> list[TaskRun]:
    return _page(tx, wanted, wanted.offset)


def find_page(tx: Tx, wanted: TaskRunPage) -> Page[TaskRunSummary]:
    runs = _page(tx, wanted, page_offset(wanted.page, wanted.limit))
    return paginate([summary(run) for run in runs], wanted.page, wanted.limit, count(tx, wanted))


# So many of the newest task runs are looked at one by one, before all flow runs that may be meant are gathered.
RECENT = 5_000
SINCE = sql(
    "task_runs.since",
    datetime,
    f"""
    select t.expected_start_time from task_run t where t.expected_start_time is not null
    order by t.expected_start_time desc limit 1 offset {RECENT}
    """,
)


def _page(tx: Tx, wanted: TaskRunSlice | TaskRunPage, offset: int) -> list[TaskRun]:
    where = _recent(tx, wanted)
    if where is not None:
        found = page(tx, where, wanted.sort, wanted.limit, offset)
        if len(found) == wanted.limit:
            return found
    return page(tx, wanted.where_for("task_run"), wanted.sort, wanted.limit, offset)


def _recent(tx: Tx, wanted: TaskRunSlice | TaskRunPage) -> Where | None:
    """The same conditions on the newest task runs, if those come first and their flow runs are what is asked for: as a
    rule they fill the page, and the flow runs of a week need not be gathered."""
    parents = wanted.flow_runs
    if wanted.sort != TaskRunSort.EXPECTED_START_TIME_DESC or parents is None or parents.ids() is not None:
        return None
    since = tx.one(SINCE)
    if since is None:
        return None
    where = where_for("task_run", task_runs=wanted.task_runs)
    inner = where_for("flow_run", flows=wanted.flows, flow_runs=parents, deployments=wanted.deployments)
    where.add_exists("select 1 from flow_run r where r.id = t.flow_run_id", inner)
    where.add("t.expected_start_time >= {ts:since}", since=since)
    return where


def page(
    tx: Tx, where: Where, sort: TaskRunSort = TaskRunSort.ID_DESC, limit: int = 200, offset: int = 0
) -> list[TaskRun]:
    """Task runs that meet conditions on `t`, a slice of them."""
    if tx.dialect.name != "sqlite":
        return tx.page(TaskRun, SELECT, where, order=ORDERS[sort], limit=limit, offset=offset)
    # Where SQLite has to sort, it sorts whole rows, with their inputs: so ids first, and then the rows of those.
    ids = tx.page(str, "select t.id from task_run t", where, order=ORDERS[sort], limit=limit, offset=offset)
    found = {run.id: run for run in tx.all(BY_IDS, ids=ids)}
    return [found[id] for id in ids]


BY_IDS = sql("task_runs.by_ids", TaskRun, f"{SELECT} where t.id {{in:ids:uuid}}")


def count(tx: Tx, wanted: TaskRunQuery) -> int:
    total = None
    if of_period := _of_flow_runs(wanted):
        total = flow_runs.total_tasks(tx, of_period)
    elif plain := tallied(wanted):
        total = task_runs.total(tx, plain.expected, plain.started, plain.conditions)
    return count_where(tx, wanted.where_for("task_run")) if total is None else total


def count_where(tx: Tx, where: Where) -> int:
    return tx.count("from task_run t", where)


def history(tx: Tx, wanted: TaskRunHistory) -> list[Interval]:
    grid = divide(wanted.history_start, wanted.history_end, wanted.history_interval_seconds)
    plain = tallied(wanted)
    if plain is None or plain.expected != (None, None) or not task_runs.LEDGER.worth_it(tx, grid):
        if _is_seldom(tx, wanted, grid):
            return run_history(tx, "task_run t", wanted, _each_of(wanted), plain=True)
        return run_history(tx, "task_run t", wanted, wanted.where_for("task_run"))
    return task_runs.intervals(tx, grid, plain.started, plain.conditions)


# To go through the runs of a flow takes SQLite this many times as long as to go through as many task runs of a time.
DEARER = 5
# How far both are counted, in turn, so that counting costs little beside the shorter way.
COUNTED = (1_000, 10_000, 100_000)
OF_FLOW = "select count(*) from (select 1 from flow_run r where {where} limit :most) found"
OF_TIME = sql(
    "task_runs.of_time",
    int,
    """
    select count(*) from (
        select 1 from task_run t where t.expected_start_time >= {ts:start} and t.expected_start_time < {ts:end}
        limit :most
    ) found
    """,
)


def _is_seldom(tx: Tx, wanted: TaskRunHistory, grid: Grid) -> bool:
    """Whether the time has few task runs beside the flow runs that are meant: SQLite knows neither number."""
    others = (wanted.flows, wanted.deployments)
    parents = wanted.flow_runs is not None and not wanted.flow_runs.says_only(set())
    if tx.dialect.name != "sqlite" or parents or all(other is None for other in others):
        return False
    time = {"start": grid.start, "end": grid.edge(grid.length)}
    where = where_for("flow_run", flows=wanted.flows, deployments=wanted.deployments)
    for most in COUNTED:
        of_time = tx.one(OF_TIME, **time, most=most + 1) or 0
        if of_time <= COUNTED[0]:
            return True
        few = min(of_time, most) // DEARER
        more = bool(tx.composed(int, OF_FLOW, where, most=few + 1)[0] > few)
        if of_time <= most or not more:
            return more
    return False


def _each_of(wanted: TaskRunHistory) -> Where:
    """The same conditions, put so that the flow run of each task run is looked up."""
    where = where_for("task_run", task_runs=wanted.task_runs)
    inner = where_for("flow_run", flows=wanted.flows, deployments=wanted.deployments)
    where.add_exists("select 1 from flow_run r where r.id = t.flow_run_id", inner)
    return where


def _of_flow_runs(wanted: TaskRunQuery) -> Tallied | None:
    """The question about flow runs, if it is their task runs that are asked for."""
    asked = wanted.flow_runs
    if asked is None or any((wanted.flows, wanted.task_runs, wanted.deployments)) or asked.says_only(set()):
        return None
    return flow_runs.tallied(asked)


class Plain(NamedTuple):
    """A question that tallies of task runs can answer."""

    expected: tuple[datetime | None, datetime | None]
    started: Started
    conditions: Where


def tallied(wanted: TaskRunQuery | TaskRunHistory) -> Plain | None:
    """The question, if it asks for no more than tallies know, and for some of what they do: runs that are over."""
    asked, parents = wanted.task_runs or TaskRunFilter(), wanted.flow_runs
    if wanted.flows is not None or wanted.deployments is not None:
        return None
    if parents is not None and not parents.says_only(set()):
        return None
    if asked.operator != Operator.and_ or not asked.says_only(KNOWN):
        return None
    start, expected = asked.start_time or PeriodOrNull(), asked.expected_start_time or Period()
    if start.is_null_ is not None or (asked.state is not None and not asked.state.may_be(TERMINAL)):
        return None
    conditions = TaskRunFilter(state=asked.state).where()
    # That an empty filter of flow runs is there asks for a flow run.
    if parents is not None:
        conditions.add("t.of_flow")
    if asked.subflow_runs is not None and asked.subflow_runs.exists_ is not None:
        conditions.add("t.subflow" if asked.subflow_runs.exists_ else "not t.subflow")
    return Plain((expected.after_, expected.before_), Started(start.after_, start.before_), conditions)


KNOWN = {"state", "start_time", "expected_start_time", "subflow_runs"}
