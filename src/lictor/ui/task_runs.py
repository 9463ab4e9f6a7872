"""/ui/task_runs: counts of task runs by state and by time, and a task run with the name of its flow run."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import asdict, replace

from lictor.db import Database, Tx, sql
from lictor.filters import (
    DeploymentFilter,
    FlowFilter,
    FlowRunFilter,
    TaskRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
    where_for,
)
from lictor.kit import clock, times
from lictor.kit.errors import NotFound, Unprocessable
from lictor.states.types import TERMINAL
from lictor.task_runs.listing import TaskRunQuery
from lictor.task_runs.store import FIND
from lictor.task_runs.types import TaskRun
from lictor.web import Embedded, Router

BUCKETS = 20
MINUTE = timedelta(minutes=1)


class UITaskRun(TaskRun):
    flow_run_name: str | None = None


class CountByState(Struct):
    COMPLETED: int = 0
    PENDING: int = 0
    RUNNING: int = 0
    FAILED: int = 0
    CANCELLED: int = 0
    CRASHED: int = 0
    PAUSED: int = 0
    CANCELLING: int = 0
    SCHEDULED: int = 0


# In the body the fields stand as in the reference, whose order of errors that is.
class DashboardCounts(Embedded):
    task_runs: TaskRunFilter
    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_queues: WorkQueueFilter | None = None


class TaskRunCount(Struct):
    completed: int = 0
    failed: int = 0


class _Bucket(Struct):
    place: int
    completed: int
    failed: int


FLOW_RUN_NAME = sql("ui.flow_run_name", str, "select name from flow_run where id = :id")

_ENDED = ", ".join(f"'{type_}'" for type_ in sorted(TERMINAL))

# Instants are whole microseconds, so half of one more keeps a start on a boundary on its side of it.
BY_BUCKET = """
    select cast(place as integer), sum(case when failed then 0 else 1 end), sum(case when failed then 1 else 0 end)
    from (
        select floor(({seconds:t.start_time:moment.start} + 0.0000005) / moment.step) as place,
            t.state_type in ('FAILED', 'CRASHED') as failed
        from task_run t
        cross join (select {ts:start} as start, cast(:step as {float_type}) as step) moment
        where {where}
    ) ended
    group by place order by place"""


def get(tx: Tx, id: str) -> UITaskRun:
    run = tx.get(FIND, NotFound("Task not found"), id=id)
    name = tx.one(FLOW_RUN_NAME, id=run.flow_run_id) if run.flow_run_id else None
    return UITaskRun(**asdict(run), flow_run_name=name)


def count_by_state(tx: Tx, wanted: TaskRunQuery) -> CountByState:
    text = "select t.state_type, count(*) from task_run t where t.state_type is not null and {where} group by 1"
    return CountByState(**dict(tx.composed(None, text, wanted.where_for("task_run"))))


def count_ended(tx: Tx, wanted: DashboardCounts) -> list[TaskRunCount]:
    """Task runs that ended well and not, in buckets of equal length over the time asked for, by their start."""
    asked = wanted.task_runs.start_time
    if asked is None or asked.after_ is None:
        raise Unprocessable("task_runs.start_time.after_ is required")
    start = times.utc(asked.after_).replace(second=0, microsecond=0)
    step = (_end_of_minute(asked.before_ or clock.now()) - start) / BUCKETS
    where = where_for(
        "task_run",
        flows=wanted.flows,
        flow_runs=wanted.flow_runs,
        task_runs=replace(wanted.task_runs, state=None),  # it is replaced by this page's own question
        deployments=wanted.deployments,
        work_pools=wanted.work_pools,
        work_pool_queues=wanted.work_queues,
    )
    where.add(f"t.state_type in ({_ENDED})")
    where.add("t.start_time is not null")
    counts = [TaskRunCount() for _ in range(BUCKETS)]
    bucket: _Bucket
    for bucket in tx.composed(_Bucket, BY_BUCKET, where, start=start, step=step.total_seconds()):
        if 0 <= bucket.place < BUCKETS:  # a start may lie ahead when no end was asked for
            counts[bucket.place] = TaskRunCount(bucket.completed, bucket.failed)
    return counts


def _end_of_minute(moment: datetime) -> datetime:
    return times.utc(moment).replace(second=59, microsecond=999_999)


router = Router("/ui/task_runs", tag="Task Runs")


@router.post("/dashboard/counts")
def read_dashboard_task_run_counts(body: DashboardCounts, db: Database) -> Awaitable[list[TaskRunCount]]:
    return db.read(count_ended, body)


@router.post("/count")
def read_task_run_counts_by_state(body: TaskRunQuery, db: Database) -> Awaitable[CountByState]:
    return db.read(count_by_state, body)


@router.get("/{id:uuid}")
def read_task_run_with_flow_run_name(id: str, db: Database) -> Awaitable[UITaskRun]:
    return db.read(get, id)
