"""Queues as agents knew them, before there were workers: found by id or name, and made in a pool of their own.

Nothing of today's SDK polls them; commands and dashboards still read and change queues this way. The oldest kind of
queue has a filter and serves the runs that meet it, whatever queue they name.
"""

from __future__ import annotations

from lictor.db import Tx, Where, sql
from lictor.filters import FlowRunFilter, WorkQueueFilter, where_for
from lictor.filters.entities import RunState
from lictor.filters.leaves import IdOrNull, Period, StateTypes, Tags
from lictor.flow_runs import listing
from lictor.flow_runs.types import FlowRunResponse
from lictor.kit.errors import NotFound, ObjectNotFound
from lictor.states.types import StateTypeName
from lictor.web import DEFAULT_LIMIT, Embedded, Instant, Limit, Offset
from lictor.work_pools import polling, pools, queues, store
from lictor.work_pools.polling import NEVER, PolledQueue, Slots, Window
from lictor.work_pools.store import HOLDING_OF_AGENTS
from lictor.work_pools.types import AGENT_POOL, QueueFilter, WorkPoolCreate, WorkQueue, WorkQueueCreate

NAME_TAKEN = "A work queue with this name already exists."


class AnyQueueSlice(Embedded):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    work_queues: WorkQueueFilter | None = None


class QueuePoll(Embedded):
    limit: Limit = DEFAULT_LIMIT
    scheduled_before: Instant | None = None


POLLED_QUEUE = sql(
    "polling.queue",
    PolledQueue,
    f"""
    select {polling.POLLED_QUEUE_COLUMNS}, {polling.held("q", HOLDING_OF_AGENTS)}, q.status, q.last_polled
    from work_queue q where q.id = :id
    """,
)


def ensure_pool(tx: Tx) -> bool:
    """The pool for agents, with its default queue; False if it was there."""
    return tx.one(store.FIND_POOL, name=AGENT_POOL) is None and (
        pools.insert(tx, WorkPoolCreate(name=AGENT_POOL)) is not None
    )


def create(tx: Tx, new: WorkQueueCreate) -> WorkQueue:
    """Raises Conflict for a name that is taken, but not where it is the default queue of a pool that is made for it."""
    if ensure_pool(tx) and new.name == "default":
        return get_named(tx, new.name)
    return queues.insert(tx, store.lock_pool(tx, AGENT_POOL).pool, new, NAME_TAKEN)


def page(tx: Tx, asked: AnyQueueSlice) -> list[WorkQueue]:
    """The queues of all pools, by name."""
    return _page(tx, where_for("work_queue", work_pool_queues=asked.work_queues), asked.limit, asked.offset)


def get(tx: Tx, id: str) -> WorkQueue:
    where = Where()
    where.add("q.id = {uuid:id}", id=id)
    return _only(_page(tx, where))


def get_named(tx: Tx, name: str) -> WorkQueue:
    """The queue of that name in the pool for agents; if there is no such pool, in any."""
    where = Where()
    where.add("q.name = :name", name=name)
    where.add(f"(p.name = '{AGENT_POOL}' or not exists (select 1 from work_pool a where a.name = '{AGENT_POOL}'))")
    return _only(_page(tx, where))


def _only(found: list[WorkQueue]) -> WorkQueue:
    if not found:
        raise NotFound("work queue not found")
    return found[0]


def _page(tx: Tx, where: Where, limit: int = 1, offset: int = 0) -> list[WorkQueue]:
    found = store.page_of_queues(tx, where, order="q.name, q.id", limit=limit, offset=offset, holding=HOLDING_OF_AGENTS)
    for queue in found:
        if queue.filter is not None and queue.concurrency_limit is not None:
            queue.active_slots = _held(tx, queue.filter)
    return found


def poll(tx: Tx, queue_id: str, wanted: QueuePoll) -> tuple[list[FlowRunResponse], PolledQueue]:
    """What an agent is handed. Raises ObjectNotFound for an unknown queue."""
    missing = ObjectNotFound(f"Work queue with id {queue_id} not found.")
    queue = tx.get(POLLED_QUEUE, missing, id=queue_id)
    filter = tx.get(store.FIND_QUEUE_BY_ID, missing, id=queue_id).queue.filter
    if queue.is_paused:
        return [], queue
    if filter is not None:
        return _matching_runs(tx, queue, filter, wanted), queue
    window = Window(wanted.scheduled_before or NEVER)
    most = min(wanted.limit, polling.room_of(queue))
    return polling.runs_of(tx, polling.choose(tx, polling.in_queue(queue_id), window, Slots(tx), most)), queue


def _matching_runs(tx: Tx, queue: PolledQueue, filter: QueueFilter, wanted: QueuePoll) -> list[FlowRunResponse]:
    most = wanted.limit
    if queue.concurrency_limit is not None:
        most = min(most, max(0, queue.concurrency_limit - _held(tx, filter)))
    where = _meeting(filter, StateTypeName.SCHEDULED, before=wanted.scheduled_before)
    return listing.page(tx, where, listing.Sort.NEXT_SCHEDULED_START_TIME_ASC, most)


def _held(tx: Tx, filter: QueueFilter) -> int:
    return listing.count_where(tx, _meeting(filter, StateTypeName.PENDING, StateTypeName.RUNNING))


def _meeting(filter: QueueFilter, *types: StateTypeName, before: Instant | None = None) -> Where:
    """Runs of deployments that meet the filter and are in a state of one of these types."""
    return FlowRunFilter(
        tags=Tags(all_=filter.tags),
        deployment_id=IdOrNull(any_=filter.deployment_ids, is_null_=False),
        state=RunState(type=StateTypes(any_=list(types))),
        next_scheduled_start_time=Period(before_=before),
    ).where()
