"""The event that tells of a flow run's new state, and the resources that it names besides the run."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event, Labels, Related
from lictor.kit import times
from lictor.states.types import PAUSED, State

# People put error messages and whole results into state messages; an event carries no more of one than this.
MESSAGE_CHARACTERS = 100_000
# An event follows the one before only if they are close, so that the order is worth waiting for.
FOLLOWS_WITHIN = timedelta(minutes=5)


class CreatedBy(Struct, frozen=True):
    """What made a run: an automation, a schedule or a deployment."""

    id: str | None = None
    type: str | None = None
    display_value: str | None = None


class Surroundings(Struct):
    """What a flow run's events say of it besides its state, in the order in which a select gives it."""

    name: str
    tags: list[str]
    created_by: CreatedBy | None
    flow_id: str
    flow_name: str
    flow_tags: list[str]
    deployment_id: str | None
    deployment_name: str | None
    deployment_tags: list[str] | None
    work_queue_id: str | None
    work_queue_name: str | None
    work_pool_id: str | None
    work_pool_name: str | None
    work_pool_type: str | None
    task_run_id: str | None
    task_run_name: str | None
    task_run_tags: list[str] | None


def state_event(run_id: str, run_count: int, around: Surroundings, initial: State | None, state: State) -> Event:
    """The event ``prefect.flow-run.<state name>``, without what is `related`.

    Its id is the state's, so that events are ordered as states are.
    """
    resource = {
        RESOURCE_ID: f"prefect.flow-run.{run_id}",
        RESOURCE_NAME: around.name,
        "prefect.run-count": str(run_count),
        "prefect.state-message": truncated(state.message or ""),
        "prefect.state-name": state.name,
        "prefect.state-timestamp": times.iso(state.timestamp),
        "prefect.state-type": state.type,
    }
    payload = {
        "intended": {"from": None if initial is None else initial.type, "to": state.type},
        "initial_state": None if initial is None else state_payload(initial),
        "validated_state": state_payload(state),
    }
    near = initial is not None and abs(state.timestamp - initial.timestamp) < FOLLOWS_WITHIN
    return Event(
        occurred=state.timestamp,
        event=f"prefect.flow-run.{state.name}",
        resource=resource,
        payload=payload,
        id=state.id,
        follows=initial.id if initial is not None and near else None,
    )


def state_payload(state: State) -> dict[str, Any]:
    payload: dict[str, Any] = {"type": state.type}
    if state.name:
        payload["name"] = state.name
    if state.message:
        payload["message"] = truncated(state.message)
    if state.type == PAUSED:
        payload["pause_reschedule"] = "true" if state.state_details.pause_reschedule else "false"
    return payload


def related(around: Surroundings) -> Related:
    """What the run belongs to, its and their tags, and what made it: the reference's order."""
    task_tags = around.task_run_tags
    deployment_tags = around.deployment_tags
    return _related(
        (*around.tags, *around.flow_tags, *(deployment_tags or ()), *(task_tags or ())),
        around.created_by,
        around.work_pool_type,
        ("flow", around.flow_id, around.flow_name),
        ("deployment", around.deployment_id, around.deployment_name),
        ("work-queue", around.work_queue_id, around.work_queue_name),
        ("work-pool", around.work_pool_id, around.work_pool_name),
        ("task-run", around.task_run_id, around.task_run_name),
    )


# The runs of a flow or deployment have the same surroundings, and a run has the same in all of its states.
@lru_cache(maxsize=1024)
def _related(
    tags: tuple[str, ...],
    created_by: CreatedBy | None,
    work_pool_type: str | None,
    *kinds: tuple[str, str | None, str | None],
) -> Related:
    resources = [
        {RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_ROLE: kind, RESOURCE_NAME: name}
        for kind, id, name in kinds
        if name is not None
    ]
    if work_pool_type is not None:
        pool = next(labels for labels in resources if labels[RESOURCE_ROLE] == "work-pool")
        pool["prefect.work-pool.type"] = work_pool_type
    resources += [{RESOURCE_ID: f"prefect.tag.{tag}", RESOURCE_ROLE: "tag"} for tag in sorted({*tags})]
    resources += creator(created_by)
    return Related(msgspec.json.encode(resources).decode(), tuple(labels[RESOURCE_ID] for labels in resources))


def creator(created_by: CreatedBy | None) -> list[Labels]:
    if created_by is None or created_by.type not in ("DEPLOYMENT", "AUTOMATION"):
        return []
    labels = {RESOURCE_ID: f"prefect.{created_by.type.lower()}.{created_by.id}", RESOURCE_ROLE: "creator"}
    if created_by.display_value:
        labels[RESOURCE_NAME] = created_by.display_value
    return [labels]


def truncated(text: str) -> str:
    """The text, or its two ends with a count of what was left out between them."""
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    half = MESSAGE_CHARACTERS // 2
    omitted = len(text) - 2 * half
    shorter = f"{text[:half]}...{omitted} additional characters...{text[-half:]}"
    return shorter if len(shorter) < len(text) else text
