"""Task runs as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from lictor.db import Joined
from lictor.filters import estimates
from lictor.kit import clock
from lictor.states.storing import STATE_COLUMNS
from lictor.states.types import State, StateCreate, StateType
from lictor.task_runs.tracking import TaskRunPolicy
from lictor.web.shapes import Checked, Checks, FieldError, Instant

CACHE_KEY_CHARACTERS = 2000

Labels = dict[str, bool | int | float | str]


class TaskRunResult(Struct, tag_field="input_type", tag="task_run"):
    id: UUID


class FlowRunResult(Struct, tag_field="input_type", tag="flow_run"):
    id: UUID


class Parameter(Struct, tag_field="input_type", tag="parameter"):
    name: str


class Constant(Struct, tag_field="input_type", tag="constant"):
    type: str


TaskInputs = dict[str, list[TaskRunResult | FlowRunResult | Parameter | Constant]]


def check_cache_key(key: str | None) -> None:
    if key and len(key) > CACHE_KEY_CHARACTERS:
        raise FieldError(f"Cache key exceeded maximum allowed length of {CACHE_KEY_CHARACTERS} characters.")


class TaskRunCreate(Checked, Struct, forbid_unknown_fields=True, kw_only=True):
    """A task run that a client asks for; without a name it gets a random one, without a state it is Pending."""

    checks: ClassVar[Checks] = {"cache_key": check_cache_key}

    id: UUID | None = None
    state: StateCreate | None = None
    name: str | None = None
    flow_run_id: UUID | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: Instant | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = msgspec.field(default_factory=TaskRunPolicy)
    tags: list[str] = []
    labels: Labels | None = msgspec.field(default_factory=dict)
    task_inputs: TaskInputs = {}

    def __post_init__(self) -> None:
        check_cache_key(self.cache_key)


class TaskRunUpdate(Struct, forbid_unknown_fields=True):
    """A new name for a task run; none, or an empty one, means a random one."""

    name: str | None = None


class TaskRun(Struct):
    """A task run with its state, built from `SELECT`. The two estimates are of the moment when the row was read."""

    id: str
    created: datetime
    updated: datetime
    name: str
    flow_run_id: str | None
    task_key: str
    dynamic_key: str
    cache_key: str | None
    cache_expiration: datetime | None
    task_version: str | None
    empirical_policy: TaskRunPolicy
    tags: list[str]
    labels: Raw
    state_id: str | None
    task_inputs: Raw
    state_type: StateType | None
    state_name: str | None
    run_count: int
    flow_run_run_count: int
    expected_start_time: datetime | None
    next_scheduled_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    estimated_run_time: float
    estimated_start_time_delta: float
    state: Annotated[State | None, Joined]

    def __post_init__(self) -> None:
        now = clock.now()
        entered = None if self.state is None else self.state.timestamp
        self.estimated_run_time = estimates.run_time(self.total_run_time, self.state_type, entered, now)
        self.estimated_start_time_delta = estimates.lateness(
            self.expected_start_time, self.start_time, self.state_type, now
        )


class TaskRunSummary(Struct):
    """A task run as numbered pages show it: fewer fields than `TaskRun`."""

    id: str
    created: datetime
    updated: datetime
    name: str
    flow_run_id: str | None
    task_key: str
    state_id: str | None
    state: State | None
    task_version: str | None
    task_inputs: Raw
    empirical_policy: TaskRunPolicy
    tags: list[str]
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    estimated_run_time: float
    estimated_start_time_delta: float


def summary(run: TaskRun) -> TaskRunSummary:
    return TaskRunSummary(*(getattr(run, name) for name in TaskRunSummary.__struct_fields__))


COLUMNS = f"""
    t.id, t.created, t.updated, t.name, t.flow_run_id, t.task_key, t.dynamic_key, t.cache_key, t.cache_expiration,
    t.task_version, t.empirical_policy, t.tags, t.labels, t.state_id, t.task_inputs, t.state_type, t.state_name,
    t.run_count, t.flow_run_run_count, t.expected_start_time, t.next_scheduled_start_time, t.start_time, t.end_time,
    t.total_run_time, t.total_run_time as estimated_run_time, t.total_run_time as estimated_start_time_delta,
    {STATE_COLUMNS}"""

FROM = "from task_run t left join task_run_state s on s.id = t.state_id"

SELECT = f"select {COLUMNS} {FROM}"
"""Everything of a `TaskRun` up to ``where``; the run's alias is ``t``."""


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
