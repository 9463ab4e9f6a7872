"""What follows from a firing: composite triggers that waited for it, the event that tells of it, and its actions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from lictor.automations.triggers import Composite, EventTrigger, SequenceTrigger, Trigger
from lictor.automations.types import Automation
from lictor.automations.watching import Watched
from lictor.db import Tx, sql
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event, Labels, ReceivedEvent
from lictor.kit import clock, ids
from lictor.kit.decoding import decoder

TRIGGERED = "Triggered"
# A firing for want of events may have none.
NO_EVENT = Raw(b"null")

_json = msgspec.json.Encoder(order="deterministic").encode


class Firing(Struct, kw_only=True):
    """One time that a trigger fired; templates see it as `firing`."""

    id: str = field(default_factory=ids.new)
    trigger: Raw
    trigger_states: list[str] = field(default_factory=lambda: [TRIGGERED])
    triggered: datetime
    triggering_labels: dict[str, str] = field(default_factory=dict)
    triggering_firings: list[Firing] = field(default_factory=list)
    triggering_event: Raw = NO_EVENT
    triggering_value: Any = None


class Invocation(Struct, kw_only=True):
    """An action that is to be done: all that it needs to know, as it was when the automation fired."""

    id: str = field(default_factory=ids.new)
    automation: Automation
    trigger_type: str
    posture: str | None
    firing: Firing
    triggered: datetime
    triggering_labels: dict[str, str]
    triggering_event: Raw
    action: Raw
    action_index: int
    triggered_event_id: str


class ChildFiring(Struct):
    fired: datetime
    firing: Firing


UPSERT_CHILD = sql(
    "automations.upsert_child_firing",
    None,
    """
    insert into automation_child_firing (trigger_id, parent_id, automation_id, fired, firing)
    values (:trigger_id, :parent_id, :automation_id, :fired, :firing)
    on conflict (trigger_id) do update set fired = excluded.fired, firing = excluded.firing
    """,
)
CHILDREN = sql(
    "automations.child_firings",
    ChildFiring,
    "select fired, firing from automation_child_firing where parent_id = :parent_id",
)
CLEAR_OLD = sql(
    "automations.clear_old_child_firings",
    None,
    "delete from automation_child_firing where parent_id = :parent_id and fired < {ts:before}",
)
CLEAR = sql("automations.clear_child_firings", None, "delete from automation_child_firing where parent_id = :parent_id")
INSERT_ACTION = sql(
    "automations.insert_action",
    None,
    """
    insert into automation_action (id, automation_id, state, target, attempts, ready, invocation)
    values (:id, :automation_id, 'pending', :target, 0, :ready, :invocation)
    """,
)


def fire(
    tx: Tx, watched: Watched, trigger: EventTrigger, labels: dict[str, str], event: Raw | None, at: datetime
) -> None:
    """An event trigger has fired. `at` is when what made it fire came to the server: composites go by that."""
    firing = Firing(
        trigger=Raw(_json(trigger)), triggered=clock.now(), triggering_labels=labels, triggering_event=event or NO_EVENT
    )
    _propagate(tx, watched, trigger, firing, at)


def _propagate(tx: Tx, watched: Watched, trigger: Trigger, firing: Firing, at: datetime) -> None:
    parent = watched.parents.get(str(trigger.id))
    if parent is None:
        act(tx, watched, firing)
        return
    firings = [firing] if parent.needed == 1 else _gathered(tx, watched, parent, trigger, firing, at)
    if not firings:
        return
    above = Firing(
        trigger=Raw(_json(parent)),
        triggered=clock.now(),
        triggering_firings=firings,
        triggering_event=firing.triggering_event,
    )
    _propagate(tx, watched, parent, above, at)


def _gathered(
    tx: Tx, watched: Watched, parent: Composite, trigger: Trigger, firing: Firing, at: datetime
) -> list[Firing]:
    """The firings that make the parent fire, which are used up by that; none while some are missing."""
    parent_id = str(parent.id)
    if parent.within is not None:
        tx.put(CLEAR_OLD, parent_id=parent_id, before=at - timedelta(seconds=parent.within))
    tx.put(
        UPSERT_CHILD,
        trigger_id=str(trigger.id),
        parent_id=parent_id,
        automation_id=watched.automation.id,
        fired=at,
        firing=_json(firing).decode(),
    )
    # Those of one instant stand in the order in which they were made, which is that of their ids.
    children = sorted(tx.all(CHILDREN, parent_id=parent_id), key=lambda child: (child.fired, child.firing.id))
    if not _ready(parent, [child.firing for child in children]):
        return []
    tx.put(CLEAR, parent_id=parent_id)
    return [child.firing for child in children]


def _ready(parent: Composite, firings: list[Firing]) -> bool:
    if isinstance(parent, SequenceTrigger):
        return [msgspec.json.decode(firing.trigger)["id"] for firing in firings] == [str(t.id) for t in parent.triggers]
    return len(firings) >= parent.needed


def act(tx: Tx, watched: Watched, firing: Firing) -> None:
    """Tell of the firing, and queue what is to be done: all in the transaction of the firing itself."""
    automation = watched.automation
    told = triggered_event(watched, firing)
    events.emit(tx, told)
    told_json = Raw(msgspec.json.encode(_received(told)))
    always = [(firing.triggering_event, action) for action in _actions(automation.actions)]
    on_trigger = [(told_json, action) for action in _actions(automation.actions_on_trigger)]
    for index, (event, action) in enumerate([*always, *on_trigger]):
        queue(tx, watched, firing, told.id, index, event, action)


def queue(
    tx: Tx, watched: Watched, firing: Firing, told_id: str, index: int, event: Raw, action: dict[str, Any]
) -> None:
    invocation = Invocation(
        automation=watched.automation,
        trigger_type=watched.trigger.type,
        posture=getattr(watched.trigger, "posture", None),
        firing=firing,
        triggered=firing.triggered,
        triggering_labels=firing.triggering_labels,
        triggering_event=event,
        action=Raw(_json(action)),
        action_index=index,
        triggered_event_id=told_id,
    )
    tx.put(
        INSERT_ACTION,
        id=invocation.id,
        automation_id=watched.automation.id,
        target=action.get("block_document_id"),
        ready=firing.triggered,
        invocation=_json(invocation).decode(),
    )


def triggered_event(watched: Watched, firing: Firing) -> Event:
    resource = automation_resource(watched.automation)
    if isinstance(watched.trigger, EventTrigger):
        resource["prefect.posture"] = watched.trigger.posture
    return Event(
        occurred=firing.triggered,
        event="prefect.automation.triggered",
        resource=resource,
        related=caused_by(firing.triggering_event),
        payload={"triggering_labels": firing.triggering_labels, "triggering_event": firing.triggering_event},
    )


def automation_resource(automation: Automation) -> Labels:
    return {RESOURCE_ID: f"prefect.automation.{automation.id}", RESOURCE_NAME: automation.name}


def caused_by(event: Raw) -> list[Labels]:
    found: Identified | None = decoder(Identified | None)(event)
    if found is None:
        return []
    return [{RESOURCE_ID: f"prefect.event.{found.id}", RESOURCE_ROLE: "triggering-event"}]


class Identified(Struct):
    id: str


def _actions(raw: Raw) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(raw)
    return found


def _received(event: Event) -> ReceivedEvent:
    return ReceivedEvent(
        **{name: getattr(event, name) for name in Event.__struct_fields__},
        received=event.occurred,
    )
