"""Work pools, queues and workers: rows, and what goes over the wire."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from lictor.web import Checked, Checks, FieldError, Instant
from lictor.work_pools.templates import check_template

AGENT_POOL = "default-agent-pool"
AGENT_TYPE = "prefect-agent"

NAME = "^[^/%&><]+$"
Name = Annotated[str, Meta(pattern=NAME)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]


class Status(StrEnum):
    """Of a pool or a queue."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkerStatus(StrEnum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class StorageConfiguration(Struct, forbid_unknown_fields=True):
    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: UUID | UnsetType | None = None


class WorkPool(Struct):
    """`active_slots` is null without a limit; `status` is null for a pool of agents."""

    id: str
    created: datetime
    updated: datetime
    name: str
    description: str | None
    type: str
    base_job_template: Raw
    is_paused: bool
    concurrency_limit: int | None
    status: Status | None
    default_queue_id: str | None
    storage_configuration: StorageConfiguration
    active_slots: int | None


def check_name(name: str) -> None:
    # Not by the pattern alone: for a name of nothing the reference has other words.
    if not name.strip("' \""):
        raise FieldError("name cannot be an empty string")
    if not re.match(NAME, name):
        words = f"String should match pattern '{NAME}'"
        raise FieldError(words, type="string_pattern_mismatch", ctx={"pattern": NAME})


class WorkPoolCreate(Checked, Struct, forbid_unknown_fields=True):
    checks: ClassVar[Checks] = {"name": check_name, "base_job_template": check_template}

    name: str
    description: str | None = None
    type: str = AGENT_TYPE
    base_job_template: dict[str, Any] = {}
    is_paused: bool = False
    concurrency_limit: Count | None = None
    storage_configuration: StorageConfiguration = field(default_factory=StorageConfiguration)


class WorkPoolUpdate(Checked, Struct, forbid_unknown_fields=True):
    """Absent: as it was. Null for a pause, a template or a storage configuration passes as input and then conflicts."""

    checks: ClassVar[Checks] = {"base_job_template": check_template}

    description: str | UnsetType | None = UNSET
    is_paused: bool | UnsetType | None = UNSET
    base_job_template: dict[str, Any] | UnsetType | None = UNSET
    concurrency_limit: Count | UnsetType | None = UNSET
    storage_configuration: StorageConfiguration | UnsetType | None = UNSET


class QueueFilter(Struct):
    """Which runs a queue of the oldest kind serves, whatever queue they name."""

    tags: list[str] | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueue(Struct):
    """`active_slots` is null without a limit."""

    id: str
    created: datetime
    updated: datetime
    name: str
    description: str | None
    is_paused: bool
    concurrency_limit: int | None
    priority: int
    work_pool_id: str
    filter: QueueFilter | None
    last_polled: datetime | None
    work_pool_name: str
    status: Status
    active_slots: int | None


class WorkQueueCreate(Struct, forbid_unknown_fields=True):
    name: Name
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: Count | None = None
    priority: Positive | None = None
    filter: QueueFilter | None = None


class WorkQueueUpdate(Struct, forbid_unknown_fields=True):
    """Absent: as it was. Null for a name, a description, a pause or a priority passes as input and then conflicts."""

    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    is_paused: bool | UnsetType = UNSET
    concurrency_limit: Count | UnsetType | None = UNSET
    priority: Positive | UnsetType | None = UNSET
    last_polled: Instant | UnsetType | None = UNSET
    filter: QueueFilter | UnsetType | None = UNSET


class Worker(Struct):
    id: str
    created: datetime
    updated: datetime
    name: str
    work_pool_id: str
    last_heartbeat_time: datetime | None
    heartbeat_interval_seconds: int | None
    status: WorkerStatus
