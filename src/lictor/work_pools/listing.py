"""Lists of pools and queues."""

from __future__ import annotations

from lictor.db import Tx, Where
from lictor.filters import WorkPoolFilter, WorkQueueFilter, where_for
from lictor.web import DEFAULT_LIMIT, Embedded, Limit, Offset
from lictor.work_pools import store
from lictor.work_pools.types import WorkPool, WorkQueue


# In each body the fields stand as in the reference, whose order of errors that is.
class PoolSlice(Embedded):
    work_pools: WorkPoolFilter | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class PoolQuery(Embedded):
    work_pools: WorkPoolFilter | None = None


class QueueSlice(Embedded):
    work_queues: WorkQueueFilter | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


def pools(tx: Tx, asked: PoolSlice) -> list[WorkPool]:
    """By name."""
    where = where_for("work_pool", work_pools=asked.work_pools)
    return tx.page(WorkPool, store.SELECT_POOL, where, order="p.name", limit=asked.limit, offset=asked.offset)


def count_pools(tx: Tx, asked: PoolQuery) -> int:
    return tx.count("from work_pool p", where_for("work_pool", work_pools=asked.work_pools))


def queues_of(tx: Tx, pool_name: str, asked: QueueSlice) -> list[WorkQueue]:
    """The queues of a pool, by priority."""
    where = Where() if asked.work_queues is None else asked.work_queues.where()
    where.add("q.work_pool_id = {uuid:pool_id}", pool_id=store.get_pool(tx, pool_name).id)
    return store.page_of_queues(tx, where, order="q.priority, q.id", limit=asked.limit, offset=asked.offset)
