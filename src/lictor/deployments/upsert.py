"""Creating a deployment, or giving the one of that name new values: one transaction with all that follows from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from lictor.db import LostRace, Tx, sql
from lictor.deployments import announcing, job_variables, limits, store
from lictor.deployments.schedule_types import stored
from lictor.deployments.store import Deployment, NewSchedule
from lictor.deployments.types import DeploymentCreate, DeploymentResponse
from lictor.events import store as events
from lictor.flow_runs import planned
from lictor.flow_runs.create import Place
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict
from lictor.web import Created
from lictor.work_pools import places

FLOW_LABELS = sql("deployments.flow_labels", dict[str, Any], "select labels from flow where id = :id")
FLOW = sql("deployments.flow", str, "select id from flow where id = :id and deleted is null {for_key_share}")

# What a new deployment has where the client says nothing.
DEFAULTS: dict[str, Any] = {
    "version": None,
    "description": None,
    "paused": False,
    "concurrency_options": None,
    "parameter_openapi_schema": {},
    "enforce_parameter_schema": True,
    "job_variables": {},
    "tags": [],
    "pull_steps": [],
    "path": None,
    "entrypoint": None,
    "storage_document_id": None,
    "infrastructure_document_id": None,
    "work_queue_name": None,
}


def insert_or_update(tx: Tx, wanted: DeploymentCreate) -> Created[DeploymentResponse]:
    """Raises Conflict for an unknown flow or block, NotFound for an unknown pool or limit, Unprocessable for job
    variables that do not suit the pool."""
    place = _place(tx, wanted)
    limits.check_shared(tx, wanted.global_concurrency_limit_id)
    for kind, block_id in (
        ("infrastructure", wanted.infrastructure_document_id),
        ("storage", wanted.storage_document_id),
    ):
        _check_block(tx, kind, block_id)
    flow_id = str(wanted.flow_id)
    if tx.one(FLOW, id=flow_id) is None:
        raise Conflict
    now = clock.now()
    columns = _columns(tx, wanted, place)
    found = tx.one(store.LOCK_BY_NAME, flow_id=flow_id, name=wanted.name)
    if found is None:
        return Created(_insert(tx, wanted, columns, now))
    return Created(_update(tx, store.get(tx, found), wanted, columns, now), False)


def _place(tx: Tx, wanted: DeploymentCreate) -> Place | None:
    pool, queue = wanted.work_pool_name or None, wanted.work_queue_name or None
    if pool is None:
        return places.ensure_agent_place(tx, queue) if queue is not None else None
    place = places.ensure_place(tx, pool, queue)
    if wanted.job_variables:
        job_variables.check(tx, place.pool_id, "creating deployment", wanted.job_variables, require=False)
    return place


def _check_block(tx: Tx, kind: str, block_id: Any) -> None:
    if isinstance(block_id, UUID) and tx.one(job_variables.BLOCK, id=str(block_id)) is None:
        raise Conflict(
            f"Error creating deployment. Could not find {kind} block with id: {block_id}. This usually occurs when"
            " applying a deployment specification that was built against a different Prefect database / workspace."
        )


def _columns(tx: Tx, wanted: DeploymentCreate, place: Place | None) -> dict[str, Any]:
    """The columns that the client gives a value."""
    found: dict[str, Any] = {
        name: as_column(value) for name in DEFAULTS if (value := getattr(wanted, name)) is not UNSET
    }
    found["parameters"] = wanted.parameters
    of_flow = tx.one(FLOW_LABELS, id=wanted.flow_id) or {}
    found["labels"] = of_flow | {"prefect.flow.id": str(wanted.flow_id)} | (wanted.labels or {})
    if place is not None:
        found["work_queue_id"] = place.queue_id
    return found


def as_column(value: Any) -> Any:
    """A value that a client sent as a parameter of a statement."""
    if isinstance(value, Struct):
        return msgspec.to_builtins(value)
    return str(value) if isinstance(value, UUID) else value


def _insert(tx: Tx, wanted: DeploymentCreate, columns: dict[str, Any], now: datetime) -> DeploymentResponse:
    id = ids.new()
    row = {
        **dict.fromkeys(store.STORED),
        **DEFAULTS,
        **columns,
        "id": id,
        "created": now,
        "updated": now,
        "flow_id": wanted.flow_id,
        "name": wanted.name,
        "status": "NOT_READY",
        "concurrency_limit_id": None,
    }
    if not store.insert(tx, row):
        raise LostRace  # somebody else made it meanwhile
    limit_id = limits.after(tx, id, None, wanted.concurrency_limit, wanted.global_concurrency_limit_id)
    if limit_id is not None:
        store.update(tx, id, {"concurrency_limit_id": limit_id}, now)
    made = store.get(tx, id)
    store.insert_schedules(tx, id, new_schedules(wanted), now, made.paused)
    events.emit(tx, announcing.changed("created", made, now))
    return store.response(tx, made)


def _update(
    tx: Tx, old: Deployment, wanted: DeploymentCreate, columns: dict[str, Any], now: datetime
) -> DeploymentResponse:
    limit_id = limits.after(
        tx, old.id, old.concurrency_limit_id, wanted.concurrency_limit, wanted.global_concurrency_limit_id
    )
    store.update(tx, old.id, {**columns, "concurrency_limit_id": limit_id}, now)
    new = store.get(tx, old.id)
    tx.run(store.DELETE_SCHEDULES, deployment_ids=[old.id])
    store.insert_schedules(tx, old.id, new_schedules(wanted), now, new.paused)
    planned.delete_future(tx, [old.id], now)
    follow(tx, old, new, now)
    return store.response(tx, new)


def follow(tx: Tx, old: Deployment, new: Deployment, now: datetime) -> None:
    """What follows from a change: runs that wait go along to another queue, and the event tells of it."""
    if new.work_queue_id != old.work_queue_id:
        planned.move(tx, new.id, old.work_queue_id, new.work_queue_id, new.queue_name)
    event = announcing.updated(old, new, now)
    if event is not None:
        events.emit(tx, event)


def new_schedules(wanted: DeploymentCreate) -> list[NewSchedule]:
    return [NewSchedule(stored(one.schedule), one.active, one.parameters, one.slug) for one in wanted.schedules]
