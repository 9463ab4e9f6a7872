"""What rules about flow runs ask beyond the run itself: its deployment's concurrency limit, and slots of it."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

CollisionStrategy = Literal["ENQUEUE", "CANCEL_NEW"]


class DeploymentLimit(Struct, frozen=True):
    """A deployment's concurrency limit; without a `limit_id` it has none.

    `grace_seconds` is how long a slot is kept for a run that has not started; None for the server's setting.
    """

    limit_id: str | None = None
    limit: int = 0
    active_slots: int = 0
    strategy: CollisionStrategy = "ENQUEUE"
    grace_seconds: float | None = None


class FlowFacts(Protocol):
    """Answered inside the decision's transaction, and only when a rule asks or an effect is carried out."""

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        """The limit of a deployment; None if the deployment is gone."""

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str) -> str | None:
        """The id of a lease on one slot of the limit, held by that run; None if all are taken."""

    def renew_slot(self, lease_id: str, seconds: float) -> bool:
        """Whether the lease was still there; it now lasts so many seconds from now."""

    def release_slot(self, lease_id: str) -> None:
        """Give back a slot that this decision took."""

    def give_back(self, deployment_id: str, lease_id: str | None) -> None:
        """Free the slot that a run of the deployment held: its lease, or if it has none one slot of the limit."""

    def keep_unrenewed(self, lease_id: str) -> None:
        """The holder cannot renew this lease: from now on it does not expire."""

    def forget(self, flow_run_ids: list[str]) -> None:
        """The runs are about to be deleted: whatever they or their task runs hold, of any limit, is free."""


class NoLimits:
    """Every deployment exists and none has a limit, so that there is no slot to take, keep or give back."""

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        return DeploymentLimit()

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str) -> str | None:
        return None

    def renew_slot(self, lease_id: str, seconds: float) -> bool:
        return False

    def release_slot(self, lease_id: str) -> None:
        return None

    def give_back(self, deployment_id: str, lease_id: str | None) -> None:
        return None

    def keep_unrenewed(self, lease_id: str) -> None:
        return None

    def forget(self, flow_run_ids: list[str]) -> None:
        return None
