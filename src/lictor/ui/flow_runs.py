"""/ui/flow_runs: runs in short, as the dashboards draw them over time, and how many task runs they have."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from lictor.db import Database, Tx, sql
from lictor.filters import PoolFilters
from lictor.filters.estimates import lateness, run_time
from lictor.flow_runs import withdrawals
from lictor.flow_runs.listing import ORDERS, Sort
from lictor.kit import clock
from lictor.states.types import StateType
from lictor.web import Embedded, Offset, Router, Seconds

MOST_RUNS = 1000


class FlowRunHistory(PoolFilters):
    sort: Sort = Sort.EXPECTED_START_TIME_DESC
    limit: Annotated[int, Meta(le=MOST_RUNS)] = MOST_RUNS
    offset: Offset = 0


class FlowRunIds(Embedded):
    flow_run_ids: Annotated[list[UUID], Meta(max_length=200)]


class SimpleFlowRun(Struct):
    """`timestamp` is the start, or the expected one of a run that has not started."""

    id: str
    state_type: StateType
    timestamp: datetime
    duration: Seconds
    lateness: Seconds


class _Row(Struct):
    id: str
    state_type: StateType
    start_time: datetime | None
    expected_start_time: datetime
    total_run_time: float
    state_timestamp: datetime | None


SELECT = """
    select r.id, r.state_type, r.start_time, r.expected_start_time, r.total_run_time, r.state_timestamp
    from flow_run r"""

TASK_RUNS = sql(
    "ui.task_runs_by_flow_run",
    None,
    """
    select t.flow_run_id, count(*) from task_run t
    where t.flow_run_id {in:flow_run_ids:uuid}
        and not exists (select 1 from flow_run subflow where subflow.parent_task_run_id = t.id)
    group by t.flow_run_id
    """,
)


def history(tx: Tx, wanted: FlowRunHistory) -> list[SimpleFlowRun]:
    where = wanted.where_for("flow_run")
    where.add("r.state_type is not null")
    where.add("r.expected_start_time is not null")
    withdrawals.hide(tx, where)
    # The reference takes a limit below zero for none.
    limit = wanted.limit if wanted.limit >= 0 else MOST_RUNS
    rows = tx.page(_Row, SELECT, where, order=ORDERS[wanted.sort], limit=limit, offset=wanted.offset)
    now = clock.now()
    return [_simple(row, now) for row in rows]


def _simple(row: _Row, now: datetime) -> SimpleFlowRun:
    return SimpleFlowRun(
        row.id,
        row.state_type,
        row.start_time or row.expected_start_time,
        run_time(row.total_run_time, row.state_type, row.state_timestamp, now),
        lateness(row.expected_start_time, row.start_time, row.state_type, now),
    )


def count_task_runs(tx: Tx, flow_run_ids: Sequence[str]) -> dict[str, int]:
    """Task runs by flow run, without those that stand for a subflow."""
    counts: dict[str, int] = dict(tx.all(TASK_RUNS, flow_run_ids=flow_run_ids))
    return {flow_run_id: counts.get(flow_run_id, 0) for flow_run_id in flow_run_ids}


router = Router("/ui/flow_runs", tag="Flow Runs")


@router.post("/history")
def read_flow_run_history(body: FlowRunHistory, db: Database) -> Awaitable[list[SimpleFlowRun]]:
    return db.read(history, body)


@router.post("/count-task-runs")
def count_task_runs_by_flow_run(body: FlowRunIds, db: Database) -> Awaitable[dict[str, int]]:
    return db.read(count_task_runs, [str(id) for id in body.flow_run_ids])
