"""What a decision about a flow run asks to be done in its transaction, after the state and the run are written."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from lictor.states.types import State


class StateEntered(Struct, frozen=True):
    """Write the event that tells of the new state."""

    initial: State | None
    state: State


class MirrorToParentTask(Struct, frozen=True):
    """Set this state, with force, on the task run that stands for the subflow in its parent run."""

    task_run_id: str
    state: State


class DeleteInputs(Struct, frozen=True):
    """Delete the run's stored inputs under these keys: they answered an earlier attempt's pause."""

    keys: tuple[str, ...]


class RetryFailedTasks(Struct, frozen=True):
    """Set every FAILED task run of the run, with force, to AwaitingRetry at this time, and its run_count to 0."""

    scheduled_time: datetime


class ReleaseSlot(Struct, frozen=True):
    """Give back the deployment's slot that the run holds: its lease, or if it has none one slot of the deployment."""

    deployment_id: str
    lease_id: str | None


class KeepSlotUnrenewed(Struct, frozen=True):
    """The client is too old to renew this lease: from now on it does not expire, and ends with the run."""

    lease_id: str


FlowEffect = StateEntered | MirrorToParentTask | DeleteInputs | RetryFailedTasks | ReleaseSlot | KeepSlotUnrenewed
