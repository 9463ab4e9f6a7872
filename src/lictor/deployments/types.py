"""Deployments and their schedules, as clients send and see them."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from lictor.concurrency.types import GlobalConcurrencyLimitResponse
from lictor.deployments.schedule_types import Schedule
from lictor.filters import DeploymentFilter, QueueFilters
from lictor.flow_runs.types import FlowRunPolicy, Labels
from lictor.kit.lazy import lazy
from lictor.states.types import StateCreate
from lictor.web import DEFAULT_LIMIT, Checked, Embedded, FieldError, Instant, Limit, Offset, PageNumber

if TYPE_CHECKING:
    from lictor.parameters import schemas
else:
    schemas = lazy("lictor.parameters.schemas")

BULK_DELETE_LIMIT = 50
BULK_CREATE_LIMIT = 100

Positive = Annotated[int, Meta(gt=0)]
# Seconds that a timedelta can hold, in either direction.
LONGEST = 999_999_999 * 86_400
NAME = "^[^/%&><]*$"


class DeploymentStatus(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"


class Collision(StrEnum):
    """What becomes of a run that finds no slot."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


class ConcurrencyOptions(Struct):
    collision_strategy: Collision
    grace_period_seconds: Annotated[int, Meta(ge=60, le=86400)] | None = None


class VersionInfo(Struct):
    """Accepted and forgotten, as the reference does; further keys are as well."""

    type: str
    version: str


class DeploymentSchedule(Struct):
    """`schedule` is as it was stored."""

    id: str
    created: datetime
    updated: datetime
    deployment_id: str
    schedule: Raw
    active: bool
    max_scheduled_runs: int | None
    parameters: Raw
    slug: str | None


class DeploymentScheduleCreate(Struct, forbid_unknown_fields=True, kw_only=True):
    active: bool = True
    schedule: Schedule
    max_scheduled_runs: Positive | None = None
    parameters: dict[str, Any] = {}
    slug: str | None = None
    replaces: str | None = None
    # SDKs up to 3.0.11 send these two with every schedule. They never had an effect.
    max_active_runs: Any = None
    catchup: Any = None


class DeploymentScheduleUpdate(Struct, forbid_unknown_fields=True):
    """Null and absent are the same, as in the reference; but parameters that are absent are none."""

    active: bool | None = None
    schedule: Schedule | None = None
    max_scheduled_runs: Positive | None = None
    parameters: dict[str, Any] = {}
    slug: str | None = None
    replaces: str | None = None


class DeploymentCreate(Checked, Struct, forbid_unknown_fields=True, kw_only=True):
    """A new deployment or new values for the one of that name; absent: as it was, or the default.

    But parameters and labels that are absent are none, as in the reference.
    """

    name: str
    flow_id: UUID
    paused: bool | UnsetType = UNSET
    schedules: list[DeploymentScheduleCreate] = []
    concurrency_limit: Positive | UnsetType | None = UNSET
    concurrency_options: ConcurrencyOptions | UnsetType | None = UNSET
    global_concurrency_limit_id: UUID | UnsetType | None = UNSET
    enforce_parameter_schema: bool | UnsetType = UNSET
    parameter_openapi_schema: dict[str, Any] | UnsetType | None = UNSET
    parameters: dict[str, Raw] = {}
    tags: list[str] | UnsetType = UNSET
    labels: Labels | None = None
    pull_steps: list[dict[str, Any]] | UnsetType | None = UNSET
    work_queue_name: str | UnsetType | None = UNSET
    work_pool_name: str | UnsetType | None = UNSET
    storage_document_id: UUID | UnsetType | None = UNSET
    infrastructure_document_id: UUID | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    path: str | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET
    entrypoint: str | UnsetType | None = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET
    version_info: VersionInfo | UnsetType | None = UNSET
    # Names of old clients, which mean nothing any more.
    worker_pool_queue_id: Any = UNSET
    worker_pool_name: Any = UNSET
    worker_pool_queue_name: Any = UNSET
    work_pool_queue_name: Any = UNSET

    def __post_init__(self) -> None:
        check_limits(self.concurrency_limit, self.global_concurrency_limit_id)
        if self.enforce_parameter_schema is True and isinstance(self.parameter_openapi_schema, dict):
            check_parameters(decoded(self.parameters), self.parameter_openapi_schema)
        self.parameter_openapi_schema = an_object(self.parameter_openapi_schema)
        if not re.search(NAME, self.name):
            words, ctx = f"String should match pattern '{NAME}'", {"pattern": NAME}
            raise FieldError(words, field="name", type="string_pattern_mismatch", ctx=ctx)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        check_limits(given.get("concurrency_limit"), given.get("global_concurrency_limit_id"))
        parameters, schema = given.get("parameters"), given.get("parameter_openapi_schema")
        if given.get("enforce_parameter_schema") and schema is not None:
            check_parameters({} if parameters is None else parameters, schema)
        return given


class DeploymentUpdate(Checked, Struct, forbid_unknown_fields=True, kw_only=True):
    """Absent: as it was."""

    version: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    schedules: list[DeploymentScheduleUpdate] | UnsetType = UNSET
    concurrency_limit: Positive | UnsetType | None = UNSET
    concurrency_options: ConcurrencyOptions | UnsetType | None = UNSET
    global_concurrency_limit_id: UUID | UnsetType | None = UNSET
    parameters: dict[str, Raw] | UnsetType | None = UNSET
    parameter_openapi_schema: dict[str, Any] | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    work_queue_name: str | UnsetType | None = UNSET
    work_pool_name: str | UnsetType | None = UNSET
    path: str | UnsetType | None = UNSET
    job_variables: dict[str, Any] | UnsetType | None = UNSET
    pull_steps: list[dict[str, Any]] | UnsetType | None = UNSET
    entrypoint: str | UnsetType | None = UNSET
    storage_document_id: UUID | UnsetType | None = UNSET
    infrastructure_document_id: UUID | UnsetType | None = UNSET
    enforce_parameter_schema: bool | UnsetType | None = UNSET
    version_info: VersionInfo | UnsetType | None = UNSET
    worker_pool_queue_id: Any = UNSET
    worker_pool_name: Any = UNSET
    worker_pool_queue_name: Any = UNSET
    work_pool_queue_name: Any = UNSET

    def __post_init__(self) -> None:
        check_limits(self.concurrency_limit, self.global_concurrency_limit_id)
        self.parameter_openapi_schema = an_object(self.parameter_openapi_schema)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        check_limits(given.get("concurrency_limit"), given.get("global_concurrency_limit_id"))
        return given


def check_limits(own: Any, shared: Any) -> None:
    if own and shared:
        raise ValueError("A deployment cannot have both a concurrency limit and a global concurrency limit.")


def check_parameters(parameters: Any, schema: Any) -> None:
    """ValueError, in the reference's words, for parameters that are not what the schema asks for."""
    try:
        schemas.validate(parameters, schema, require=False, mend=False)
    except schemas.Mismatch as mismatch:
        words = str(mismatch)
        broken = "The provided schema is not a valid json schema. Schema error: "
        raise ValueError(words.replace("Invalid schema: ", broken, 1)) from mismatch
    except schemas.CircularSchema as circular:
        raise ValueError("Unable to validate schema with circular references.") from circular


def an_object(schema: dict[str, Any] | UnsetType | None) -> dict[str, Any] | UnsetType | None:
    """An empty schema asks for an object."""
    return {"type": "object", "properties": {}} if schema == {} else schema


def decoded(values: dict[str, Raw]) -> dict[str, Any]:
    return {name: msgspec.json.decode(value) for name, value in values.items()}


class DeploymentFlowRunCreate(Struct, forbid_unknown_fields=True):
    """A run of a deployment: without a state it is scheduled for now, and what is absent is the deployment's."""

    state: StateCreate | None = None
    name: str | None = None
    parameters: dict[str, Raw] = {}
    enforce_parameter_schema: bool | None = None
    context: dict[str, Raw] = {}
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = msgspec.field(default_factory=FlowRunPolicy)
    tags: list[str] = []
    idempotency_key: str | None = None
    labels: Labels | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = msgspec.field(default_factory=dict)


class DeploymentResponse(Struct):
    id: str
    created: datetime
    updated: datetime
    name: str
    version: str | None
    description: str | None
    flow_id: str
    paused: bool
    schedules: list[DeploymentSchedule]
    concurrency_limit: None
    global_concurrency_limit: GlobalConcurrencyLimitResponse | None
    concurrency_options: Raw | None
    job_variables: Raw
    parameters: Raw
    tags: list[str]
    labels: Raw
    work_queue_name: str | None
    work_queue_id: str | None
    last_polled: datetime | None
    parameter_openapi_schema: Raw | None
    path: str | None
    pull_steps: Raw | None
    entrypoint: str | None
    storage_document_id: str | None
    infrastructure_document_id: str | None
    created_by: Raw | None
    updated_by: Raw | None
    work_pool_name: str | None
    status: str
    enforce_parameter_schema: bool


class FlowRunCreated(Struct):
    """What became of one run of many."""

    flow_run_id: str | None
    status: str
    error: str | None


class FlowRunsCreated(Struct):
    results: list[FlowRunCreated]


class DeploymentsDeleted(Struct):
    deleted: list[str]


class DeploymentSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class DeploymentCount(QueueFilters):
    """Which deployments."""


class _Sorted(QueueFilters, kw_only=True):
    sort: DeploymentSort = DeploymentSort.NAME_ASC


class DeploymentPage(_Sorted):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class DeploymentNumberedPage(_Sorted):
    limit: Limit = DEFAULT_LIMIT
    page: PageNumber = 1


class DeploymentBulkDelete(Embedded):
    deployments: DeploymentFilter | None = None
    limit: Annotated[int, Meta(ge=1, le=BULK_DELETE_LIMIT)] = BULK_DELETE_LIMIT


class RunnerPoll(Embedded):
    deployment_ids: list[UUID]
    scheduled_before: Instant | None = None
    limit: Limit = DEFAULT_LIMIT


class ScheduleRuns(Embedded):
    """Runs for the dates from `start_time` to `end_time`: at least `min_runs` and until `min_time` seconds after the
    start, at most `max_runs` of each schedule."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: Annotated[float, Meta(ge=-LONGEST, le=LONGEST)] | None = None
    min_runs: int | None = None
    max_runs: int | None = None
