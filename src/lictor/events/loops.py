"""Retention: events that are older than the settings allow are deleted, some at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from lictor.db import Database, Tx, space, sql
from lictor.events import tallies
from lictor.events.types import RESOURCE_ID, Labels
from lictor.kit import clock
from lictor.loops import Service

PAGES_AT_ONCE = 500


class Old(Struct):
    """What must be known of an event to delete it with its resources."""

    position: int
    occurred: datetime
    event: str
    resource_id: str
    related: list[Labels]


OLD = sql(
    "events.old",
    Old,
    """
    select e.position, e.occurred, e.event, e.resource_id, e.related from events e where e.occurred < {ts:before}
    order by e.occurred limit :limit
    """,
)
OLD_OF_TYPE = sql(
    "events.old_of_type",
    Old,
    """
    select e.position, e.occurred, e.event, e.resource_id, e.related from events e
    where e.event = {text:event} and e.occurred < {ts:before} order by e.occurred limit :limit
    """,
)
DELETE = sql("events.delete", None, "delete from events where position {in:positions:bigint}")
# By resource and time, as the key has it: an index by position would be paid for with every event.
DELETE_RESOURCES = sql(
    "events.delete_resources",
    None,
    """
    delete from event_resources
    where resource_id = {text:resource_id} and occurred >= {ts:first} and occurred <= {ts:last}
        and position {in:positions:bigint}
    """,
)


class Retention(Struct, frozen=True):
    """How long events are kept, and those of some types, if that is shorter."""

    period: timedelta
    of_types: Mapping[str, timedelta] = {}

    def limits(self, now: datetime) -> list[tuple[str | None, datetime]]:
        """Before when events of a type are deleted, then (None) all others."""
        shorter = {event: period for event, period in self.of_types.items() if period < self.period}
        return [*((event, now - period) for event, period in sorted(shorter.items())), (None, now - self.period)]


class EventRetention(Service):
    """Deletes the oldest events first, a batch in a transaction, so that writers never wait long."""

    name = "event-retention"

    def __init__(self, db: Database, retention: Retention, *, batch: int = 200, interval: float = 3600.0) -> None:
        super().__init__(interval)
        self._db = db
        self._retention = retention
        self.batch = self._size = batch

    async def run_once(self) -> int:
        now = clock.now()
        if not await self._db.read(due, self._retention, now):
            return await self._db.write(space.give_back, PAGES_AT_ONCE)
        return await self._db.write(sweep, self._retention, now, self._size)


def due(tx: Tx, retention: Retention, now: datetime) -> bool:
    return any(old(tx, event, before, 1) for event, before in retention.limits(now))


def sweep(tx: Tx, retention: Retention, now: datetime, limit: int) -> int:
    """Delete up to `limit` events whose time is over, with their resources; how many went."""
    gone = 0
    for event, before in retention.limits(now):
        gone += delete(tx, old(tx, event, before, limit - gone))
        if gone >= limit:
            break
    return gone


def old(tx: Tx, event: str | None, before: datetime, limit: int) -> list[Old]:
    if event is None:
        return tx.all(OLD, before=before, limit=limit)
    return tx.all(OLD_OF_TYPE, event=event, before=before, limit=limit)


def delete(tx: Tx, events: list[Old]) -> int:
    if not events:
        return 0
    tallied = tallies.forget(tx, events)
    gone = _delete(tx, events)
    tallies.narrow(tx, tallied)
    return gone


def _delete(tx: Tx, events: list[Old]) -> int:
    concerning: dict[str, list[Old]] = defaultdict(list)
    for event in events:
        for resource_id in {event.resource_id, *(labels[RESOURCE_ID] for labels in event.related)}:
            concerning[resource_id].append(event)
    # In one order everywhere: two rounds at once must not wait for each other in a ring.
    rows = [
        {
            "resource_id": resource_id,
            "first": min(event.occurred for event in concerning[resource_id]),
            "last": max(event.occurred for event in concerning[resource_id]),
            "positions": [event.position for event in concerning[resource_id]],
        }
        for resource_id in sorted(concerning)
    ]
    tx.many(DELETE_RESOURCES, rows)
    return tx.run(DELETE, positions=[event.position for event in events])
