"""What a state is: on the wire, in a row, and as a client may ask for it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import Raw, Struct, to_builtins
from msgspec.structs import astuple, fields

from lictor.kit import clock, ids

# Plain strings, not an Enum: they are hashed, compared and stored on every transition.
StateType = Literal[
    "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"
]

SCHEDULED: Final = "SCHEDULED"
PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
CANCELLED: Final = "CANCELLED"
CRASHED: Final = "CRASHED"
PAUSED: Final = "PAUSED"
CANCELLING: Final = "CANCELLING"

STATE_TYPES: Final[tuple[StateType, ...]] = (
    SCHEDULED,
    PENDING,
    RUNNING,
    COMPLETED,
    FAILED,
    CANCELLED,
    CRASHED,
    PAUSED,
    CANCELLING,
)
TERMINAL: Final[frozenset[StateType]] = frozenset({COMPLETED, FAILED, CANCELLED, CRASHED})

DEFAULT_NAMES: Final[dict[StateType, str]] = {type_: type_.capitalize() for type_ in STATE_TYPES}


class StateTypeName(StrEnum):
    """A state type that a client names; an Enum for the sake of the words with which others are refused."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


_TYPES: Final[dict[str, StateType]] = {type_: type_ for type_ in STATE_TYPES}


class StateDetails(Struct):
    """What a state carries beside its type; instants keep the offset that the client sent."""

    flow_run_id: str | None = None
    task_run_id: str | None = None
    child_flow_run_id: str | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: str | None = None
    task_parameters_id: str | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: str | None = None


class State(Struct):
    """A state of a run. `data` is JSON that is stored and returned, or None."""

    id: str
    type: StateType
    name: str
    timestamp: datetime
    message: str | None
    data: Raw | None
    state_details: StateDetails


class TrackedRun(Struct):
    """What a run keeps about its states, in the order in which a select gives it; `total_run_time` is in seconds.

    Flow runs and task runs have more columns that rules look at, and whoever reads a run may add its own after those.
    """

    id: str
    state_type: StateType | None
    state_name: str | None
    state_timestamp: datetime | None
    run_count: int
    expected_start_time: datetime | None
    next_scheduled_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float


class StateDetailsCreate(Struct):
    """`StateDetails` as clients send them: ids are checked, unknown keys are ignored."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: UUID | None = None


# msgspec cannot read `Raw | None`, so an absent value and `null` are both this text.
NULL: Final = Raw(b"null")


class StateCreate(Struct, forbid_unknown_fields=True):
    """A state that a client asks for; its id and timestamp are the server's to give."""

    type: StateTypeName
    name: str | None = None
    message: str | None = None
    data: Raw = NULL
    state_details: StateDetailsCreate = msgspec.field(default_factory=StateDetailsCreate)


def from_create(wanted: StateCreate, now: datetime | None = None) -> State:
    """A new state as a client asked for it: named after its type unless named, scheduled for now unless timed."""
    now = now or clock.now()
    type_ = _TYPES[wanted.type]
    details = details_from_create(wanted.state_details)
    if type_ == SCHEDULED and details.scheduled_time is None:
        details.scheduled_time = now
    name = DEFAULT_NAMES[type_] if wanted.name is None else wanted.name
    return State(ids.new(), type_, name, now, wanted.message, given(wanted.data), details)


def given(data: Raw) -> Raw | None:
    """The JSON itself, or None for `null`."""
    return None if data == NULL else data


def details_from_create(wanted: StateDetailsCreate) -> StateDetails:
    # The same fields; but here ids are text, and instants have an offset.
    values = list(astuple(wanted))
    for place, convert in _CONVERTED:
        if values[place] is not None:
            values[place] = convert(values[place])
    return StateDetails(*values)


def _aware(instant: datetime) -> datetime:
    # The reference takes an instant without an offset for UTC.
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


_CONVERTED: Final = tuple(
    (place, to_builtins if field.type == UUID | None else _aware)
    for place, field in enumerate(fields(StateDetailsCreate))
    if field.type in (UUID | None, datetime | None)
)


class AcceptDetails(Struct, tag_field="type", tag="accept_details"):
    pass


class RejectDetails(Struct, tag_field="type", tag="reject_details"):
    reason: str | None = None


class AbortDetails(Struct, tag_field="type", tag="abort_details"):
    reason: str | None = None


class WaitDetails(Struct, tag_field="type", tag="wait_details"):
    delay_seconds: int
    reason: str | None = None


Status = Literal["ACCEPT", "REJECT", "ABORT", "WAIT"]
ResponseDetails = AcceptDetails | RejectDetails | AbortDetails | WaitDetails

ACCEPTED: Final = AcceptDetails()


class OrchestrationResult(Struct):
    """The answer to a proposed state: the run's state now (None if it has none), and what was made of the proposal."""

    state: State | None
    status: Status
    details: ResponseDetails


class Outcome(Struct):
    """The answer to a proposed state, and whether the run entered a new one."""

    result: OrchestrationResult
    new: bool


_results = msgspec.json.Decoder(dict[str, Raw])


def persisted_result(data: Raw | None) -> dict[str, Raw] | None:
    """The fields of `data` when it says where a result is kept; None when it is not an object or says that none is."""
    if data is None or bytes(data).lstrip()[:1] != b"{":
        return None
    fields = _results.decode(data)
    return None if bytes(fields.get("type", NULL)) == b'"unpersisted"' else fields


def kept(data: Raw | None) -> Raw | None:
    """What is stored of a state's data: nothing if it only says that the result is kept nowhere."""
    if data is None or b"unpersisted" not in bytes(data):
        return data
    return None if bytes(data).lstrip()[:1] == b"{" and persisted_result(data) is None else data
