"""What rules about task runs ask beyond the run itself: its flow run, cached states, and slots of its tags' limits."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from lictor.states.types import State, StateDetails, StateType


class EnclosingFlowRun(Struct, frozen=True):
    """The flow run that a task run belongs to; without a `state_type` it has no state."""

    id: str
    run_count: int
    state_type: StateType | None
    state_details: StateDetails | None


class TagLimit(Struct, frozen=True):
    """An active concurrency limit on a tag; `average_seconds` is how long a slot of it is held."""

    id: str
    tag: str
    limit: int
    active_slots: int
    average_seconds: float | None = None


class TagLimits(Protocol):
    """The limits on tags, as rules and their effects reach them."""

    def tag_limits(self, tags: list[str]) -> list[TagLimit]:
        """The active limits on these tags."""

    def acquire_tag_slots(self, limit_ids: list[str], task_run_id: str) -> str | None:
        """The id of a lease without end on one slot of each limit, held by the task run; None if any is full."""

    def release_tag_slots(self, lease_id: str) -> None:
        """Give back the slots that this decision took."""

    def give_back(self, tags: tuple[str, ...], task_run_id: str) -> None:
        """Free every slot that the task run holds of the limits of these tags."""

    def forget(self, task_run_ids: list[str]) -> None:
        """The task runs are about to be deleted: whatever they hold, of any limit, is free."""


class TaskFacts(TagLimits, Protocol):
    """Answered inside the decision's transaction, and only when a rule asks."""

    def flow_run(self, flow_run_id: str) -> EnclosingFlowRun | None:
        """The flow run; None if it is gone."""

    def cached_state(self, key: str, now: datetime) -> State | None:
        """The state that was last cached under a key and has not expired by `now`."""


class NoTagLimits:
    """`TagLimits` where no tag has a limit, so that there is no slot to take or give back."""

    def tag_limits(self, tags: list[str]) -> list[TagLimit]:
        return []

    def acquire_tag_slots(self, limit_ids: list[str], task_run_id: str) -> str | None:
        return None

    def release_tag_slots(self, lease_id: str) -> None:
        return None

    def give_back(self, tags: tuple[str, ...], task_run_id: str) -> None:
        return None

    def forget(self, task_run_ids: list[str]) -> None:
        return None
