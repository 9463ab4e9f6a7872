"""What goes over the channel between a worker and the server: JSON text, one frame each, tagged by `type`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from lictor.kit import clock, ids
from lictor.work_pools.cleanups import KINDS, Message, Operation, Outcome
from lictor.work_pools.types import Positive, WorkPool

VERSION = "work_pool_worker_channel.v1"
REQUIRED = ("worker_heartbeat.v1", "work_pool_snapshot.v1")
CLEANUP = "cleanup_delivery.v1"

Text = Annotated[str, Meta(min_length=1)]
Kind = Literal["cancelling_timeout_teardown.v1", "pending_claim_teardown.v1"]
assert set(KINDS) == set(Kind.__args__)  # type: ignore[attr-defined]


class Received(Struct, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    id: UUID
    sent_at: Annotated[datetime, Meta(tz=True)]


class HelloPayload(Struct, forbid_unknown_fields=True):
    consumer_id: UUID
    worker_name: Text
    worker_type: Text
    heartbeat_interval_seconds: Positive
    supported_channel_versions: Annotated[list[Text], Meta(min_length=1)]
    requested_capabilities: Annotated[list[Text], Meta(min_length=1)]
    work_queue_names: list[Text] = []
    handled_cleanup_kinds: list[Kind] = []
    max_cleanup_concurrency: Annotated[int, Meta(ge=0)] | None = None
    create_pool_if_not_found: bool = False
    default_base_job_template: dict[str, Any] = {}
    worker_metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not set(REQUIRED) <= set(self.requested_capabilities):
            raise ValueError("a worker channel has heartbeats and snapshots")
        cleans = CLEANUP in self.requested_capabilities
        if not cleans and (self.handled_cleanup_kinds or self.max_cleanup_concurrency):
            raise ValueError(f"cleaning up requires {CLEANUP}")
        if self.max_cleanup_concurrency is None:
            self.max_cleanup_concurrency = 1 if cleans and self.handled_cleanup_kinds else 0

    @property
    def cleans(self) -> bool:
        """Whether the worker wants clean-up messages."""
        asked = CLEANUP in self.requested_capabilities and self.handled_cleanup_kinds
        return bool(asked and self.max_cleanup_concurrency)


class Hello(Received, tag="worker.hello.v1"):
    payload: HelloPayload


class BeatPayload(Struct, forbid_unknown_fields=True):
    consumer_id: UUID
    worker_name: Text
    heartbeat_interval_seconds: Positive


class Beat(Received, tag="worker.heartbeat.v1"):
    payload: BeatPayload


class Holding(Struct, forbid_unknown_fields=True):
    message_id: UUID
    reservation_token: Text


class Releasing(Struct, forbid_unknown_fields=True):
    message_id: UUID
    reservation_token: Text
    reason: Text


class Ack(Received, tag="cleanup.ack.v1"):
    payload: Holding


class Release(Received, tag="cleanup.release.v1"):
    payload: Releasing


class Renew(Received, tag="cleanup.renew.v1"):
    payload: Holding


AfterHello = Beat | Ack | Release | Renew


class QueueName(Struct):
    id: str
    name: str


class Snapshot(Struct):
    """The pool as it is; `snapshot_sequence` counts from 1 on each connection."""

    snapshot_sequence: int
    reason: str
    work_pool: WorkPool


class Ready(Struct):
    consumer_id: str
    worker_id: str | None
    selected_channel_version: str
    effective_heartbeat_interval_seconds: int
    accepted_capabilities: list[str]
    rejected_capabilities: list[str]
    effective_max_cleanup_concurrency: int
    resolved_work_queues: list[QueueName]
    initial_snapshot: Snapshot


class Settled(Struct):
    request_frame_id: str
    message_id: str
    operation: Operation
    status: Outcome
    lease_expires_at: datetime | None
    reason: str | None
    detail: str | None = None


class Sent(Struct):
    """A frame of the server's."""

    type: Literal["worker.ready.v1", "work_pool.snapshot.v1", "cleanup.message.v1", "cleanup.operation_result.v1"]
    payload: Ready | Snapshot | Message | Settled
    id: str = field(default_factory=ids.new)
    sent_at: datetime = field(default_factory=clock.now)
