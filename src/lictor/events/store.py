"""Writing the event log, in the transaction of the change that an event tells of."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from lictor.db import Statement, Tx, sql
from lictor.events import naming
from lictor.events.types import ABOUT, BOTH, RELATED, RESOURCE_ID, Event, Related
from lictor.kit import clock, nul, times

_json = msgspec.json.encode

# Each commit that wrote events tells of it.
TOPIC = "events"

INSERT = sql(
    "events.insert",
    None,
    """
    insert into events (id, occurred, received, event, resource_id, follows, resource, related, payload)
    values (:id, :occurred, :received, :event, :resource_id, :follows, :resource, :related, :payload)
    on conflict (id) do nothing
    """,
)
_KIND = f"case when each.value = %s.resource_id then {{int:own}} else {RELATED} end"
# A resource may stand in one event in several roles; it is found by one row.
INSERT_RESOURCES = sql(
    "events.insert_resources",
    None,
    f"""
    insert into event_resources (resource_id, occurred, position, kind, name)
    select each.value, e.occurred, e.position, {_KIND % "e"}, {{int:name}} from events e, {{each:resource_ids}}
    where e.id = :id
    on conflict do nothing
    """,
)
KNOWN = sql("events.known", str, "select id from events where id {in:ids:uuid}")


def emit(tx: Tx, event: Event, related: Related | None = None) -> None:
    """Write one event of the server's own making, with its own related resources or with these.

    Its id is new, so nothing is read first, and the row that was written last is this event's.
    """
    if related is None:
        related = Related(_json(event.related).decode(), tuple(labels[RESOURCE_ID] for labels in event.related))
    row = _row(event, related.json, times.text(clock.now()))
    own, ids = _concerned(row["resource_id"], related.ids)
    name = naming.of(tx, event.event)
    if tx.dialect.name == "postgres":
        tx.put(_INSERT_BOTH, **row, own=own, name=name, resource_ids=ids)
    elif len(ids) <= len(_IDS):
        tx.put(INSERT, **row)
        few = dict(zip(_IDS, ids, strict=False))
        tx.put(_few_resources(len(ids)), occurred=row["occurred"], own=own, name=name, **few)
    else:
        tx.put(INSERT, **row)
        tx.put(INSERT_RESOURCES, id=event.id, own=own, name=name, resource_ids=ids)
    tx.tell(TOPIC)


def _concerned(about: str, related: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """As what an event concerns the resource that it is about, and all resources, that one first."""
    if about not in related:
        return ABOUT, (about, *related)
    return BOTH, (about, *(id for id in related if id != about))


# PostgreSQL can write both tables in one statement, and half of what a small one costs it is to start and to end it.
_INSERT_BOTH: Statement[Any] = Statement(
    "events.insert_both",
    None,
    f"""
    with written as ({INSERT.text} returning position, occurred, resource_id)
    insert into event_resources (resource_id, occurred, position, kind, name)
    select each.value, written.occurred, written.position, {_KIND % "written"}, {{int:name}}
    from written, {{each:resource_ids}}
    on conflict do nothing
    """,
)
# SQLite knows which row it inserted last; with it, few resources cost half of what a list of them does.
_IDS = ("id1", "id2", "id3", "id4", "id5", "id6", "id7", "id8")


@lru_cache(maxsize=len(_IDS))
def _few_resources(count: int) -> Statement[Any]:
    rows = [f"(:{id}, :occurred, last_insert_rowid(), {RELATED}, :name)" for id in _IDS[1:count]]
    values = ", ".join([f"(:{_IDS[0]}, :occurred, last_insert_rowid(), :own, :name)", *rows])
    columns = "resource_id, occurred, position, kind, name"
    text = f"insert into event_resources ({columns}) values {values} on conflict do nothing"
    return Statement("events.few_resources", None, text)


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
    rows = [_row(event, _json(event.related).decode(), at) for event in events]
    if tx.dialect.name == "postgres":
        # It cannot look into labels that hold a NUL: one such event would fail every question about labels.
        for row in rows:
            row |= {column: nul.without(row[column].encode()).decode() for column in ("resource", "related")}
    tx.many(INSERT, rows)
    tx.many(INSERT_RESOURCES, [_resources(event, naming.of(tx, event.event)) for event in events])
    tx.tell(TOPIC)


def _row(event: Event, related: str, received: str) -> dict[str, Any]:
    return {
        "id": event.id,
        "occurred": times.text(event.occurred),
        "received": received,
        "event": event.event,
        "resource_id": event.resource[RESOURCE_ID],
        "follows": event.follows,
        "resource": _json(event.resource).decode(),
        "related": related,
        "payload": _json(event.payload).decode(),
    }


def _resources(event: Event, name: int) -> dict[str, Any]:
    related = tuple(labels[RESOURCE_ID] for labels in event.related)
    own, ids = _concerned(event.resource[RESOURCE_ID], related)
    return {"id": event.id, "own": own, "name": name, "resource_ids": ids}
