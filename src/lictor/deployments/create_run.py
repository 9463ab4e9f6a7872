"""Making a run of a deployment: what the client does not say is the deployment's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lictor.db import Database, Tx
from lictor.deployments import job_variables, store
from lictor.deployments.changes import CIRCULAR, NO_SCHEMA
from lictor.deployments.store import Deployment
from lictor.deployments.types import (
    BULK_CREATE_LIMIT,
    DeploymentFlowRunCreate,
    FlowRunCreated,
    FlowRunsCreated,
    decoded,
)
from lictor.flow_runs import create
from lictor.flow_runs.announcing import CreatedBy
from lictor.flow_runs.create import Place
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate, FlowRunResponse
from lictor.kit.errors import BadRequest, Conflict, LictorError, Unprocessable
from lictor.kit.lazy import lazy
from lictor.parameters import HydrationError, hydrate
from lictor.states.callers import Caller
from lictor.states.types import StateCreate, StateTypeName
from lictor.work_pools import places

if TYPE_CHECKING:
    from lictor.parameters import schemas
else:
    schemas = lazy("lictor.parameters.schemas")


def create_flow_run(
    tx: Tx,
    orchestration: Orchestration,
    deployment_id: str,
    wanted: DeploymentFlowRunCreate,
    *,
    caller: Caller,
    created_by: CreatedBy | None = None,
) -> tuple[FlowRunResponse, bool]:
    """The new run and True, or the one that has the idempotency key already and False.

    Raises NotFound for an unknown deployment; BadRequest, Conflict or Unprocessable for parameters, job variables or a
    queue that do not suit it.
    """
    deployment = store.get(tx, deployment_id)
    parameters = _parameters(tx, deployment, wanted)
    job_variables.check(
        tx, deployment.pool_id, "creating flow run", deployment.job_variables, wanted.job_variables, require=True
    )
    return create.insert(
        tx,
        orchestration,
        _run(deployment, wanted, parameters),
        _place(tx, deployment, wanted.work_queue_name),
        caller=caller,
        created_by=created_by,
        deployment_version=deployment.version,
    )


def _parameters(tx: Tx, deployment: Deployment, wanted: DeploymentFlowRunCreate) -> dict[str, Any]:
    given = msgspec.json.decode(deployment.parameters) | decoded(wanted.parameters)
    try:
        parameters: dict[str, Any] = hydrate(tx, given)
    except HydrationError as error:
        raise BadRequest(f"Error hydrating flow run parameters: {error}") from error
    enforce = wanted.enforce_parameter_schema
    if deployment.enforce_parameter_schema if enforce is None else enforce:
        _check(parameters, deployment.parameter_openapi_schema)
    return parameters


def _check(parameters: dict[str, Any], schema: msgspec.Raw | None) -> None:
    if schema is None:
        raise Conflict(NO_SCHEMA)
    try:
        schemas.validate(parameters, msgspec.json.decode(schema))
    except schemas.Mismatch as mismatch:
        raise Conflict(f"Error creating flow run: {mismatch}") from mismatch
    except schemas.CircularSchema as circular:
        raise Unprocessable(CIRCULAR) from circular


def _place(tx: Tx, deployment: Deployment, queue_name: str | None) -> Place | None:
    if queue_name:
        if deployment.pool_name is None:
            raise BadRequest(
                f"Cannot create flow run in work queue {queue_name} because deployment {deployment.id} is not"
                " associated with a work pool. Please remove work_pool_name and try again."
            )
        return places.ensure_place(tx, deployment.pool_name, queue_name)
    found = (deployment.work_queue_id, deployment.queue_name, deployment.pool_id, deployment.pool_name)
    return None if None in found else Place(*found, deployment.pool_type or "")  # type: ignore[arg-type]


def _run(deployment: Deployment, wanted: DeploymentFlowRunCreate, parameters: dict[str, Any]) -> FlowRunCreate:
    block_id = wanted.infrastructure_document_id or deployment.infrastructure_document_id
    return FlowRunCreate(
        flow_id=deployment.flow_id,  # type: ignore[arg-type]
        state=wanted.state or StateCreate(StateTypeName.SCHEDULED),
        name=wanted.name,
        parameters=parameters,
        context=wanted.context,
        parent_task_run_id=wanted.parent_task_run_id,
        infrastructure_document_id=block_id,  # type: ignore[arg-type]
        empirical_policy=wanted.empirical_policy,
        tags=list(dict.fromkeys([*deployment.tags, *wanted.tags])),
        labels=wanted.labels,
        idempotency_key=wanted.idempotency_key,
        work_queue_name=deployment.work_queue_name,
        job_variables=wanted.job_variables,
        deployment_id=deployment.id,  # type: ignore[arg-type]
    )


async def create_flow_runs(
    db: Database,
    orchestration: Orchestration,
    deployment_id: str,
    wanted: list[DeploymentFlowRunCreate],
    *,
    caller: Caller,
    created_by: CreatedBy | None = None,
) -> FlowRunsCreated:
    """Each in a transaction of its own: one that fails does not hold up the others. Raises NotFound, and BadRequest for
    more than a hundred."""
    if len(wanted) > BULK_CREATE_LIMIT:
        raise BadRequest(f"Cannot create more than {BULK_CREATE_LIMIT} flow runs at once.")
    await db.read(store.get, deployment_id)
    results = []
    for one in wanted:
        try:
            run, _ = await db.write(
                create_flow_run, orchestration, deployment_id, one, caller=caller, created_by=created_by
            )
        except LictorError as error:
            results.append(FlowRunCreated(None, "FAILED", _said(deployment_id, error.message)))
        else:
            results.append(FlowRunCreated(run.id, "CREATED", None))
    return FlowRunsCreated(results)


# What is said of one of many runs differs a little from what is said of a single one.
_SAID = {
    NO_SCHEMA: "Parameter schema enforcement is enabled but deployment has no valid schema.",
    CIRCULAR: "Invalid schema: circular references detected.",
}


def _said(deployment_id: str, message: str) -> str:
    for single, many in (
        ("Error creating flow run: Validation", "Parameter validation failed: Validation"),
        ("Error hydrating flow run parameters: ", ""),
    ):
        if message.startswith(single):
            return many + message.removeprefix(single)
    return _SAID.get(message, message.partition(" Please remove work_pool_name")[0].replace(f" {deployment_id}", ""))
