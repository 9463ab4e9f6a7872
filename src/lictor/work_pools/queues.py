"""Creating, changing and deleting queues. Priorities of one pool's queues are numbers from 1 on, no two alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, to_builtins

from lictor.db import Tx, update_row
from lictor.events import store as events
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound
from lictor.work_pools import store
from lictor.work_pools.announcing import kebab, queue_event
from lictor.work_pools.store import QueueRow, Rank
from lictor.work_pools.types import Status, WorkPool, WorkQueue, WorkQueueCreate, WorkQueueUpdate

POLLED_WITHIN = timedelta(seconds=60)
"""A queue that was polled within this time counts as polled."""

# The reference's words, which name the pool no better than this.
NAME_TAKEN = "A work queue with this name already exists in work pool {work_pool_name!r}."

_TOLD = ("name", "description", "concurrency_limit", "priority")
_REQUIRED = ("name", "description", "priority")


def create(tx: Tx, pool_name: str, new: WorkQueueCreate) -> WorkQueue:
    """Raises NotFound for an unknown pool, Conflict for a name that is taken."""
    return insert(tx, store.lock_pool(tx, pool_name).pool, new, NAME_TAKEN)


def insert(tx: Tx, pool: WorkPool, new: WorkQueueCreate, taken: str) -> WorkQueue:
    """The new queue of a pool that is locked. Raises Conflict with the words `taken`."""
    now = clock.now()
    ranks = tx.all(store.RANKS, pool_id=pool.id)
    queue = WorkQueue(
        id=ids.new(),
        created=now,
        updated=now,
        name=new.name,
        description=new.description or "",
        is_paused=new.is_paused,
        concurrency_limit=new.concurrency_limit,
        priority=new.priority or lowest_free([rank.priority for rank in ranks]),
        work_pool_id=pool.id,
        filter=new.filter,
        last_polled=None,
        work_pool_name=pool.name,
        status=Status.NOT_READY,
        active_slots=None if new.concurrency_limit is None else 0,
    )
    if not tx.run(store.INSERT_QUEUE, **_params(queue)):
        raise Conflict(taken)
    if new.priority is not None:
        _make_room(tx, ranks, Rank(queue.id, new.priority), now)
    events.emit(tx, queue_event("created", queue, pool.type, now))
    return queue


def lowest_free(taken: list[int]) -> int:
    """The smallest priority from 1 on that is not among these."""
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def _make_room(tx: Tx, ranks: list[Rank], wanted: Rank, now: datetime) -> None:
    for id, priority in shifted([rank for rank in ranks if rank.id != wanted.id], wanted).items():
        tx.put(store.SET_PRIORITY, id=id, priority=priority, now=now)


def shifted(others: list[Rank], wanted: Rank) -> dict[str, int]:
    """The priorities that must change, by queue, for one to have the wanted: others move down as little as possible."""
    before = [rank for rank in others if rank.priority < wanted.priority]
    after = [rank for rank in others if rank.priority >= wanted.priority]
    changed: dict[str, int] = {}
    last = 0
    for rank in [*before, wanted, *after]:
        last = max(rank.priority, last + 1)
        if last != rank.priority:
            changed[rank.id] = last
    return changed


def update(tx: Tx, pool_name: str, queue_name: str, patch: WorkQueueUpdate) -> None:
    """As asked; other queues of the pool make room for a new priority."""
    store.lock_pool(tx, pool_name)
    row = store.lock_queue(tx, pool_name, queue_name)
    now = _update(tx, row, patch)
    if isinstance(patch.priority, int):
        ranks = tx.all(store.RANKS, pool_id=row.queue.work_pool_id)
        _make_room(tx, ranks, Rank(row.queue.id, patch.priority), now)


def update_by_id(tx: Tx, id: str, patch: WorkQueueUpdate) -> None:
    """As asked; no other queue makes room, as in the reference."""
    _update(tx, tx.get(store.LOCK_QUEUE_BY_ID, NotFound(f"Work Queue {id} not found"), id=id), patch)


def _update(tx: Tx, row: QueueRow, patch: WorkQueueUpdate) -> datetime:
    queue, now = row.queue, clock.now()
    changes = {name: getattr(patch, name) for name in patch.__struct_fields__ if getattr(patch, name) is not UNSET}
    if any(name in changes and changes[name] is None for name in _REQUIRED):
        raise Conflict
    if "name" in changes and tx.value(store.NAME_TAKEN, pool_id=queue.work_pool_id, name=changes["name"], id=queue.id):
        raise Conflict
    status = _new_status(queue, changes, now)
    if status is not None:
        changes["status"] = status
    told = {
        name: {"from": getattr(queue, name), "to": changes[name]}
        for name in changes
        if name in _TOLD and changes[name] != getattr(queue, name)
    }
    columns = changes | ({"filter": to_builtins(changes["filter"])} if "filter" in changes else {})
    update_row(tx, "work_queue", queue.id, columns, now)
    for name, value in changes.items():
        setattr(queue, name, value)
    if told:
        events.emit(tx, queue_event("updated", queue, row.pool_type, now, told))
    if status is not None:
        events.emit(tx, queue_event(kebab(status), queue, row.pool_type, now))
    return now


def _new_status(queue: WorkQueue, changes: dict[str, Any], now: datetime) -> Status | None:
    """What pausing or resuming makes of the status; None where it stays."""
    paused = changes.get("is_paused")
    if paused is True and queue.status != Status.PAUSED:
        return Status.PAUSED
    if paused is False and queue.status == Status.PAUSED:
        polled = changes.get("last_polled", queue.last_polled)
        recently = polled is not None and now - polled <= POLLED_WITHIN
        return Status.READY if recently else Status.NOT_READY
    return None


def delete(tx: Tx, pool_name: str, queue_name: str) -> None:
    """Raises Conflict for the default queue of the pool."""
    pool = store.lock_pool(tx, pool_name).pool
    row = store.lock_queue(tx, pool_name, queue_name)
    if pool.default_queue_id == row.queue.id:
        raise Conflict("Can't delete a pool's default queue.")
    _delete(tx, row)


def delete_by_id(tx: Tx, id: str) -> None:
    """Raises Conflict for the default queue of its pool."""
    row = tx.get(store.LOCK_QUEUE_BY_ID, NotFound("work queue not found"), id=id)
    if store.get_pool(tx, row.queue.work_pool_name).default_queue_id == id:
        raise Conflict
    _delete(tx, row)


def _delete(tx: Tx, row: QueueRow) -> None:
    tx.run(store.DELETE_QUEUE, id=row.queue.id)
    events.emit(tx, queue_event("deleted", row.queue, row.pool_type, clock.now()))


def _params(queue: WorkQueue) -> dict[str, Any]:
    derived = ("last_polled", "work_pool_name", "active_slots")
    params = {name: getattr(queue, name) for name in queue.__struct_fields__ if name not in derived}
    return params | {"filter": to_builtins(queue.filter)}
