"""`/api/flow_runs`: single runs and their states. Lists, history and graphs are in `list_routes`."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta

from lictor.db import Database
from lictor.filters import FlowRunFilter
from lictor.flow_runs import bulk, changes, create, inputs, resume, store, transitions
from lictor.flow_runs.announcing import CreatedBy
from lictor.flow_runs.bulk import BulkDeleted, BulkSetStates
from lictor.flow_runs.inputs import FlowRunInput, InputCreate, InputFilter
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate, FlowRunResponse, FlowRunUpdate
from lictor.kit import clock
from lictor.parameters import check_size
from lictor.settings import Settings
from lictor.states.callers import answered, caller_of
from lictor.states.types import OrchestrationResult, StateCreate
from lictor.web import Created, Embedded, Header, Reply, Request, Router

router = Router("/flow_runs", tag="Flow Runs")

BULK_LIMIT = 50
BulkLimit = Annotated[int, Meta(ge=1, le=BULK_LIMIT)]


class SetState(Embedded):
    state: StateCreate
    force: bool = False


class Resume(Embedded):
    run_input: dict[str, Any] | None = None


class BulkDelete(Embedded):
    flow_runs: FlowRunFilter | None = None
    limit: BulkLimit = BULK_LIMIT


class BulkSetState(Embedded, kw_only=True):
    flow_runs: FlowRunFilter | None = None
    state: StateCreate
    force: bool = False
    limit: BulkLimit = BULK_LIMIT


@router.post("/", status=201, also=(200,))
def create_flow_run(
    body: FlowRunCreate,
    request: Request,
    db: Database,
    settings: Settings,
    orchestration: Orchestration,
    automation_id: Annotated[UUID | None, Header("prefect-automation-id", shown=False)] = None,
    automation_name: Annotated[str | None, Header("prefect-automation-name", shown=False)] = None,
) -> Awaitable[Created[FlowRunResponse]]:
    check_size(body.parameters, settings.api.max_parameter_size, request)
    created_by = automation(automation_id, automation_name)
    return db.write(create.answer, orchestration, body, caller=caller_of(request), created_by=created_by)


@router.patch("/{id:uuid}", status=204)
def update_flow_run(
    id: str, body: FlowRunUpdate, request: Request, db: Database, settings: Settings
) -> Awaitable[None]:
    if body.parameters is not UNSET:
        check_size(body.parameters, settings.api.max_parameter_size, request)
    return db.write(changes.update, id, body)


@router.get("/{id:uuid}")
def read_flow_run(id: str, db: Database) -> Awaitable[FlowRunResponse]:
    return db.read(store.get, id)


@router.delete("/{id:uuid}", status=204)
def delete_flow_run(id: str, db: Database, orchestration: Orchestration) -> Awaitable[None]:
    return db.write(changes.delete, orchestration, id)


@router.patch("/{id:uuid}/labels", status=204)
def update_flow_run_labels(id: str, body: dict[str, Any], db: Database) -> Awaitable[None]:
    return db.write(store.merge_labels, id, body, clock.now())


@router.post("/{id:uuid}/set_state", also=(201,))
def set_flow_run_state(
    id: str, body: SetState, request: Request, db: Database, orchestration: Orchestration
) -> Awaitable[Created[OrchestrationResult]]:
    caller = caller_of(request)
    return db.write(answered, transitions.set_state, orchestration, id, body.state, force=body.force, caller=caller)


@router.post("/{id:uuid}/resume", also=(201,))
def resume_flow_run(
    id: str, body: Resume, request: Request, db: Database, orchestration: Orchestration
) -> Awaitable[Created[OrchestrationResult]]:
    return db.write(answered, resume.resume, orchestration, id, body.run_input, caller=caller_of(request))


@router.post("/bulk_delete")
def bulk_delete_flow_runs(body: BulkDelete, db: Database, orchestration: Orchestration) -> Awaitable[BulkDeleted]:
    return db.write(bulk.delete, orchestration, body.flow_runs, body.limit)


@router.post("/bulk_set_state")
async def bulk_set_flow_run_state(
    body: BulkSetState, request: Request, db: Database, orchestration: Orchestration
) -> BulkSetStates:
    run_ids = await db.read(bulk.matching, body.flow_runs, body.limit)
    return await bulk.set_states(db, orchestration, run_ids, body.state, body.force, caller_of(request))


@router.post("/{id:uuid}/input", status=201)
def create_flow_run_input(id: str, body: InputCreate, db: Database) -> Awaitable[None]:
    return db.write(inputs.create, id, body)


@router.post("/{id:uuid}/input/filter")
def filter_flow_run_input(id: str, body: InputFilter, db: Database) -> Awaitable[list[FlowRunInput]]:
    return db.read(inputs.page, id, body)


@router.get("/{id:uuid}/input/{key}", media="text/plain")
async def read_flow_run_input(id: str, key: str, db: Database) -> Reply:
    return Reply(await db.read(inputs.get, id, key), media_type="text/plain; charset=utf-8")


@router.delete("/{id:uuid}/input/{key}", status=204)
def delete_flow_run_input(id: str, key: str, db: Database) -> Awaitable[None]:
    return db.write(inputs.delete, id, key)


def automation(id: UUID | None, name: str | None) -> CreatedBy | None:
    """The automation that makes a request; its name comes in base64."""
    if id is None or not name:
        return None
    try:
        display_value = b64decode(name).decode()
    except (Base64Error, UnicodeDecodeError):
        return None
    return CreatedBy(str(id), "AUTOMATION", display_value) if display_value else None
