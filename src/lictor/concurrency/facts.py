"""What decisions about runs ask of concurrency limits: slots of a deployment's limit, and of those on tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from lictor.concurrency import slots, store
from lictor.concurrency.slots import Claim, Waits
from lictor.concurrency.types import TAG
from lictor.db import Tx, sql
from lictor.flow_runs.facts import CollisionStrategy, DeploymentLimit
from lictor.kit import clock
from lictor.task_runs.facts import TagLimit


class LimitOf(Struct):
    """A deployment's columns about its limit; it may name one that was deleted."""

    limit_id: str | None
    options: dict[str, Any] | None


LIMIT_OF = sql(
    "concurrency.limit_of_deployment",
    LimitOf,
    "select concurrency_limit_id, concurrency_options from deployment where id = :id",
)
HELD_BY = sql(
    "concurrency.held_by",
    str,
    """
    select distinct l.id from concurrency_lease l join concurrency_lease_slot s on s.lease_id = l.id
    join concurrency_limit_v2 c on c.id = s.limit_id
    where l.holder_id = :holder_id and c.name {in:names}
    """,
)
HELD_BY_RUNS = sql(
    "concurrency.held_by_runs",
    str,
    """
    select id from concurrency_lease where holder_id {in:ids:uuid}
    union select l.id from task_run t join concurrency_lease l on l.holder_id = t.id where t.flow_run_id {in:ids:uuid}
    """,
)
# In this order, whatever a planner thinks: leases are few beside the runs of a flow.
HELD_IN_FLOWS = sql(
    "concurrency.held_in_flows",
    str,
    """
    select l.id from concurrency_lease l cross join flow_run r where r.id = l.holder_id and r.flow_id {in:ids:uuid}
    union select l.id from concurrency_lease l cross join task_run t cross join flow_run r
    where t.id = l.holder_id and r.id = t.flow_run_id and r.flow_id {in:ids:uuid}
    """,
)
KEEP = sql("concurrency.keep", None, "update concurrency_lease set expires = null where id = :id")


class DeploymentSlots:
    """`FlowFacts` in one transaction."""

    def __init__(self, tx: Tx, waits: Waits) -> None:
        self._tx = tx
        self._waits = waits

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        found = self._tx.one(LIMIT_OF, id=deployment_id)
        if found is None:
            return None
        now = clock.now()
        limit = found.limit_id and self._tx.one(store.FIND, id=found.limit_id, **store.moment(now))
        if not limit or not limit.active:
            return DeploymentLimit()
        options = found.options or {}
        strategy: CollisionStrategy = options.get("collision_strategy", "ENQUEUE")
        return DeploymentLimit(limit.id, limit.limit, limit.taken(now), strategy, options.get("grace_period_seconds"))

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str) -> str | None:
        limits, now = store.lock(self._tx, [limit_id])
        claim = Claim(seconds, "flow_run", flow_run_id)
        return slots.acquire(self._tx, self._waits, limits, 1, claim, now)

    def renew_slot(self, lease_id: str, seconds: float) -> bool:
        return slots.renew(self._tx, lease_id, seconds, clock.now())

    def release_slot(self, lease_id: str) -> None:
        slots.release(self._tx, self._waits, [lease_id])

    def give_back(self, deployment_id: str, lease_id: str | None) -> None:
        if lease_id is not None:
            slots.release(self._tx, self._waits, [lease_id])
            return
        found = self._tx.one(LIMIT_OF, id=deployment_id)
        if found is not None and found.limit_id is not None:
            limits, now = store.lock(self._tx, [found.limit_id])
            for limit in limits:
                slots.drop(self._tx, self._waits, limit, 1, None, now)

    def keep_unrenewed(self, lease_id: str) -> None:
        self._tx.run(KEEP, id=lease_id)

    def forget(self, flow_run_ids: list[str]) -> None:
        slots.release(self._tx, self._waits, self._tx.all(HELD_BY_RUNS, ids=flow_run_ids))


class TagSlots:
    """`TagLimits` in one transaction."""

    def __init__(self, tx: Tx, waits: Waits) -> None:
        self._tx = tx
        self._waits = waits

    def tag_limits(self, tags: list[str]) -> list[TagLimit]:
        now = clock.now()
        found = self._tx.all(store.NAMED, names=named(tags), **store.moment(now))
        return [
            TagLimit(one.id, one.name.removeprefix(TAG), one.limit, one.taken(now), one.avg_slot_occupancy_seconds)
            for one in found
            if one.active
        ]

    def acquire_tag_slots(self, limit_ids: list[str], task_run_id: str) -> str | None:
        limits, now = store.lock(self._tx, limit_ids)
        return slots.acquire(self._tx, self._waits, limits, 1, Claim(None, "task_run", task_run_id), now)

    def release_tag_slots(self, lease_id: str) -> None:
        slots.release(self._tx, self._waits, [lease_id])

    def give_back(self, tags: tuple[str, ...], task_run_id: str) -> None:
        slots.release(self._tx, self._waits, held_by(self._tx, list(tags), task_run_id))

    def forget(self, task_run_ids: list[str]) -> None:
        slots.release(self._tx, self._waits, self._tx.all(HELD_BY_RUNS, ids=task_run_ids))


def forget_flows(waits: Waits, tx: Tx, flow_ids: list[str]) -> None:
    """The flows are about to be deleted: whatever their runs and tasks hold, of any limit, is free."""
    slots.release(tx, waits, tx.all(HELD_IN_FLOWS, ids=flow_ids))


def named(tags: list[str]) -> list[str]:
    """The names of the limits on these tags."""
    return [TAG + tag for tag in tags]


def held_by(tx: Tx, tags: list[str], holder_id: str) -> list[str]:
    """The ids of a holder's leases on slots of these tags' limits."""
    return tx.all(HELD_BY, names=named(tags), holder_id=holder_id)


def deployment_slots(waits: Waits) -> Callable[[Tx], DeploymentSlots]:
    return lambda tx: DeploymentSlots(tx, waits)


def tag_slots(waits: Waits) -> Callable[[Tx], TagSlots]:
    return lambda tx: TagSlots(tx, waits)
