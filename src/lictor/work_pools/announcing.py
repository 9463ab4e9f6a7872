"""The events that tell what becomes of work pools and queues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event, Labels
from lictor.work_pools.types import Status, WorkPool, WorkQueue

# A status follows the one before in the log if that was not long ago.
FOLLOWS_WITHIN = timedelta(minutes=10)

Changes = dict[str, dict[str, Any]]


def pool_event(action: str, pool: WorkPool, occurred: datetime) -> Event:
    """`prefect.work-pool.created` or `.deleted`."""
    return Event(
        occurred=occurred,
        event=f"prefect.work-pool.{action}",
        resource=_pool(pool.id, pool.name, pool.type),
        related=_belongings(pool),
    )


def pool_updated(pool: WorkPool, changes: Changes, occurred: datetime) -> Event:
    return Event(
        occurred=occurred,
        event="prefect.work-pool.updated",
        resource=_pool(pool.id, pool.name, pool.type),
        payload={"updated_fields": list(changes), "updates": changes},
    )


def pool_status(
    id: str, pool_id: str, name: str, type: str, status: Status, occurred: datetime, follows: str | None = None
) -> Event:
    """`prefect.work-pool.ready`, `.not-ready` or `.paused`; its id stands in the pool's row."""
    resource = _pool(pool_id, name, type)
    del resource[RESOURCE_ROLE]
    return Event(
        id=id, occurred=occurred, event=f"prefect.work-pool.{kebab(status)}", resource=resource, follows=follows
    )


def recent(event_id: str | None, at: datetime | None, now: datetime) -> str | None:
    """The id of the event of the status before, if it was not long ago."""
    return event_id if at is not None and now - at < FOLLOWS_WITHIN else None


def queue_event(
    action: str, queue: WorkQueue, pool_type: str, occurred: datetime, changes: Changes | None = None
) -> Event:
    """`prefect.work-queue.` and created, updated, deleted or the queue's status."""
    return Event(
        occurred=occurred,
        event=f"prefect.work-queue.{action}",
        resource={
            RESOURCE_ID: f"prefect.work-queue.{queue.id}",
            RESOURCE_NAME: queue.name,
            RESOURCE_ROLE: "work-queue",
        },
        related=[_pool(queue.work_pool_id, queue.work_pool_name, pool_type)],
        payload={} if changes is None else {"updated_fields": list(changes), "updates": changes},
    )


def kebab(status: Status) -> str:
    return status.value.lower().replace("_", "-")


def _pool(id: str, name: str, type: str) -> Labels:
    return {
        RESOURCE_ID: f"prefect.work-pool.{id}",
        RESOURCE_NAME: name,
        "prefect.work-pool.type": type,
        RESOURCE_ROLE: "work-pool",
    }


def _belongings(pool: WorkPool) -> list[Labels]:
    related = []
    if pool.default_queue_id is not None:
        related.append({RESOURCE_ID: f"prefect.work-queue.{pool.default_queue_id}", RESOURCE_ROLE: "default-queue"})
    block_id = pool.storage_configuration.default_result_storage_block_id
    if block_id:
        related.append({RESOURCE_ID: f"prefect.block-document.{block_id}", RESOURCE_ROLE: "result-storage"})
    return related
