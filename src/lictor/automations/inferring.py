"""What an action is about: the thing that was chosen, or the first of its kind among the event's resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from lictor.automations.firing import Invocation
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Labels, ReceivedEvent
from lictor.kit.decoding import decoder


class Failed(Exception):
    """An action cannot be done; the message is the reason that its event gives, `related` what it was about."""

    def __init__(self, reason: str, related: list[Labels] | None = None, **details: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.related = related or []
        self.details = details


def labelled(kind: str, id: str, role: str = "target", name: str | None = None) -> Labels:
    """The labels of something that an action names."""
    labels = {RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_ROLE: role}
    return labels if name is None else {**labels, RESOURCE_NAME: name}


def event_of(invocation: Invocation) -> ReceivedEvent | None:
    found: ReceivedEvent | None = decoder(ReceivedEvent | None)(invocation.triggering_event)
    return found


def resources(event: ReceivedEvent) -> Iterator[Labels]:
    """The resource of an event, then the related ones."""
    yield event.resource
    yield from event.related


def first_of_kind(event: ReceivedEvent | None, kind: str) -> Labels | None:
    """The first resource `prefect.<kind>.<something>`."""
    found = () if event is None else resources(event)
    return next((labels for labels in found if labels[RESOURCE_ID].rpartition(".")[0] == f"prefect.{kind}"), None)


def id_in(resource_id: str, kind: str) -> str | None:
    before, _, id = resource_id.rpartition(".")
    if before != f"prefect.{kind}":
        return None
    try:
        return str(UUID(id))
    except ValueError:
        return None


def target(invocation: Invocation, kind: str, chosen: UUID | None) -> str:
    """The id of what the action is about. Raises Failed if there is no such thing in the event."""
    if chosen is not None:
        return str(chosen)
    words = kind.replace("-", " ")
    event = event_of(invocation)
    if event is None:
        raise Failed(f"No event to infer the {words}")
    found = first_of_kind(event, kind)
    id = None if found is None else id_in(found[RESOURCE_ID], kind)
    if id is None:
        raise Failed(f"No {words} could be inferred")
    return id


def flow_run(invocation: Invocation) -> str:
    """The flow run that the trigger was evaluated for, or the first in its event. Raises Failed."""
    labelled = invocation.triggering_labels.get(RESOURCE_ID)
    if labelled and (id := id_in(labelled, "flow-run")):
        return id
    found = first_of_kind(event_of(invocation), "flow-run")
    id = None if found is None else id_in(found[RESOURCE_ID], "flow-run")
    if id is None:
        raise Failed("No flow run could be inferred")
    return id
