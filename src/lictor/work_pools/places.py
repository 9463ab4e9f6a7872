"""Which queue serves a deployment or a run; made when it is missing."""

from __future__ import annotations

from lictor.db import Tx
from lictor.flow_runs.create import DEFAULT_PLACE, NAMED_PLACE, Place
from lictor.work_pools import agents, queues, store
from lictor.work_pools.types import AGENT_POOL, WorkQueueCreate


def ensure_place(tx: Tx, pool_name: str, queue_name: str | None = None) -> Place:
    """The pool's queue of that name, which is made when it is missing; without a name its default queue.

    Raises NotFound for an unknown pool.
    """
    if not queue_name:
        return tx.get(DEFAULT_PLACE, store.no_pool(pool_name), pool_name=pool_name)
    found = tx.one(NAMED_PLACE, pool_name=pool_name, queue_name=queue_name)
    return found or _make_place(tx, pool_name, WorkQueueCreate(name=queue_name))


def ensure_agent_place(tx: Tx, queue_name: str) -> Place:
    """The queue of that name in the pool for agents; both are made when they are missing, the queue ahead of others."""
    found = tx.one(NAMED_PLACE, pool_name=AGENT_POOL, queue_name=queue_name)
    if found is not None:
        return found
    agents.ensure_pool(tx)
    return _make_place(tx, AGENT_POOL, WorkQueueCreate(name=queue_name, priority=1))


def _make_place(tx: Tx, pool_name: str, new: WorkQueueCreate) -> Place:
    # Whoever makes queues of a pool holds it locked: there may be one by now.
    pool = store.lock_pool(tx, pool_name).pool
    found = tx.one(NAMED_PLACE, pool_name=pool_name, queue_name=new.name)
    if found is not None:
        return found
    queue = queues.insert(tx, pool, new, "")
    return Place(queue.id, queue.name, pool.id, pool.name, pool.type)
