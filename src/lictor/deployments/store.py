"""The statements that read and write deployments and their schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from lictor.concurrency import limits as concurrency_limits
from lictor.concurrency import store as concurrency_store
from lictor.concurrency.types import GlobalConcurrencyLimitResponse
from lictor.db import Tx, sql, update_row
from lictor.deployments.types import DeploymentResponse, DeploymentSchedule
from lictor.flow_runs import withdrawals
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound

NOT_FOUND = "Deployment not found"
# What is told of when a schedule has changed, so that its runs are there soon.
TOPIC = "schedules"


class Deployment(Struct):
    """A deployment's row, with the names of its flow, queue and pool; JSON is as it is stored."""

    id: str
    created: datetime
    updated: datetime
    flow_id: str
    name: str
    version: str | None
    description: str | None
    paused: bool
    status: str
    last_polled: datetime | None
    work_queue_id: str | None
    work_queue_name: str | None
    concurrency_limit_id: str | None
    concurrency_options: Raw | None
    parameters: Raw
    parameter_openapi_schema: Raw | None
    enforce_parameter_schema: bool
    job_variables: Raw
    tags: list[str]
    labels: Raw
    pull_steps: Raw | None
    path: str | None
    entrypoint: str | None
    storage_document_id: str | None
    infrastructure_document_id: str | None
    created_by: Raw | None
    updated_by: Raw | None
    flow_name: str
    queue_name: str | None
    pool_id: str | None
    pool_name: str | None
    pool_type: str | None


STORED = Deployment.__struct_fields__[: Deployment.__struct_fields__.index("flow_name")]
COLUMNS = ", ".join(f"d.{column}" for column in STORED) + ", f.name, q.name, p.id, p.name, p.type"
FROM = """from deployment d join flow f on f.id = d.flow_id
    left join work_queue q on q.id = d.work_queue_id
    left join work_pool p on p.id = q.work_pool_id"""
SELECT = f"select {COLUMNS} {FROM}"

FIND = sql("deployments.find", Deployment, f"{SELECT} where d.id = :id")
FIND_BY_NAME = sql(
    "deployments.find_by_name", Deployment, f"{SELECT} where f.name = :flow_name and d.name = :deployment_name"
)
ALL = sql("deployments.all", Deployment, f"{SELECT} where d.id {{in:ids:uuid}} order by d.id")
# Whoever changes a deployment or its schedules, and the scheduler, holds it locked; many in order of their ids.
LOCK = sql("deployments.lock", str, "select id from deployment where id {in:ids:uuid} order by id {for_update}")
LOCK_ONE = sql("deployments.lock_one", str, "select id from deployment where id = :id {for_update}")
LOCK_BY_NAME = sql(
    "deployments.lock_by_name", str, "select id from deployment where flow_id = :flow_id and name = :name {for_update}"
)
INSERT = sql(
    "deployments.insert",
    None,
    f"""
    insert into deployment ({", ".join(STORED)}) values ({", ".join(f":{column}" for column in STORED)})
    on conflict (flow_id, name) do nothing
    """,
)
DELETE = sql("deployments.delete", None, "delete from deployment where id {in:ids:uuid}")
DELETE_OF_FLOWS = sql("deployments.delete_of_flows", None, "delete from deployment where flow_id {in:ids:uuid}")

SCHEDULE_COLUMNS = "id, created, updated, deployment_id, schedule, active, max_scheduled_runs, parameters, slug"
SCHEDULES = sql(
    "deployments.schedules",
    DeploymentSchedule,
    f"""
    select {SCHEDULE_COLUMNS} from deployment_schedule where deployment_id {{in:deployment_ids:uuid}}
    order by updated desc, id desc
    """,
)
INSERT_SCHEDULE = sql(
    "deployments.insert_schedule",
    None,
    f"""
    insert into deployment_schedule ({SCHEDULE_COLUMNS}, planned_until, due) values (
        :id, :updated, :updated, :deployment_id, :schedule, :active, :max_scheduled_runs, :parameters, :slug,
        :updated, :due
    )
    """,
)
DELETE_SCHEDULES = sql(
    "deployments.delete_schedules", None, "delete from deployment_schedule where deployment_id {in:deployment_ids:uuid}"
)
DELETE_SCHEDULE = sql(
    "deployments.delete_schedule",
    None,
    "delete from deployment_schedule where deployment_id = :deployment_id and id = :id",
)
# All that was planned is forgotten: the scheduler begins anew, with dates after this moment.
REPLAN = sql(
    "deployments.replan",
    None,
    """
    update deployment_schedule set revision = revision + 1, planned = '[]', planned_until = {ts:now},
        due = case when active and exists (
            select 1 from deployment d where d.id = deployment_id and not d.paused
        ) then {ts:now} else null end
    where deployment_id = :deployment_id
    """,
)


def delete_of_flows(tx: Tx, flow_ids: list[str]) -> None:
    """They go with their flows, without a word; nobody starts a run of theirs any more, however many there are."""
    withdrawals.insert_of_flows(tx, flow_ids)
    tx.run(DELETE_OF_FLOWS, ids=flow_ids)


def not_found() -> NotFound:
    return NotFound(NOT_FOUND)


def get(tx: Tx, id: str) -> Deployment:
    return tx.get(FIND, not_found(), id=id)


def lock(tx: Tx, id: str, missing: NotFound | None = None) -> Deployment:
    """The deployment, which nobody else changes until the transaction ends. Raises NotFound."""
    # SQLite has one writer at a time, which has everything locked.
    if tx.dialect.name == "postgres" and tx.one(LOCK_ONE, id=id) is None:
        raise missing or not_found()
    return tx.get(FIND, missing or not_found(), id=id)


def lock_all(tx: Tx, ids: list[str]) -> list[Deployment]:
    """Likewise those of them that are there, in order of their ids."""
    locked = tx.all(LOCK, ids=ids) if tx.dialect.name == "postgres" else ids
    return tx.all(ALL, ids=locked)


def insert(tx: Tx, row: dict[str, Any]) -> bool:
    """False when the flow has a deployment of that name."""
    return bool(tx.run(INSERT, **row))


def update(tx: Tx, id: str, changes: dict[str, Any], now: datetime) -> None:
    update_row(tx, "deployment", id, changes, now)


def replan(tx: Tx, deployment_id: str, now: datetime) -> None:
    """Have the scheduler begin anew with this deployment. The caller deletes the runs that were planned, *after*
    this: a scheduler that was faster has made its runs by then, and one that is slower finds another revision."""
    tx.run(REPLAN, deployment_id=deployment_id, now=now)
    tx.tell(TOPIC)


class NewSchedule(Struct):
    """A schedule to be stored; `schedule` is JSON."""

    schedule: bytes
    active: bool
    parameters: dict[str, Any]
    slug: str | None
    max_scheduled_runs: int | None = None


def insert_schedules(
    tx: Tx, deployment_id: str, wanted: list[NewSchedule], now: datetime, paused: bool
) -> list[DeploymentSchedule]:
    """Raises Conflict for a slug that another schedule of the deployment has."""
    taken = {one.slug for one in schedules_of(tx, [deployment_id])}
    made = []
    for new in wanted:
        if new.slug is not None and new.slug in taken:
            raise Conflict()
        taken.add(new.slug)
        row = DeploymentSchedule(
            ids.new(), now, now, deployment_id, Raw(new.schedule), new.active, new.max_scheduled_runs,
            Raw(msgspec.json.encode(new.parameters)), new.slug,
        )  # fmt: skip
        tx.run(
            INSERT_SCHEDULE,
            id=row.id,
            updated=now,
            deployment_id=deployment_id,
            schedule=new.schedule.decode(),
            active=new.active,
            max_scheduled_runs=new.max_scheduled_runs,
            parameters=new.parameters,
            slug=new.slug,
            due=now if new.active and not paused else None,
        )
        made.append(row)
    tx.tell(TOPIC)
    return made


def schedules_of(tx: Tx, deployment_ids: list[str]) -> list[DeploymentSchedule]:
    """The schedules of these deployments, those changed last first."""
    return tx.all(SCHEDULES, deployment_ids=deployment_ids) if deployment_ids else []


def responses(tx: Tx, found: list[Deployment]) -> list[DeploymentResponse]:
    """Deployments as clients see them, with their schedules and limits."""
    schedules: dict[str, list[DeploymentSchedule]] = {}
    for schedule in schedules_of(tx, [row.id for row in found]):
        schedules.setdefault(schedule.deployment_id, []).append(schedule)
    limits = _limits(tx, [row.concurrency_limit_id for row in found if row.concurrency_limit_id])
    return [_response(row, schedules.get(row.id, []), limits.get(row.concurrency_limit_id or "")) for row in found]


def response(tx: Tx, row: Deployment) -> DeploymentResponse:
    return responses(tx, [row])[0]


def read(tx: Tx, id: str) -> DeploymentResponse:
    return response(tx, get(tx, id))


def read_by_name(tx: Tx, flow_name: str, deployment_name: str) -> DeploymentResponse:
    found = tx.get(FIND_BY_NAME, not_found(), flow_name=flow_name, deployment_name=deployment_name)
    return response(tx, found)


def _limits(tx: Tx, limit_ids: list[str]) -> dict[str, GlobalConcurrencyLimitResponse]:
    if not limit_ids:
        return {}
    found = tx.all(concurrency_store.ALL, ids=limit_ids, **concurrency_store.moment(clock.now()))
    return {limit.id: concurrency_limits.response(limit) for limit in found}


def _response(
    row: Deployment, schedules: list[DeploymentSchedule], limit: GlobalConcurrencyLimitResponse | None
) -> DeploymentResponse:
    own = {name: getattr(row, name) for name in DeploymentResponse.__struct_fields__ if name in STORED}
    own["work_queue_name"] = row.queue_name or row.work_queue_name
    return DeploymentResponse(
        **own,
        schedules=schedules,
        concurrency_limit=None,
        global_concurrency_limit=limit,
        work_pool_name=row.pool_name,
    )
