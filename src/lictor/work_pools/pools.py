"""Creating, changing and deleting pools."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, to_builtins

from lictor.blocks import documents
from lictor.blocks.encryption import Cipher
from lictor.db import Tx, sql, update_row
from lictor.events import store as events
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound, Refused
from lictor.work_pools import queues, store
from lictor.work_pools.announcing import pool_event, pool_status, pool_updated, queue_event, recent
from lictor.work_pools.store import PoolRow
from lictor.work_pools.templates import check_defaults
from lictor.work_pools.types import (
    AGENT_TYPE,
    Status,
    WorkPool,
    WorkPoolCreate,
    WorkPoolUpdate,
    WorkQueueCreate,
)

TOPIC = "work_pools"
"""What is told when a pool was changed or deleted."""

DEFAULT_QUEUE = WorkQueueCreate(name="default", description="The work pool's default queue.")
_TOLD = ("description", "base_job_template", "concurrency_limit", "storage_configuration")
_REQUIRED = ("is_paused", "base_job_template", "storage_configuration")

ONLINE = sql(
    "work_pools.online", int, "select count(*) from worker where work_pool_id = :pool_id and status = 'ONLINE'"
)

_OWN = sql("work_pools.own_status", str, "select status from work_pool where id = :id")


def reserved(name: str) -> bool:
    """Whether the name is one of those that the reference keeps for itself."""
    return name.lower().startswith("prefect")


def create(tx: Tx, new: WorkPoolCreate, cipher: Cipher) -> WorkPool:
    """Raises Refused for a reserved name, Conflict for a taken one, Unprocessable for defaults that do not fit."""
    if reserved(new.name):
        raise Refused("Work pools starting with 'Prefect' are reserved for internal use.")
    check_defaults(new.base_job_template, contents(tx, cipher))
    pool = insert(tx, new)
    if pool is None:
        raise Conflict("A work pool with this name already exists.")
    # Also of a pool of agents, though its status is never shown, and does not follow its pauses.
    event = pool_status(ids.new(), pool.id, pool.name, pool.type, _first_status(new), clock.now())
    events.emit(tx, event)
    return pool


def _first_status(new: WorkPoolCreate) -> Status:
    return Status.PAUSED if new.is_paused and new.type != AGENT_TYPE else Status.NOT_READY


def contents(tx: Tx, cipher: Cipher) -> Callable[[str], dict[str, Any]]:
    """What gives the data of a block document, without its secrets. Raises NotFound."""

    def content(id: str) -> dict[str, Any]:
        try:
            return documents.get(tx, str(UUID(id)), cipher).data
        except (NotFound, ValueError):
            raise NotFound("Block not found.") from None

    return content


def insert(tx: Tx, new: WorkPoolCreate) -> WorkPool | None:
    """The new pool with its default queue; None if the name is taken. Its first status is not told yet."""
    now = clock.now()
    pool = WorkPool(
        id=ids.new(),
        created=now,
        updated=now,
        name=new.name,
        description=new.description,
        type=new.type,
        base_job_template=Raw(msgspec.json.encode(new.base_job_template)),
        is_paused=new.is_paused,
        concurrency_limit=new.concurrency_limit,
        status=_first_status(new),
        default_queue_id=None,
        storage_configuration=new.storage_configuration,
        active_slots=None if new.concurrency_limit is None else 0,
    )
    if not tx.run(store.INSERT_POOL, **_params(pool, new)):
        return None
    queue = queues.insert(tx, pool, DEFAULT_QUEUE, "")
    pool.default_queue_id = queue.id
    update_row(tx, "work_pool", pool.id, {"default_queue_id": queue.id}, now)
    events.emit(tx, pool_event("created", pool, now))
    if pool.type == AGENT_TYPE:
        pool.status = None
    return pool


def _params(pool: WorkPool, new: WorkPoolCreate) -> dict[str, Any]:
    params = {name: getattr(pool, name) for name in pool.__struct_fields__ if name != "active_slots"}
    configuration = to_builtins(new.storage_configuration)
    return params | {"base_job_template": new.base_job_template, "storage_configuration": configuration}


def update(tx: Tx, name: str, patch: WorkPoolUpdate) -> None:
    """As asked. Raises Refused for a reserved pool, but that it may be paused and limited."""
    changes = {field: getattr(patch, field) for field in patch.__struct_fields__ if getattr(patch, field) is not UNSET}
    if reserved(name) and not set(changes) <= {"is_paused", "concurrency_limit"}:
        raise Refused(
            "Work pools starting with 'Prefect' are reserved for internal use "
            "and can only be updated to set concurrency limits or pause."
        )
    row = store.lock_pool(tx, name)
    if any(field in changes and changes[field] is None for field in _REQUIRED):
        raise Conflict
    apply(tx, row, changes)


def apply(tx: Tx, row: PoolRow, changes: dict[str, Any]) -> None:
    """Set columns of a pool that is locked, and tell of it: first what changed, then the status."""
    pool, now = row.pool, clock.now()
    columns = changes | (
        {"storage_configuration": to_builtins(changes["storage_configuration"])}
        if "storage_configuration" in changes
        else {}
    )
    update_row(tx, "work_pool", pool.id, columns, now)
    tx.tell(TOPIC)
    told = _told(pool, changes)
    if told:
        events.emit(tx, pool_updated(pool, told, now))
    if "is_paused" in changes and pool.type != AGENT_TYPE:
        set_status(tx, row, _resumed(tx, pool) if not changes["is_paused"] else Status.PAUSED, now)


def _told(pool: WorkPool, changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    old = {field: getattr(pool, field) for field in changes if field in _TOLD}
    if "base_job_template" in old:
        old["base_job_template"] = msgspec.json.decode(old["base_job_template"])
    return {
        field: {"from": to_builtins(value), "to": to_builtins(changes[field])}
        for field, value in old.items()
        if changes[field] != value
    }


def _resumed(tx: Tx, pool: WorkPool) -> Status:
    return Status.READY if has_worker(tx, pool) else Status.NOT_READY


def own_status(tx: Tx, pool: WorkPool) -> Status | None:
    """The status that is told of; a pool of agents has one too, but does not show it."""
    return Status(tx.get(_OWN, store.no_pool(pool.name), id=pool.id)) if pool.type == AGENT_TYPE else pool.status


def has_worker(tx: Tx, pool: WorkPool) -> bool:
    """Whether a worker of the pool is online."""
    return bool(tx.value(ONLINE, pool_id=pool.id))


def set_status(tx: Tx, row: PoolRow, status: Status, now: datetime) -> None:
    """Enter a status and tell of it, also if it is the one that the pool had, as the reference does."""
    pool, event_id = row.pool, ids.new()
    changes = {"status": status, "last_transitioned_status_at": now, "last_status_event_id": event_id}
    update_row(tx, "work_pool", pool.id, changes, now)
    follows = recent(row.event_id, row.told, now)
    events.emit(tx, pool_status(event_id, pool.id, pool.name, pool.type, status, now, follows))


def delete(tx: Tx, name: str) -> None:
    """The pool with its queues and workers; runs and deployments on it stay, without a queue."""
    if reserved(name):
        words = "Work pools starting with 'Prefect' are reserved for internal use and can not be deleted."
        raise Refused(words)
    pool, now = store.lock_pool(tx, name).pool, clock.now()
    gone = [queue_event("deleted", row.queue, row.pool_type, now) for row in tx.all(store.QUEUES_OF, pool_id=pool.id)]
    tx.run(store.DELETE_POOL, id=pool.id)
    tx.tell(TOPIC)
    events.emit_all(tx, [*gone, pool_event("deleted", pool, now)])
