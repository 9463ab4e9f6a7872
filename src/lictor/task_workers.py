"""`/api/task_workers`: who is connected to run background tasks. `task_runs.subscriptions` is where they connect."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit import clock
from lictor.task_runs.delivery import LOST_AFTER
from lictor.web import Embedded, Router

router = Router("/task_workers", tag="Task Workers")


class TaskWorkerFilter(Struct):
    task_keys: list[str]


class TaskWorkerQuery(Embedded):
    task_worker_filter: TaskWorkerFilter | None = None


class TaskWorker(Struct):
    """A worker, by the name that it gave, and when it was last known to be connected."""

    identifier: str
    task_keys: list[str]
    timestamp: datetime


CONNECTED = sql(
    "task_workers.connected",
    TaskWorker,
    "select client_id, task_keys, seen from task_worker where seen > {ts:lost_before} order by client_id, id",
)


@router.post("/filter")
def read_task_workers(body: TaskWorkerQuery, db: Database) -> Awaitable[list[TaskWorker]]:
    return db.read(page, body)


def page(tx: Tx, wanted: TaskWorkerQuery) -> list[TaskWorker]:
    """The workers that run at least one of these tasks; all, if none are named. One that has come twice is one."""
    workers: dict[str, TaskWorker] = {}
    for one in tx.all(CONNECTED, lost_before=clock.now() - LOST_AFTER):
        known = workers.setdefault(one.identifier, one)
        known.task_keys = sorted({*known.task_keys, *one.task_keys})
        known.timestamp = max(known.timestamp, one.timestamp)
    keys = set(wanted.task_worker_filter.task_keys if wanted.task_worker_filter else ())
    return [worker for worker in workers.values() if not keys or keys.intersection(worker.task_keys)]
