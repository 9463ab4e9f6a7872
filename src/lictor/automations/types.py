"""Automations as clients send and see them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Raw, Struct, UnsetType

from lictor.automations.actions import Action, RunDeployment
from lictor.automations.triggers import REACTIVE, EventTrigger, Labels, Trigger
from lictor.filters import Filter
from lictor.filters.leaves import AnyId, AnyText, Leaf, Tags, on
from lictor.web import DEFAULT_LIMIT, Embedded, Instant, Limit, Offset

# Every run that a deployment makes goes through these.
AMPLIFYING = frozenset(
    {"prefect.flow-run.Scheduled", "prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.*"}
)
INFERRED_LOOP = (
    "Running an inferred deployment from a flow run state change event will lead to an infinite loop of flow runs.  "
    "Please choose a specific deployment and add additional filtering labels to the match or match_related for this "
    "automation's trigger."
)
SELECTED_LOOP = (
    "Running a selected deployment from a flow run state change event may lead to an infinite loop of flow runs.  "
    "Please include additional filtering labels on either match or match_related to narrow down which flow runs will "
    "trigger this automation to exclude flow runs from the deployment you've selected."
)


class Automation(Struct):
    """An automation as it is stored; its trigger and actions are JSON that is copied."""

    id: str
    created: datetime
    updated: datetime
    name: str
    description: str
    enabled: bool
    tags: list[str]
    trigger: Raw
    actions: Raw
    actions_on_trigger: Raw
    actions_on_resolve: Raw


class AutomationUpdate(Struct, forbid_unknown_fields=True, kw_only=True):
    """What takes an automation's place; what is absent stays. Raises ValueError for one that would run without end."""

    name: str
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    trigger: Trigger
    actions: list[Action]
    actions_on_trigger: list[Action] | UnsetType = UNSET
    actions_on_resolve: list[Action] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.enabled is not False:
            check_loops(self.trigger, self.actions)

    def running(self) -> Iterator[RunDeployment]:
        """The actions that run a deployment."""
        return (action for action in self.actions if isinstance(action, RunDeployment))


class AutomationCreate(AutomationUpdate, forbid_unknown_fields=True, kw_only=True):
    name: str
    description: str = ""
    enabled: bool = True
    tags: list[str] = []
    trigger: Trigger
    actions: list[Action]
    actions_on_trigger: list[Action] = []
    actions_on_resolve: list[Action] = []
    owner_resource: str | None = None


class AutomationPatch(Struct, forbid_unknown_fields=True):
    enabled: bool | UnsetType = UNSET


def check_loops(trigger: Trigger, actions: list[Action]) -> None:
    """Raises ValueError where the runs that a deployment makes would run it again."""
    if not isinstance(trigger, EventTrigger) or trigger.posture != REACTIVE or not AMPLIFYING & trigger.expect:
        return
    every_run = _every_flow_run(trigger.match) and any(_every_flow_run(related) for related in trigger.related)
    for action in actions:
        if isinstance(action, RunDeployment) and action.source == "inferred":
            raise ValueError(INFERRED_LOOP)
        if isinstance(action, RunDeployment) and every_run:
            raise ValueError(SELECTED_LOOP)


def _every_flow_run(labels: Labels) -> bool:
    if not labels:
        return True
    ids = labels.get("prefect.resource.id") if len(labels) == 1 else None
    return "prefect.flow-run.*" in ([ids] if isinstance(ids, str) else ids or [])


class Created(Leaf):
    before_: Instant | None = None


class AutomationFilter(Filter):
    id: Annotated[AnyId | None, on("a.id")] = None
    name: Annotated[AnyText | None, on("a.name")] = None
    created: Annotated[Created | None, on("a.created")] = None
    tags: Annotated[Tags | None, on("a.tags")] = None


class AutomationSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class AutomationPage(Embedded):
    sort: AutomationSort = AutomationSort.NAME_ASC
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    automations: AutomationFilter | None = None


class AutomationCount(Embedded):
    automations: AutomationFilter | None = None
