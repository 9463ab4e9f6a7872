"""The statements that read and write pools and queues. Those of polls are in `polling`, of workers in `workers`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Struct

from lictor.db import Joined, Tx, Where, sql
from lictor.kit.errors import NotFound
from lictor.work_pools.types import WorkPool, WorkQueue


class PoolRow(Struct):
    """A pool, and when and by which event its status was last told."""

    pool: Annotated[WorkPool, Joined]
    told: datetime | None
    event_id: str | None


class QueueRow(Struct):
    queue: Annotated[WorkQueue, Joined]
    pool_type: str


class Rank(Struct):
    id: str
    priority: int


# What holds a slot of a pool or of its queues; where queues are asked for by id, runs that are being cancelled do too.
HOLDING = "('PENDING', 'RUNNING')"
HOLDING_OF_AGENTS = "('PENDING', 'RUNNING', 'CANCELLING')"

_HELD_OF_POOL = f"""(
        select count(*) from work_queue own join flow_run r on r.work_queue_id = own.id
        where own.work_pool_id = p.id and r.state_type in {HOLDING}
    )"""

POOL_COLUMNS = f"""
    p.id, p.created, p.updated, p.name, p.description, p.type, p.base_job_template, p.is_paused, p.concurrency_limit,
    case when p.type = 'prefect-agent' then null else p.status end, p.default_queue_id, p.storage_configuration,
    case when p.concurrency_limit is not null then {_HELD_OF_POOL} end"""
SELECT_POOL = f"select {POOL_COLUMNS} from work_pool p"


def queue_columns(holding: str) -> str:
    """A `WorkQueue`'s; its slots are held by runs in these states."""
    return f"""
    q.id, q.created, q.updated, q.name, q.description, q.is_paused, q.concurrency_limit, q.priority, q.work_pool_id,
    q.filter, q.last_polled, p.name, q.status, case when q.concurrency_limit is not null then (
        select count(*) from flow_run r where r.work_queue_id = q.id and r.state_type in {holding}
    ) end"""


QUEUE_COLUMNS = queue_columns(HOLDING)
QUEUE_FROM = "from work_queue q join work_pool p on p.id = q.work_pool_id"
SELECT_QUEUE = f"select {QUEUE_COLUMNS} {QUEUE_FROM}"
_SELECT_QUEUE_ROW = f"select {QUEUE_COLUMNS}, p.type {QUEUE_FROM}"

FIND_POOL = sql("work_pools.find", WorkPool, f"{SELECT_POOL} where p.name = :name")
FIND_POOL_BY_ID = sql("work_pools.find_by_id", WorkPool, f"{SELECT_POOL} where p.id = :id")
LOCK_POOL = sql(
    "work_pools.lock",
    PoolRow,
    f"""
    select {POOL_COLUMNS}, p.last_transitioned_status_at, p.last_status_event_id from work_pool p
    where p.name = :name {{for_update}}
    """,
)
INSERT_POOL = sql(
    "work_pools.insert",
    None,
    """
    insert into work_pool (
        id, created, updated, name, description, type, base_job_template, is_paused, default_queue_id,
        concurrency_limit, status, storage_configuration
    ) values (
        :id, :created, :updated, :name, :description, :type, :base_job_template, :is_paused, :default_queue_id,
        :concurrency_limit, :status, :storage_configuration
    )
    on conflict (name) do nothing
    """,
)
DELETE_POOL = sql("work_pools.delete", None, "delete from work_pool where id = :id")

FIND_QUEUE = sql(
    "work_queues.find", QueueRow, f"{_SELECT_QUEUE_ROW} where p.name = :pool_name and q.name = :queue_name"
)
FIND_QUEUE_BY_ID = sql("work_queues.find_by_id", QueueRow, f"{_SELECT_QUEUE_ROW} where q.id = :id")
QUEUES_OF = sql(
    "work_queues.of_pool", QueueRow, f"{_SELECT_QUEUE_ROW} where q.work_pool_id = :pool_id order by q.priority, q.id"
)
LOCK_QUEUE = sql(
    "work_queues.lock",
    QueueRow,
    f"{_SELECT_QUEUE_ROW} where p.name = :pool_name and q.name = :queue_name {{for_update}}",
)
LOCK_QUEUE_BY_ID = sql("work_queues.lock_by_id", QueueRow, f"{_SELECT_QUEUE_ROW} where q.id = :id {{for_update}}")
RANKS = sql(
    "work_queues.ranks", Rank, "select id, priority from work_queue where work_pool_id = :pool_id order by priority, id"
)
INSERT_QUEUE = sql(
    "work_queues.insert",
    None,
    """
    insert into work_queue (
        id, created, updated, work_pool_id, name, description, is_paused, concurrency_limit, priority, filter, status
    ) values (
        :id, :created, :updated, :work_pool_id, :name, :description, :is_paused, :concurrency_limit, :priority, :filter,
        :status
    )
    on conflict (work_pool_id, name) do nothing
    """,
)
SET_PRIORITY = sql(
    "work_queues.set_priority", None, "update work_queue set priority = :priority, updated = :now where id = :id"
)
NAME_TAKEN = sql(
    "work_queues.name_taken",
    int,
    "select count(*) from work_queue where work_pool_id = :pool_id and name = :name and id <> :id",
)
DELETE_QUEUE = sql("work_queues.delete", None, "delete from work_queue where id = :id")


def get_pool(tx: Tx, name: str) -> WorkPool:
    return tx.get(FIND_POOL, no_pool(name), name=name)


def lock_pool(tx: Tx, name: str) -> PoolRow:
    """The pool as it is until the transaction ends."""
    return tx.get(LOCK_POOL, no_pool(name), name=name)


def get_queue(tx: Tx, pool_name: str, queue_name: str) -> QueueRow:
    return tx.get(FIND_QUEUE, no_queue(pool_name, queue_name), pool_name=pool_name, queue_name=queue_name)


def lock_queue(tx: Tx, pool_name: str, queue_name: str) -> QueueRow:
    """The queue as it is until the transaction ends; its pool's other queues keep their priorities as long."""
    return tx.get(LOCK_QUEUE, no_queue(pool_name, queue_name), pool_name=pool_name, queue_name=queue_name)


def page_of_queues(
    tx: Tx, where: Where, *, order: str, limit: int, offset: int, holding: str = HOLDING
) -> list[WorkQueue]:
    """A slice of the queues that meet conditions on `q` and on `p`, their pool."""
    select = f"select {queue_columns(holding)} {QUEUE_FROM}"
    return tx.page(WorkQueue, select, where, order=order, limit=limit, offset=offset)


def no_pool(name: str) -> NotFound:
    return NotFound(f'Work pool "{name}" not found.')


def no_queue(pool_name: str, queue_name: str) -> NotFound:
    return NotFound(f"Work pool queue '{pool_name}/{queue_name}' not found.")
