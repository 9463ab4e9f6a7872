"""The services of work pools: who falls silent is noticed, and clean-up messages that led nowhere are given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.events import store as events
from lictor.kit import clock
from lictor.loops import Service
from lictor.work_pools import cleanups, pools, store
from lictor.work_pools.announcing import kebab, queue_event
from lictor.work_pools.cleanups import Policy
from lictor.work_pools.store import QUEUE_COLUMNS, QUEUE_FROM, QueueRow
from lictor.work_pools.types import Status


class Silence(Struct, frozen=True):
    """After how many seconds without a sign of life it is noticed.

    Workers say how often their heart beats, and may miss some beats; `worker_interval` is for those that did not say.
    """

    missed_beats: int = 3
    worker_interval: int = 30
    queue: float = 60.0
    deployment: float = 60.0


class LastSeen(Struct):
    id: str
    last_heartbeat_time: datetime


SILENT_WORKERS = sql(
    "foreman.silent_workers",
    LastSeen,
    """
    select w.id, w.last_heartbeat_time from worker w cross join (select {ts:now} as now) moment
    where w.status = 'ONLINE' and {seconds:moment.now:w.last_heartbeat_time}
        > coalesce(w.heartbeat_interval_seconds, {int:interval}) * {int:missed}
    order by w.id
    """,
)
OFFLINE = sql(
    "foreman.offline",
    None,
    """
    update worker set status = 'OFFLINE', updated = {ts:now}
    where id = :id and last_heartbeat_time = {ts:last_heartbeat_time}
    """,
)
_ALONE = "not exists (select 1 from worker w where w.work_pool_id = p.id and w.status = 'ONLINE')"
LONELY_POOLS = sql(
    "foreman.lonely_pools", str, f"select p.name from work_pool p where p.status = 'READY' and {_ALONE} order by p.id"
)
SILENT_QUEUES = sql(
    "foreman.silent_queues",
    QueueRow,
    f"""
    select {QUEUE_COLUMNS}, p.type {QUEUE_FROM} where q.status = 'READY' and q.last_polled < {{ts:before}}
    order by q.id {{for_update}}
    """,
)
SILENCE = sql(
    "foreman.silence_queues",
    None,
    "update work_queue set status = 'NOT_READY', updated = {ts:now} where id {in:ids:uuid}",
)


class Foreman(Service):
    """Workers whose heart stopped are offline, and what nobody asks for any more is not ready."""

    name = "foreman"

    def __init__(
        self,
        db: Database,
        silence: Silence,
        interval: float = 15.0,
        *,
        deployments: Callable[[Tx, datetime], int] = lambda tx, before: 0,
    ) -> None:
        """`deployments` makes those not ready that nobody asked for since a time; it returns how many."""
        super().__init__(interval)
        self._db = db
        self._silence = silence
        self._deployments = deployments

    async def run_once(self) -> int:
        silence = self._silence
        done = await self._db.write(workers_offline, silence)
        done += await self._db.write(pools_not_ready)
        done += await self._db.write(self._deployments, clock.now() - timedelta(seconds=silence.deployment))
        return done + await self._db.write(queues_not_ready, clock.now() - timedelta(seconds=silence.queue))


def workers_offline(tx: Tx, silence: Silence) -> int:
    """How many workers there are whose heart stopped; one that beats meanwhile is left alone."""
    now = clock.now()
    found = tx.all(SILENT_WORKERS, now=now, interval=silence.worker_interval, missed=silence.missed_beats)
    return sum(tx.run(OFFLINE, id=one.id, last_heartbeat_time=one.last_heartbeat_time, now=now) for one in found)


def pools_not_ready(tx: Tx) -> int:
    """How many ready pools there are without a worker."""
    lonely = [store.lock_pool(tx, name) for name in tx.all(LONELY_POOLS)]
    ready = (row for row in lonely if pools.own_status(tx, row.pool) == Status.READY)
    lonely = [row for row in ready if not pools.has_worker(tx, row.pool)]
    for row in lonely:
        pools.set_status(tx, row, Status.NOT_READY, clock.now())
    return len(lonely)


def queues_not_ready(tx: Tx, before: datetime) -> int:
    """How many ready queues there are that nobody has polled since."""
    now = clock.now()
    silent = tx.all(SILENT_QUEUES, before=before)
    tx.run(SILENCE, ids=[row.queue.id for row in silent], now=now)
    events.emit_all(tx, [queue_event(kebab(Status.NOT_READY), row.queue, row.pool_type, now) for row in silent])
    return len(silent)


class CleanupReconciler(Service):
    """Gives up clean-up messages whose deliveries are used up. Others are delivered again by themselves."""

    name = "cleanup-reconciler"

    def __init__(self, db: Database, policy: Policy, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._policy = policy

    async def run_once(self) -> int:
        if not await self._db.read(cleanups.any_to_settle, self._policy):
            return 0
        return await self._db.write(cleanups.reconcile, self._policy)
