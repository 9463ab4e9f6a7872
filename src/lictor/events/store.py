"""Writing the event log, in the transaction of the change that an event tells of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from lictor.db import Tx, sql
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Event
from lictor.kit import clock, times

_json = msgspec.json.encode

INSERT = sql(
    "events.insert",
    None,
    """
    insert into events (id, occurred, received, event, resource_id, follows, resource, related, payload)
    values (:id, :occurred, :received, :event, :resource_id, :follows, :resource, :related, :payload)
    on conflict (id) do nothing
    """,
)
# A resource may stand in one event twice in the same role; it is found as well by one row.
INSERT_RESOURCE = sql(
    "events.insert_resource",
    None,
    """
    insert into event_resources (resource_id, occurred, event_id, resource_role)
    values (:resource_id, :occurred, :event_id, :resource_role)
    on conflict do nothing
    """,
)
KNOWN = sql("events.known", str, "select id from events where id {in:ids:uuid}")


def emit(tx: Tx, event: Event) -> None:
    """Write one event of the server's own making: its id is new, so nothing is read first."""
    occurred = times.text(event.occurred)
    tx.put(INSERT, **_row(event, occurred, times.text(clock.now())))
    tx.many(INSERT_RESOURCE, _resources(event, occurred))


def emit_all(tx: Tx, events: list[Event]) -> None:
    """Write many events of the server's own making, in this order."""
    _insert(tx, events, clock.now())


def insert(tx: Tx, events: list[Event], received: datetime) -> list[Event]:
    """Write events that came from outside, in this order; returns those that were not there yet (by id)."""
    known = set(tx.all(KNOWN, ids=[event.id for event in events]))
    fresh: dict[str, Event] = {}
    for event in events:
        if event.id not in known:
            fresh.setdefault(event.id, event)
    _insert(tx, list(fresh.values()), received)
    return list(fresh.values())


def _insert(tx: Tx, events: list[Event], received: datetime) -> None:
    if not events:
        return
    at = times.text(received)
    timed = [(event, times.text(event.occurred)) for event in events]
    tx.many(INSERT, [_row(event, occurred, at) for event, occurred in timed])
    tx.many(INSERT_RESOURCE, [row for event, occurred in timed for row in _resources(event, occurred)])


# Instants travel as text: one conversion serves an event and all of its resources, and both databases take it.
def _row(event: Event, occurred: str, received: str) -> dict[str, Any]:
    return {
        "id": event.id,
        "occurred": occurred,
        "received": received,
        "event": event.event,
        "resource_id": event.resource[RESOURCE_ID],
        "follows": event.follows,
        "resource": _json(event.resource).decode(),
        "related": _json(event.related).decode(),
        "payload": _json(event.payload).decode(),
    }


def _resources(event: Event, occurred: str) -> list[dict[str, Any]]:
    event_id = event.id
    rows = [
        (event.resource[RESOURCE_ID], ""),
        *((labels[RESOURCE_ID], labels[RESOURCE_ROLE]) for labels in event.related),
    ]
    return [
        {"resource_id": resource_id, "occurred": occurred, "event_id": event_id, "resource_role": role}
        for resource_id, role in rows
    ]
