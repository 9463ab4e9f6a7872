"""The input shapes of some of the reference's routes, declared as a concept would, to compare what they refuse."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta, Raw, Struct, field

from lictor.web import (
    DEFAULT_LIMIT,
    Checked,
    Checks,
    Choice,
    Embedded,
    FieldError,
    Instant,
    Limit,
    Offset,
    PageNumber,
    Query,
    Router,
    Seconds,
)

Name = Annotated[str, Meta(pattern=r"^[^/%&><]+$")]
Positive = Annotated[int, Meta(gt=0)]


def words(name: str, *values: str) -> type[StrEnum]:
    return StrEnum(name, [(value.strip("_"), value) for value in values])


StateType = words(
    "StateType",
    *("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"),
)
Sort = words(
    "Sort",
    *("ID_DESC", "START_TIME_ASC", "START_TIME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC"),
    *("NAME_ASC", "NAME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "END_TIME_DESC"),
)
Operator = words("Operator", "and_", "or_")
ObservedSort = words("ObservedSort", "NAME_ASC", "LAST_SEEN_DESC")
Countable = words("Countable", "day", "time", "event", "resource")


class Ids(Struct, forbid_unknown_fields=True):
    any_: list[UUID] | None = None


class Tags(Struct, forbid_unknown_fields=True):
    all_: list[str] | None = None
    is_null_: bool | None = None


class Text(Struct, forbid_unknown_fields=True):
    like_: str | None = None


class Times(Struct, forbid_unknown_fields=True):
    before_: Instant | None = None


class StateTypes(Struct, forbid_unknown_fields=True):
    any_: list[StateType] | None = None


class StateFilter(Struct, forbid_unknown_fields=True):
    type: StateTypes | None = None


class RunFilter(Struct, forbid_unknown_fields=True):
    operator: Operator = Operator("and_")
    id: Ids | None = None
    name: Text | None = None
    tags: Tags | None = None
    state: StateFilter | None = None
    start_time: Times | None = None


class FlowFilter(Struct, forbid_unknown_fields=True):
    id: Ids | None = None


class RunQuery(Embedded):
    limit: Limit = DEFAULT_LIMIT
    sort: Sort = Sort.ID_DESC
    offset: Offset = 0
    flows: FlowFilter | None = None
    flow_runs: RunFilter | None = None
    task_runs: Any = None
    deployments: Any = None
    work_pools: Any = None
    work_pool_queues: Any = None


class RunPage(Embedded):
    page: PageNumber = 1
    limit: Limit = DEFAULT_LIMIT


class FlowCreate(Struct, forbid_unknown_fields=True):
    name: Name
    tags: list[str] = []
    labels: dict[str, bool | int | float | str] | None = None


def check_name(name: str) -> None:
    if not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_"):
        raise FieldError("Variable name must only contain lowercase letters, numbers, and dashes or underscores.")


class VariableCreate(Checked, Struct, forbid_unknown_fields=True):
    checks: ClassVar[Checks] = {"name": check_name}

    name: str
    value: Raw
    tags: list[str] = []


class StateDetails(Struct):
    scheduled_time: Instant | None = None


class StateCreate(Struct, forbid_unknown_fields=True):
    type: StateType
    name: str | None = None
    state_details: StateDetails = field(default_factory=StateDetails)


class SetState(Embedded):
    state: StateCreate
    force: bool = False


class FlowIds(Embedded):
    flow_ids: list[UUID]


class Log(Struct, forbid_unknown_fields=True):
    name: str
    level: int
    message: str
    timestamp: Instant


class Schedule(Choice):
    __slots__ = ()


def check_interval(seconds: float) -> None:
    if seconds <= 0:
        raise FieldError("interval must be positive")


class IntervalSchedule(Schedule, Checked, Struct, forbid_unknown_fields=True):
    wire_label: ClassVar[str] = "function-after[validate_timezone(), IntervalSchedule]"
    checks: ClassVar[Checks] = {"interval": check_interval}

    interval: Seconds


class CronSchedule(Schedule, Struct, forbid_unknown_fields=True):
    wire_label: ClassVar[str] = "function-after[validate_timezone(), CronSchedule]"
    cron: str


class RRuleSchedule(Schedule, Struct, forbid_unknown_fields=True):
    rrule: str


class ScheduleCreate(Struct, forbid_unknown_fields=True):
    schedule: Schedule
    active: bool = True


class DeploymentCreate(Struct, forbid_unknown_fields=True):
    name: Name
    flow_id: UUID
    schedules: list[ScheduleCreate] = []
    concurrency_limit: Positive | None = None
    parameters: dict[str, Any] = {}


class EventCount(Embedded):
    filter: Struct


router = Router()


@router.post("/flow_runs/filter")
def runs(body: RunQuery) -> None: ...


@router.post("/flow_runs/paginate")
def pages(body: RunPage) -> None: ...


@router.post("/flows/")
def flow(body: FlowCreate) -> None: ...


@router.post("/variables/")
def variable(body: VariableCreate) -> None: ...


@router.post("/flow_runs/{id:uuid}/set_state")
def set_state(id: str, body: SetState) -> None: ...


@router.post("/ui/flows/count-deployments")
def count_deployments(body: FlowIds) -> None: ...


@router.post("/logs/")
def logs(body: list[Log]) -> None: ...


@router.post("/deployments/")
def deployment(body: DeploymentCreate) -> None: ...


@router.get("/observed-states")
def observed(
    query: Annotated[Annotated[str, Meta(max_length=100)] | None, Query()] = None,
    order_by: Annotated[ObservedSort, Query()] = ObservedSort.LAST_SEEN_DESC,
    limit: Annotated[int, Query(), Meta(ge=1, le=200)] = 200,
) -> None: ...


@router.get("/flow_run_states/")
def states(flow_run_id: Annotated[UUID, Query()]) -> None: ...


@router.get("/block_documents/{id:uuid}")
def block(id: str, include_secrets: Annotated[bool, Query()] = False) -> None: ...


@router.post("/events/count-by/{countable}")
def count_by(countable: Countable, body: EventCount) -> None: ...


@router.post("/v2/concurrency_limits/leases/{lease_id}/renew")
def renew(lease_id: UUID) -> None: ...
