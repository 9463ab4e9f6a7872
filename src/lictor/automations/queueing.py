"""The queue of actions: what is due, who has taken it, and what came of it, with the events that tell of that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Raw, Struct

from lictor.automations.doing import Done
from lictor.automations.firing import Invocation, automation_resource, caused_by
from lictor.automations.inferring import event_of
from lictor.db import Tx, sql
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Event
from lictor.kit import clock
from lictor.kit.decoding import decode

KEPT_FOR = timedelta(days=1)
# An event follows the one before only if they are close, so that the order is worth waiting for.
FOLLOWS_WITHIN = timedelta(minutes=5)


class Due(Struct):
    """An action that somebody may take; `target` is the block that it calls, if it calls one."""

    id: str
    target: str | None
    attempts: int
    invocation: Invocation


DUE = sql(
    "automations.due_actions",
    Due,
    """
    select id, target, attempts, invocation from automation_action
    where state = 'pending' and ready <= {ts:now} and (target is null or target {not_in:busy})
    order by ready, id limit :limit
    """,
)
NEXT = sql("automations.next_action", datetime, "select min(ready) from automation_action where state = 'pending'")
TAKE = sql(
    "automations.take_action",
    None,
    """
    update automation_action set attempts = attempts + 1, ready = :until
    where id = :id and state = 'pending' and attempts = :attempts
    """,
)
HAVE = sql(
    "automations.have_action",
    int,
    "select 1 from automation_action where id = :id and state = 'pending' and attempts = :attempts {for_update}",
)
END = sql(
    "automations.end_action",
    None,
    """
    update automation_action set state = :state, ended = :now, attempts = :tried
    where id = :id and state = 'pending' and attempts = :attempts
    """,
)
SWEEP = sql("automations.sweep_actions", None, "delete from automation_action where ended < {ts:before}")


def due(tx: Tx, busy: list[str], limit: int) -> list[Due]:
    """Actions to be done now, the oldest first, but those of `busy` targets."""
    return tx.all(DUE, now=clock.now(), busy=busy, limit=limit)


def take(tx: Tx, action: Due, until: datetime) -> bool:
    """Say that it is being done; after `until` others may think that whoever took it has died."""
    return tx.run(TAKE, id=action.id, attempts=action.attempts, until=until) == 1


def have(tx: Tx, action: Due) -> bool:
    """Keep it for this transaction, if nobody has done it: who comes second waits for the row, and sees that."""
    return tx.one(HAVE, id=action.id, attempts=action.attempts) is not None


def end_ours(tx: Tx, action: Due, done: Done) -> None:
    """Say what came of an action that this transaction has."""
    tried = action.attempts + 1
    tx.put(END, id=action.id, attempts=action.attempts, tried=tried, state=_state(done), now=clock.now())
    events.emit_all(tx, told(action.invocation, done))


def end(tx: Tx, id: str, attempts: int, invocation: Invocation, done: Done) -> bool:
    """Say what came of it; False, and nothing is said, if somebody else took it meanwhile."""
    if not tx.run(END, id=id, attempts=attempts, tried=attempts, state=_state(done), now=clock.now()):
        return False
    events.emit_all(tx, told(invocation, done))
    return True


def _state(done: Done) -> str:
    return "done" if done.reason is None else "failed"


def sweep(tx: Tx, now: datetime) -> int:
    return tx.run(SWEEP, before=now - KEPT_FOR)


def told(invocation: Invocation, done: Done) -> list[Event]:
    """`prefect.automation.action.triggered`, and `.executed` or `.failed`."""
    resource = automation_resource(invocation.automation) | {"prefect.trigger-type": invocation.trigger_type}
    if invocation.posture is not None:
        resource["prefect.posture"] = invocation.posture
    cause = {
        RESOURCE_ID: f"prefect.event.{invocation.triggered_event_id}",
        RESOURCE_ROLE: "automation-triggered-event",
    }
    related = [*done.related, cause, *caused_by(invocation.triggering_event)]
    details: dict[str, Any] = {
        "action_index": invocation.action_index,
        "action_type": kind_of(invocation.action),
        "invocation": invocation.id,
    }
    triggered = Event(
        occurred=invocation.triggered,
        event="prefect.automation.action.triggered",
        resource=resource,
        related=related,
        payload=details,
        follows=_followed(invocation),
    )
    reason = {} if done.reason is None else {"reason": done.reason}
    ended = Event(
        occurred=clock.now(),
        event=f"prefect.automation.action.{'executed' if done.reason is None else 'failed'}",
        resource=resource,
        related=related,
        payload={**details, **reason, **done.details},
        follows=triggered.id,
    )
    return [triggered, ended]


class Kind(Struct):
    type: str


def kind_of(action: Raw) -> str:
    return decode(action, Kind).type


def _followed(invocation: Invocation) -> str | None:
    event = event_of(invocation)
    if event is None or abs(invocation.triggered - event.occurred) >= FOLLOWS_WITHIN:
        return None
    return event.id
