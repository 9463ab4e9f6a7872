"""Who holds the slots of a pool or a queue, and how a queue fares."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from lictor.db import Joined, Tx, Where, sql
from lictor.flow_runs.withdrawals import STANDING
from lictor.kit import clock
from lictor.kit.errors import NotFound, ObjectNotFound
from lictor.states.types import StateType
from lictor.web import DEFAULT_LIMIT, Embedded, Limit, PageNumber, page_offset
from lictor.work_pools import store
from lictor.work_pools.queues import POLLED_WITHIN
from lictor.work_pools.store import HOLDING, HOLDING_OF_AGENTS
from lictor.work_pools.types import WorkQueue


class PoolOccupancyAsked(Embedded):
    page: PageNumber = 1
    flow_run_limit: Annotated[int, Meta(ge=0, le=200)] = 10
    limit: Limit = DEFAULT_LIMIT


class QueueOccupancyAsked(Embedded):
    page: PageNumber = 1
    limit: Limit = DEFAULT_LIMIT


class Holder(Struct):
    """A run that holds a slot; the time is in seconds."""

    id: str
    name: str
    state_type: StateType | None
    state_name: str | None
    start_time: datetime | None
    state_timestamp: datetime | None
    time_in_current_state: float | None


class HolderInQueue(Struct):
    queue_id: str
    run: Annotated[Holder, Joined]


class QueueShare(Struct):
    queue_id: str
    queue_name: str
    active_slots: int
    concurrency_limit: int | None
    flow_runs: list[Holder]
    flow_run_count: int | None


class PoolOccupancy(Struct):
    active_slots: int
    concurrency_limit: int | None
    queues: list[QueueShare]
    count: int
    limit: int
    pages: int
    page: int


class QueueOccupancy(Struct):
    active_slots: int
    concurrency_limit: int | None
    flow_runs: list[Holder]
    count: int
    limit: int
    pages: int
    page: int


class HealthPolicy(Struct):
    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = int(POLLED_WITHIN.total_seconds())


class QueueHealth(Struct):
    healthy: bool
    late_runs_count: int
    last_polled: datetime | None
    health_check_policy: HealthPolicy


# What has no queue but names one belongs to the queue of that name for whoever asks by the queue's id.
OF_QUEUE = f"""
    from flow_run r where r.state_type in {HOLDING_OF_AGENTS}
    and (r.work_queue_id = :id or (r.work_queue_id is null and r.work_queue_name = :name))"""
_HOLDER = "r.id, r.name, r.state_type, r.state_name, r.start_time, r.state_timestamp, null as time_in_current_state"

HELD_BY_QUEUE = sql(
    "work_pools.held_by_queue",
    None,
    f"""
    select r.work_queue_id, count(*) from work_queue q join flow_run r on r.work_queue_id = q.id
    where q.work_pool_id = :pool_id and r.state_type in {HOLDING} group by r.work_queue_id
    """,
)
HOLDERS_BY_QUEUE = sql(
    "work_pools.holders_by_queue",
    HolderInQueue,
    f"""
    select r.work_queue_id, {_HOLDER} from (
        select r.work_queue_id, {_HOLDER}, row_number() over (partition by r.work_queue_id order by r.id) as number
        from flow_run r where r.work_queue_id {{in:queue_ids:uuid}} and r.state_type in {HOLDING}
    ) r where number <= :most order by r.id
    """,
)
COUNT_HOLDERS = sql("work_queues.count_holders", int, f"select count(*) {OF_QUEUE}")
HOLDERS = sql("work_queues.holders", Holder, f"select {_HOLDER} {OF_QUEUE} order by r.id limit :limit offset :offset")
LATE = sql(
    "work_queues.late",
    int,
    f"""
    select count(*) from flow_run r
    where r.work_queue_id = :id and r.state_type = 'SCHEDULED' and r.state_name = 'Late' and {STANDING}
    """,
)


def of_pool(tx: Tx, pool_name: str, asked: PoolOccupancyAsked) -> PoolOccupancy:
    """The pool's queues by priority, a page of them, each with its first holders."""
    pool = tx.get(store.FIND_POOL, NotFound(f"Work pool {pool_name!r} not found."), name=pool_name)
    held: dict[str, int] = {str(queue_id): count for queue_id, count in tx.all(HELD_BY_QUEUE, pool_id=pool.id)}
    where = Where()
    where.add("q.work_pool_id = {uuid:pool_id}", pool_id=pool.id)
    offset = page_offset(asked.page, asked.limit)
    queues = store.page_of_queues(tx, where, order="q.priority, q.id", limit=asked.limit, offset=offset)
    runs = _holders_by_queue(tx, queues, asked.flow_run_limit)
    count = tx.count("from work_queue q", where)
    return PoolOccupancy(
        active_slots=sum(held.values()),
        concurrency_limit=pool.concurrency_limit,
        queues=[_share(queue, held.get(queue.id, 0), runs.get(queue.id, [])) for queue in queues],
        count=count,
        limit=asked.limit,
        pages=_pages(count, asked.limit),
        page=asked.page,
    )


def _holders_by_queue(tx: Tx, queues: list[WorkQueue], most: int) -> dict[str, list[Holder]]:
    now = clock.now()
    found: dict[str, list[Holder]] = {}
    for holder in tx.all(HOLDERS_BY_QUEUE, queue_ids=[queue.id for queue in queues], most=most):
        found.setdefault(holder.queue_id, []).append(_timed(holder.run, now))
    return found


def _share(queue: WorkQueue, held: int, runs: list[Holder]) -> QueueShare:
    return QueueShare(queue.id, queue.name, held, queue.concurrency_limit, runs, held)


def of_queue(tx: Tx, id: str, asked: QueueOccupancyAsked) -> QueueOccupancy:
    """A page of the runs that hold a slot of the queue."""
    queue = tx.get(store.FIND_QUEUE_BY_ID, NotFound("Work queue not found."), id=id).queue
    now = clock.now()
    count = int(tx.value(COUNT_HOLDERS, id=id, name=queue.name))
    offset = page_offset(asked.page, asked.limit)
    runs = [_timed(run, now) for run in tx.all(HOLDERS, id=id, name=queue.name, limit=asked.limit, offset=offset)]
    pages = _pages(count, asked.limit)
    return QueueOccupancy(count, queue.concurrency_limit, runs, count, asked.limit, pages, asked.page)


def _timed(run: Holder, now: datetime) -> Holder:
    run.time_in_current_state = None if run.state_timestamp is None else (now - run.state_timestamp).total_seconds()
    return run


def _pages(count: int, limit: int) -> int:
    return -(-count // limit) if limit else 0


def health(tx: Tx, id: str) -> QueueHealth:
    """Whether the queue is polled and nothing in it is late."""
    queue = tx.get(store.FIND_QUEUE_BY_ID, ObjectNotFound(f"Work queue with id {id} not found"), id=id).queue
    late = int(tx.value(LATE, id=id))
    polled = queue.last_polled is not None and clock.now() - queue.last_polled <= POLLED_WITHIN
    return QueueHealth(late == 0 and polled, late, queue.last_polled, HealthPolicy())
