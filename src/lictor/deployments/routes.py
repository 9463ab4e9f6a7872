"""`/api/deployments`: deployments, their schedules, and runs of them."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import UNSET

from lictor.db import Database
from lictor.deployments import changes, create_run, listing, polling, schedules, store, upsert
from lictor.deployments.polling import QueueOf
from lictor.deployments.scheduler import Horizon, schedule_runs
from lictor.deployments.types import (
    DeploymentBulkDelete,
    DeploymentCount,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentNumberedPage,
    DeploymentPage,
    DeploymentResponse,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentsDeleted,
    DeploymentUpdate,
    FlowRunsCreated,
    RunnerPoll,
    ScheduleRuns,
)
from lictor.flow_runs.routes import automation
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunResponse
from lictor.kit import clock, times
from lictor.parameters import check_size
from lictor.settings import Settings
from lictor.states.callers import caller_of
from lictor.web import Created, Header, Page, Request, Router

router = Router("/deployments", tag="Deployments")

AutomationId = Annotated[UUID | None, Header("prefect-automation-id", shown=False)]
AutomationName = Annotated[str | None, Header("prefect-automation-name", shown=False)]


@router.post("/", also=(201,))
def create_deployment(
    body: DeploymentCreate, request: Request, db: Database, settings: Settings
) -> Awaitable[Created[DeploymentResponse]]:
    check_size(body.parameters, settings.api.max_parameter_size, request)
    schedules.check_most(body.schedules, settings.deployment_schedule_max_scheduled_runs, request, "schedules")
    return db.write(upsert.insert_or_update, body)


@router.patch("/{id:uuid}", status=204)
def update_deployment(
    id: str, body: DeploymentUpdate, request: Request, db: Database, settings: Settings
) -> Awaitable[None]:
    if body.parameters is not UNSET and body.parameters is not None:
        check_size(body.parameters, settings.api.max_parameter_size, request)
    if body.schedules is not UNSET:
        schedules.check_most(body.schedules, settings.deployment_schedule_max_scheduled_runs, request, "schedules")
    return db.write(changes.update, id, body)


@router.get("/name/{flow_name}/{deployment_name}")
def read_deployment_by_name(flow_name: str, deployment_name: str, db: Database) -> Awaitable[DeploymentResponse]:
    return db.read(store.read_by_name, flow_name, deployment_name)


@router.get("/{id:uuid}")
def read_deployment(id: str, db: Database) -> Awaitable[DeploymentResponse]:
    return db.read(store.read, id)


@router.post("/filter")
def read_deployments(body: DeploymentPage, db: Database) -> Awaitable[list[DeploymentResponse]]:
    return db.read(listing.page, body)


@router.post("/paginate")
def paginate_deployments(body: DeploymentNumberedPage, db: Database) -> Awaitable[Page[DeploymentResponse]]:
    return db.read(listing.numbered_page, body)


@router.post("/get_scheduled_flow_runs")
def get_scheduled_flow_runs_for_deployments(body: RunnerPoll, db: Database) -> Awaitable[list[FlowRunResponse]]:
    return polling.poll(db, body)


@router.post("/count")
def count_deployments(body: DeploymentCount, db: Database) -> Awaitable[int]:
    return db.read(listing.count, body)


@router.delete("/{id:uuid}", status=204)
def delete_deployment(id: str, db: Database) -> Awaitable[None]:
    return db.write(changes.delete, id)


@router.post("/bulk_delete")
def bulk_delete_deployments(body: DeploymentBulkDelete, db: Database) -> Awaitable[DeploymentsDeleted]:
    return db.write(changes.delete_matching, body)


@router.post("/{id:uuid}/schedule")
async def schedule_deployment(id: str, body: ScheduleRuns, db: Database, settings: Settings) -> None:
    ahead = settings.services.scheduler
    horizon = Horizon(
        ahead.min_runs if body.min_runs is None else body.min_runs,
        ahead.max_runs if body.max_runs is None else body.max_runs,
        ahead.min_scheduled_time if body.min_time is None else timedelta(seconds=body.min_time),
        ahead.max_scheduled_time,
    )
    start = _aware(body.start_time) or clock.now()
    end = _aware(body.end_time) or times.later(start, horizon.max_time.total_seconds())
    await db.write(schedule_runs, id, horizon, start, end)


def _aware(instant: datetime | None) -> datetime | None:
    """In UTC, which is what is meant where nothing is said."""
    if instant is None:
        return None
    return times.utc(instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC))


@router.post("/{id:uuid}/resume_deployment")
def resume_deployment(id: str, db: Database) -> Awaitable[None]:
    return db.write(changes.resume, id)


@router.post("/{id:uuid}/pause_deployment")
def pause_deployment(id: str, db: Database) -> Awaitable[None]:
    return db.write(changes.pause, id)


@router.post("/{id:uuid}/create_flow_run", also=(201,))
async def create_flow_run_from_deployment(
    id: str,
    body: DeploymentFlowRunCreate,
    request: Request,
    db: Database,
    settings: Settings,
    orchestration: Orchestration,
    automation_id: AutomationId = None,
    automation_name: AutomationName = None,
) -> Created[FlowRunResponse]:
    check_size(body.parameters, settings.api.max_parameter_size, request)
    created_by = automation(automation_id, automation_name)
    run, created = await db.write(
        create_run.create_flow_run, orchestration, id, body, caller=caller_of(request), created_by=created_by
    )
    return Created(run, created)


@router.post("/{id:uuid}/create_flow_run/bulk")
def bulk_create_flow_runs_from_deployment(
    id: str,
    body: list[DeploymentFlowRunCreate],
    request: Request,
    db: Database,
    settings: Settings,
    orchestration: Orchestration,
    automation_id: AutomationId = None,
    automation_name: AutomationName = None,
) -> Awaitable[FlowRunsCreated]:
    for one in body:
        check_size(one.parameters, settings.api.max_parameter_size, request)
    created_by = automation(automation_id, automation_name)
    return create_run.create_flow_runs(db, orchestration, id, body, caller=caller_of(request), created_by=created_by)


@router.get("/{id:uuid}/work_queue_check")
def work_queue_check_for_deployment(id: str, db: Database) -> Awaitable[list[QueueOf]]:
    return db.read(polling.queues_for, id)


@router.get("/{id:uuid}/schedules")
def read_deployment_schedules(id: str, db: Database) -> Awaitable[list[DeploymentSchedule]]:
    return db.read(schedules.page, id)


@router.post("/{id:uuid}/schedules", status=201)
def create_deployment_schedules(
    id: str, body: list[DeploymentScheduleCreate], request: Request, db: Database, settings: Settings
) -> Awaitable[list[DeploymentSchedule]]:
    schedules.check_most(body, settings.deployment_schedule_max_scheduled_runs, request)
    return db.write(schedules.create, id, body)


@router.patch("/{id:uuid}/schedules/{schedule_id:uuid}", status=204)
def update_deployment_schedule(
    id: str, schedule_id: str, body: DeploymentScheduleUpdate, request: Request, db: Database, settings: Settings
) -> Awaitable[None]:
    schedules.check_most(body, settings.deployment_schedule_max_scheduled_runs, request)
    return db.write(schedules.update, id, schedule_id, body)


@router.delete("/{id:uuid}/schedules/{schedule_id:uuid}", status=204)
def delete_deployment_schedule(id: str, schedule_id: str, db: Database) -> Awaitable[None]:
    return db.write(schedules.delete, id, schedule_id)
