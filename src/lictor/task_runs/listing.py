"""Lists of task runs: filtered, sorted, counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lictor.db import Tx, Where
from lictor.filters import DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter, where_for
from lictor.filters.history import HistoryBody, Interval, run_history
from lictor.task_runs.types import SELECT, TaskRun, TaskRunSummary, summary
from lictor.web import DEFAULT_LIMIT, Embedded, Limit, Offset, Page, PageNumber, page_offset, paginate


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


class TaskRunQuery(Embedded):
    """Which task runs: those that all of the given filters let through."""

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None

    def where(self) -> Where:
        return _where(self)


class TaskRunSlice(TaskRunQuery):
    sort: TaskRunSort = TaskRunSort.ID_DESC
    offset: Offset = 0
    limit: Limit = DEFAULT_LIMIT


class TaskRunPage(TaskRunQuery):
    sort: TaskRunSort = TaskRunSort.ID_DESC
    page: PageNumber = 1
    limit: Limit = DEFAULT_LIMIT


class TaskRunHistory(HistoryBody):
    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None

    def where(self) -> Where:
        return _where(self)


def _where(wanted: TaskRunQuery | TaskRunHistory) -> Where:
    return where_for(
        "task_run",
        flows=wanted.flows,
        flow_runs=wanted.flow_runs,
        task_runs=wanted.task_runs,
        deployments=wanted.deployments,
    )


def find_slice(tx: Tx, wanted: TaskRunSlice) -> list[TaskRun]:
    return page(tx, wanted.where(), wanted.sort, wanted.limit, wanted.offset)


def find_page(tx: Tx, wanted: TaskRunPage) -> Page[TaskRunSummary]:
    where = wanted.where()
    runs = page(tx, where, wanted.sort, wanted.limit, page_offset(wanted.page, wanted.limit))
    return paginate([summary(run) for run in runs], wanted.page, wanted.limit, count_where(tx, where))


def page(
    tx: Tx, where: Where, sort: TaskRunSort = TaskRunSort.ID_DESC, limit: int = 200, offset: int = 0
) -> list[TaskRun]:
    """Task runs that meet conditions on `t`, a slice of them."""
    return tx.page(TaskRun, SELECT, where, order=ORDERS[sort], limit=limit, offset=offset)


def count(tx: Tx, wanted: TaskRunQuery) -> int:
    return count_where(tx, wanted.where())


def count_where(tx: Tx, where: Where) -> int:
    return tx.count("from task_run t", where)


def history(tx: Tx, wanted: TaskRunHistory) -> list[Interval]:
    return run_history(tx, "task_run t", wanted, wanted.where())
