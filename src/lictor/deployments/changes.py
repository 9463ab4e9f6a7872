"""Changing, pausing and deleting deployments: one transaction with the runs that were planned for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from lictor.db import Tx
from lictor.deployments import announcing, job_variables, limits, listing, schedules, store
from lictor.deployments.store import Deployment
from lictor.deployments.types import DeploymentBulkDelete, DeploymentsDeleted, DeploymentUpdate, decoded
from lictor.deployments.upsert import as_column, follow
from lictor.events import store as events
from lictor.flow_runs import planned
from lictor.flow_runs.create import Place
from lictor.kit import clock
from lictor.kit.errors import BadRequest, Conflict, NotFound, Unprocessable
from lictor.kit.lazy import lazy
from lictor.parameters import HydrationError, hydrate
from lictor.work_pools import places

if TYPE_CHECKING:
    from lictor.parameters import schemas
else:
    schemas = lazy("lictor.parameters.schemas")

PLAIN = (
    "version",
    "description",
    "paused",
    "concurrency_options",
    "tags",
    "work_queue_name",
    "path",
    "pull_steps",
    "entrypoint",
    "storage_document_id",
    "infrastructure_document_id",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
)
NO_SCHEMA = (
    "Error updating deployment: Cannot update parameters because parameter schema enforcement is enabled and the"
    " deployment does not have a valid parameter schema."
)
CIRCULAR = "Invalid schema: Unable to validate schema with circular references."


def update(tx: Tx, id: str, wanted: DeploymentUpdate) -> None:
    """Raises NotFound, BadRequest, Conflict or Unprocessable, as the reference does for the same reasons."""
    old = store.lock(tx, id, NotFound("Deployment not found."))
    plan = schedules.plan(store.schedules_of(tx, [id]), wanted.schedules)
    changes: dict[str, Any] = {
        name: as_column(value) for name in PLAIN if (value := getattr(wanted, name)) is not UNSET
    }
    changes.update(_placed(tx, wanted))
    if wanted.job_variables is not UNSET and wanted.job_variables is not None:
        changes["job_variables"] = wanted.job_variables
    parameters = _parameters(tx, old, wanted)
    if wanted.parameters is not UNSET:
        changes["parameters"] = parameters
    check_parameters(parameters, old, wanted)
    if any(changes.get(name, "") is None for name in ("parameters", "enforce_parameter_schema")):
        raise Conflict
    limits.check_shared(tx, wanted.global_concurrency_limit_id)
    limit = (wanted.concurrency_limit, wanted.global_concurrency_limit_id)
    changes["concurrency_limit_id"] = limits.after(tx, id, old.concurrency_limit_id, *limit)
    now = clock.now()
    store.update(tx, id, changes, now)
    new = store.get(tx, id)
    schedules.carry_out(tx, id, plan, now, new.paused)
    unplan(tx, id, now)
    follow(tx, old, new, now)


def unplan(tx: Tx, deployment_id: str, now: datetime) -> None:
    """What was planned for the time to come is planned anew."""
    store.replan(tx, deployment_id, now)
    planned.delete_future(tx, [deployment_id], now)


def _placed(tx: Tx, wanted: DeploymentUpdate) -> dict[str, Any]:
    pool, queue = wanted.work_pool_name, wanted.work_queue_name or None
    if pool:
        place: Place = places.ensure_place(tx, pool, queue if isinstance(queue, str) else None)
        _check_job_variables(tx, place, wanted)
        return {"work_queue_id": place.queue_id}
    if pool is None:
        return {"work_queue_id": None}
    if isinstance(queue, str):
        return {"work_queue_id": places.ensure_agent_place(tx, queue).queue_id}
    return {}


def _check_job_variables(tx: Tx, place: Place, wanted: DeploymentUpdate) -> None:
    variables = job_variables.variables_of(tx, place.pool_id)
    if not variables or not isinstance(wanted.job_variables, dict):
        return
    try:
        schemas.validate(wanted.job_variables, variables, require=False)
    except schemas.Mismatch as mismatch:
        reason = str(mismatch).partition("Failure reason: ")[2] or str(mismatch)
        raise Conflict(f'Error creating deployment: <ValidationError: "{reason}">') from mismatch
    except schemas.CircularSchema as circular:
        raise Unprocessable(CIRCULAR) from circular


def _parameters(tx: Tx, old: Deployment, wanted: DeploymentUpdate) -> Any:
    """What the parameters are from now on: those that are sent are filled in, and kept so."""
    if wanted.parameters is UNSET:
        return msgspec.json.decode(old.parameters)
    if wanted.parameters is None:
        return None
    try:
        return hydrate(tx, decoded(wanted.parameters))
    except HydrationError as error:
        raise BadRequest(f"Error hydrating deployment parameters: {error}") from error


def check_parameters(parameters: Any, old: Deployment, wanted: DeploymentUpdate) -> None:
    enforce = wanted.enforce_parameter_schema
    if not (old.enforce_parameter_schema if enforce is UNSET or enforce is None else enforce):
        return
    schema = wanted.parameter_openapi_schema or _decoded(old.parameter_openapi_schema)
    if not isinstance(schema, dict):
        raise Conflict(NO_SCHEMA)
    given = parameters if parameters is not None else msgspec.json.decode(old.parameters)
    try:
        schemas.validate(given, schema, require=False)
    except schemas.Mismatch as mismatch:
        raise Conflict(f"Error updating deployment: {mismatch}") from mismatch
    except schemas.CircularSchema as circular:
        raise Unprocessable(CIRCULAR) from circular


def _decoded(value: msgspec.Raw | None) -> Any:
    return None if value is None else msgspec.json.decode(value)


def pause(tx: Tx, id: str) -> None:
    """No runs are made for its schedules any more, and those that were made are deleted, also those that are late."""
    old = store.lock(tx, id)
    now = clock.now()
    if not old.paused:
        store.update(tx, id, {"paused": True}, now)
    store.replan(tx, id, now)
    planned.delete_made(tx, id, now)
    follow(tx, old, replace(old, paused=True), now)


def resume(tx: Tx, id: str) -> None:
    """Runs are made for its schedules again, from now on."""
    old = store.lock(tx, id)
    if not old.paused:
        return
    now = clock.now()
    store.update(tx, id, {"paused": False}, now)
    store.replan(tx, id, now)
    follow(tx, old, replace(old, paused=False), now)


def delete(tx: Tx, id: str) -> None:
    if not delete_all(tx, [id]):
        raise store.not_found()


def delete_matching(tx: Tx, asked: DeploymentBulkDelete) -> DeploymentsDeleted:
    return DeploymentsDeleted(delete_all(tx, listing.matching(tx, asked.deployments, asked.limit)))


def delete_all(tx: Tx, deployment_ids: list[str]) -> list[str]:
    """Delete deployments with their schedules, their own limits, and all runs that have not begun; returns the ids of
    those that were there."""
    found = set(tx.all(store.LOCK, ids=deployment_ids))
    there = [id for id in deployment_ids if id in found]
    if not there:
        return []
    now = clock.now()
    rows = tx.all(store.ALL, ids=there)
    tx.run(store.DELETE, ids=there)
    planned.delete_planned(tx, there)
    limits.drop_own(tx, there)
    events.emit_all(tx, [announcing.changed("deleted", row, now) for row in rows])
    return there
