"""Schedules of a deployment: one by one, and all together with a change of the deployment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from lictor.db import Tx, update_row
from lictor.deployments import store
from lictor.deployments.schedule_types import stored
from lictor.deployments.store import NewSchedule
from lictor.deployments.types import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from lictor.flow_runs import planned
from lictor.kit import clock
from lictor.kit.errors import Conflict, Invalid, NotFound, Unprocessable
from lictor.web import Request
from lictor.web.endpoint import as_sent

Asked = DeploymentScheduleCreate | DeploymentScheduleUpdate
NO_SCHEDULE = "Unable to create new deployment schedules without a schedule configuration."
NO_SLUGS = "Please provide a slug for each schedule in your request to ensure schedules are updated correctly."


class Plan(Struct):
    """What becomes of a deployment's schedules: all are replaced, or some are changed (by id) and some are added."""

    replace: bool
    patches: list[tuple[str, DeploymentScheduleUpdate]]
    new: list[DeploymentScheduleUpdate]


def check_most(asked: Asked | Sequence[Asked], most: int, request: Request, *place: str) -> None:
    """422 for schedules that ask for more runs than may be planned for one; `place` is where they stand in the body."""
    found: Iterable[tuple[tuple[int, ...], Asked]] = (
        [((), asked)] if isinstance(asked, Asked) else (((number,), one) for number, one in enumerate(asked))
    )
    errors = [
        {
            "type": "value_error",
            "loc": ["body", *place, *at, "max_scheduled_runs"],
            "msg": f"Value error, `max_scheduled_runs` must be less than or equal to {most}.",
            "input": one.max_scheduled_runs,
            "ctx": {"error": {}},
        }
        for at, one in found
        if one.max_scheduled_runs is not None and one.max_scheduled_runs > most
    ]
    if errors:
        raise Invalid(errors, as_sent(request))


def plan(existing: list[DeploymentSchedule], wanted: list[DeploymentScheduleUpdate] | UnsetType) -> Plan:
    """Schedules with slugs are matched by them, and then those that are not named stay; else all are replaced.

    Raises Unprocessable.
    """
    given = [] if wanted is UNSET else wanted
    if not existing or any(one.slug is None for one in existing):
        return Plan(wanted is not UNSET, [], [one for one in given if one.schedule is not None])
    if any(one.slug is None for one in given):
        raise Unprocessable(NO_SLUGS)
    by_slug = {one.slug or "": one.id for one in existing}
    _check_renames(given, set(by_slug))
    found = Plan(False, [], [])
    for one in given:
        target = by_slug.get(one.replaces or one.slug or "")
        if target is not None:
            found.patches.append((target, one))
        elif one.schedule is None:
            raise Unprocessable(NO_SCHEDULE)
        else:
            found.new.append(one)
    return found


def _check_renames(given: list[DeploymentScheduleUpdate], slugs: set[str]) -> None:
    replaced: set[str] = set()
    for one in given:
        if one.replaces and one.replaces in replaced:
            raise Unprocessable(f"Multiple schedules have 'replaces' targeting the same slug: {one.replaces}")
        if one.replaces:
            replaced.add(one.replaces)
    for one in given:
        if one.replaces and one.slug in slugs and one.slug not in replaced:
            raise Unprocessable(
                f"Cannot rename schedule from '{one.replaces}' to '{one.slug}': "
                f"a schedule with slug '{one.slug}' already exists."
            )


def carry_out(tx: Tx, deployment_id: str, plan: Plan, now: datetime, paused: bool) -> None:
    """The caller has the deployment locked, and has it planned anew afterwards. Raises Conflict for a slug taken
    twice."""
    if plan.replace:
        tx.run(store.DELETE_SCHEDULES, deployment_ids=[deployment_id])
    for schedule_id, patch in plan.patches:
        if patch.replaces:
            # Names are free before anybody takes one, so that two schedules can change theirs with each other.
            update_row(tx, "deployment_schedule", schedule_id, {"slug": None}, now)
    for schedule_id, patch in plan.patches:
        _patch(tx, deployment_id, schedule_id, patch, now)
    new = [_new(one) for one in plan.new]
    store.insert_schedules(tx, deployment_id, new, now, paused)


def _new(wanted: DeploymentScheduleUpdate) -> NewSchedule:
    assert wanted.schedule is not None
    active = wanted.active if wanted.active is not None else True
    return NewSchedule(stored(wanted.schedule), active, wanted.parameters, wanted.slug)


def _patch(tx: Tx, deployment_id: str, id: str, patch: DeploymentScheduleUpdate, now: datetime) -> bool:
    changes: dict[str, Any] = {
        name: value for name in ("active", "max_scheduled_runs", "slug") if (value := getattr(patch, name)) is not None
    }
    changes["parameters"] = patch.parameters
    if patch.schedule is not None:
        changes["schedule"] = stored(patch.schedule).decode()
    if "slug" in changes and any(
        one.slug == changes["slug"] and one.id != id for one in store.schedules_of(tx, [deployment_id])
    ):
        raise Conflict
    guard = "deployment_id = {uuid:deployment_id}"
    return update_row(tx, "deployment_schedule", id, changes, now, guard, deployment_id=deployment_id)


def no_deployment() -> NotFound:
    return NotFound("Deployment not found.")


def page(tx: Tx, deployment_id: str) -> list[DeploymentSchedule]:
    tx.get(store.FIND, no_deployment(), id=deployment_id)
    return store.schedules_of(tx, [deployment_id])


def create(tx: Tx, deployment_id: str, wanted: list[DeploymentScheduleCreate]) -> list[DeploymentSchedule]:
    deployment = store.lock(tx, deployment_id, no_deployment())
    new = [
        NewSchedule(stored(one.schedule), one.active, one.parameters, one.slug, one.max_scheduled_runs)
        for one in wanted
    ]
    return store.insert_schedules(tx, deployment_id, new, clock.now(), deployment.paused)


def update(tx: Tx, deployment_id: str, id: str, patch: DeploymentScheduleUpdate) -> None:
    store.lock(tx, deployment_id, no_deployment())
    now = clock.now()
    if not _patch(tx, deployment_id, id, patch, now):
        raise NotFound("Schedule not found.")
    store.replan(tx, deployment_id, now)
    planned.delete_future(tx, [deployment_id], now)


def delete(tx: Tx, deployment_id: str, id: str) -> None:
    store.lock(tx, deployment_id, no_deployment())
    now = clock.now()
    if not tx.run(store.DELETE_SCHEDULE, deployment_id=deployment_id, id=id):
        raise NotFound("Schedule not found.")
    store.replan(tx, deployment_id, now)
    planned.delete_made(tx, deployment_id, now)
