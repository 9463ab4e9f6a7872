"""Workers: who they are is what they say of themselves, and they are there as long as their heart beats."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from lictor.db import Tx, Where, sql
from lictor.filters import Filter
from lictor.filters.leaves import Condition, Leaf, Period, equals_any, equals_none, on
from lictor.kit import clock, ids
from lictor.kit.errors import NotFound
from lictor.web import DEFAULT_LIMIT, Embedded, Limit, Offset
from lictor.work_pools import pools, store
from lictor.work_pools.types import Status, Worker, WorkerStatus, WorkPool


class Heartbeat(Embedded):
    name: str
    heartbeat_interval_seconds: int | None = None


class AnyWorkerStatus(Leaf):
    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None

    def conditions(self, at: on) -> list[Condition]:
        made = [] if self.any_ is None else [equals_any(at, [str(status) for status in self.any_], self.kind)]
        excluded = equals_none(at, [str(status) for status in self.not_any_ or ()], self.kind)
        return made if excluded is None else [*made, excluded]


class WorkerFilter(Filter):
    last_heartbeat_time: Annotated[Period | None, on("w.last_heartbeat_time")] = None
    status: Annotated[AnyWorkerStatus | None, on("w.status")] = None


class WorkerPage(Embedded):
    workers: WorkerFilter | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


SELECT = """
    select w.id, w.created, w.updated, w.name, w.work_pool_id, w.last_heartbeat_time, w.heartbeat_interval_seconds,
        w.status
    from worker w"""

# A heartbeat without an interval leaves the one that was given before.
BEAT = sql(
    "workers.beat",
    None,
    """
    insert into worker (
        id, created, updated, work_pool_id, name, last_heartbeat_time, heartbeat_interval_seconds, status
    ) values (:id, :now, :now, :pool_id, :name, :now, :seconds, 'ONLINE')
    on conflict (work_pool_id, name) do update set
        updated = excluded.updated, last_heartbeat_time = excluded.last_heartbeat_time, status = excluded.status,
        heartbeat_interval_seconds = coalesce(excluded.heartbeat_interval_seconds, worker.heartbeat_interval_seconds)
    """,
)
DELETE = sql("workers.delete", None, "delete from worker where work_pool_id = :pool_id and name = :name")


def beat(tx: Tx, pool_name: str, heartbeat: Heartbeat) -> WorkPool:
    """The worker is there, and so its pool is ready, unless it is paused. Raises NotFound for an unknown pool."""
    pool = store.get_pool(tx, pool_name)
    seconds, now = heartbeat.heartbeat_interval_seconds, clock.now()
    tx.run(BEAT, id=ids.new(), pool_id=pool.id, name=heartbeat.name, seconds=seconds, now=now)
    if pools.own_status(tx, pool) == Status.NOT_READY:
        _ready(tx, pool_name, now)
    return pool


def _ready(tx: Tx, pool_name: str, now: datetime) -> None:
    row = store.lock_pool(tx, pool_name)
    if pools.own_status(tx, row.pool) == Status.NOT_READY:
        pools.set_status(tx, row, Status.READY, now)


def page(tx: Tx, pool_name: str, asked: WorkerPage) -> list[Worker]:
    """The pool's workers, those first that were heard of last."""
    where = Where() if asked.workers is None else asked.workers.where()
    where.add("w.work_pool_id = {uuid:pool_id}", pool_id=store.get_pool(tx, pool_name).id)
    order = "w.last_heartbeat_time desc, w.id desc"
    return tx.page(Worker, SELECT, where, order=order, limit=asked.limit, offset=asked.offset)


def delete(tx: Tx, pool_name: str, name: str) -> None:
    if not tx.run(DELETE, pool_id=store.get_pool(tx, pool_name).id, name=name):
        raise NotFound("Worker not found.")
