"""Flow runs as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lictor.db import Joined
from lictor.filters import estimates
from lictor.flow_runs.aside import parameters_of
from lictor.kit import clock
from lictor.states.types import State, StateCreate, StateType
from lictor.task_runs.tracking import with_new_names
from lictor.web.shapes import Checked

Labels = dict[str, bool | int | float | str]


class FlowRunPolicy(Checked, Struct):
    """How a run is retried and which pauses it has seen. `max_retries` and `retry_delay_seconds` are old names."""

    max_retries: int = 0
    retry_delay_seconds: float = 0.0
    retries: int | None = None
    retry_delay: int | None = None
    pause_keys: set[str] | None = msgspec.field(default_factory=set)
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None

    def __post_init__(self) -> None:
        if not self.retries and self.max_retries != 0:
            self.retries = self.max_retries
        if not self.retry_delay and self.retry_delay_seconds != 0:
            self.retry_delay = whole_seconds(self.retry_delay_seconds)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        return with_new_names(given)


def whole_seconds(delay: float) -> int:
    """An old-style delay as the whole number that `retry_delay` must be."""
    if delay != int(delay):
        raise ValueError("`retry_delay` must be a whole number")
    return int(delay)


class FlowRunCreate(Struct, forbid_unknown_fields=True, kw_only=True):
    """A run that a client asks for; without a name it gets a random one, without a state it is Pending."""

    state: StateCreate | None = None
    name: str | None = None
    flow_id: UUID
    flow_version: str | None = None
    parameters: dict[str, Raw] = {}
    context: dict[str, Raw] = {}
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = msgspec.field(default_factory=FlowRunPolicy)
    tags: list[str] = []
    labels: Labels | None = msgspec.field(default_factory=dict)
    idempotency_key: str | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    deployment_id: UUID | None = None


class FlowRunUpdate(Struct, forbid_unknown_fields=True):
    """Changes to a run; an absent field stays as it is. An empty or null name means a random one."""

    name: str | UnsetType | None = UNSET
    flow_version: str | UnsetType | None = UNSET
    parameters: dict[str, Raw] | UnsetType = UNSET
    empirical_policy: FlowRunPolicy | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    infrastructure_pid: str | UnsetType | None = UNSET
    job_variables: dict[str, Any] | UnsetType | None = UNSET


class FlowRunResponse(Struct):
    """A flow run with its state and the pool and queue that serve it, built from `SELECT`.

    The two estimates are of the moment when the row was read; durations are seconds. Workers see no pool here.
    """

    id: str
    created: datetime
    updated: datetime
    name: str
    flow_id: str
    state_id: str | None
    deployment_id: str | None
    deployment_version: str | None
    work_queue_id: str | None
    work_queue_name: str | None
    flow_version: str | None
    parameters: Raw
    idempotency_key: str | None
    context: Raw
    empirical_policy: FlowRunPolicy
    tags: list[str]
    labels: Raw
    parent_task_run_id: str | None
    state_type: StateType | None
    state_name: str | None
    run_count: int
    expected_start_time: datetime | None
    next_scheduled_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    estimated_run_time: float
    estimated_start_time_delta: float
    auto_scheduled: bool
    infrastructure_document_id: str | None
    infrastructure_pid: str | None
    created_by: Raw | None
    work_pool_id: str | UnsetType | None
    work_pool_name: str | UnsetType | None
    state: Annotated[State | None, Joined]
    job_variables: Raw | None

    def __post_init__(self) -> None:
        now = clock.now()
        entered = None if self.state is None else self.state.timestamp
        self.estimated_run_time = estimates.run_time(self.total_run_time, self.state_type, entered, now)
        self.estimated_start_time_delta = estimates.lateness(
            self.expected_start_time, self.start_time, self.state_type, now
        )


COLUMNS = f"""
    r.id, r.created, r.updated, r.name, r.flow_id, r.state_id, r.deployment_id, r.deployment_version,
    r.work_queue_id, coalesce(q.name, r.work_queue_name), r.flow_version, {parameters_of("r")},
    r.idempotency_key, r.context, r.empirical_policy, r.tags, r.labels, r.parent_task_run_id, r.state_type,
    r.state_name, r.run_count, r.expected_start_time, r.next_scheduled_start_time, r.start_time, r.end_time,
    r.total_run_time, r.total_run_time as estimated_run_time, r.total_run_time as estimated_start_time_delta,
    r.auto_scheduled, r.infrastructure_document_id, r.infrastructure_pid, r.created_by, q.work_pool_id, p.name,
    s.id, s.type, s.name, s.timestamp, s.message, s.data, s.state_details, r.job_variables"""

FROM = """from flow_run r
    left join flow_run_state s on s.id = r.state_id
    left join work_queue q on q.id = r.work_queue_id
    left join work_pool p on p.id = q.work_pool_id"""

SELECT = f"select {COLUMNS} {FROM}"
"""Everything of a `FlowRunResponse` up to ``where``; the run's alias is ``r``."""
