"""Limits themselves: making, changing and deleting them, with the events that tell of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from lictor.concurrency import store
from lictor.concurrency.types import (
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    GlobalConcurrencyLimitResponse,
    LimitPage,
    LimitRow,
    MinimalConcurrencyLimitResponse,
)
from lictor.db import Tx
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, Event
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound

FIRST_OCCUPANCY = 2.0
"""Seconds: how long slots of a new limit are taken to be held."""


def find(tx: Tx, id_or_name: str) -> LimitRow | None:
    """The limit of an id or a name; a name that looks like an id is not found, as in the reference."""
    live = store.moment(clock.now())
    try:
        id = str(uuid.UUID(id_or_name))
    except ValueError:
        return tx.one(store.FIND_BY_NAME, name=id_or_name, **live)
    return tx.one(store.FIND, id=id, **live)


def get(tx: Tx, id_or_name: str) -> LimitRow:
    limit = find(tx, id_or_name)
    if limit is None:
        raise NotFound("Concurrency Limit not found")
    return limit


def read(tx: Tx, id_or_name: str) -> GlobalConcurrencyLimitResponse:
    return response(get(tx, id_or_name))


def page(tx: Tx, asked: LimitPage) -> list[GlobalConcurrencyLimitResponse]:
    """Limits by name."""
    live = store.moment(clock.now())
    return [response(limit) for limit in tx.all(store.PAGE, limit=asked.limit, offset=asked.offset, **live)]


def active(tx: Tx) -> list[LimitRow]:
    """The limits that hold, by name."""
    return tx.all(store.ACTIVE, **store.moment(clock.now()))


def response(limit: LimitRow) -> GlobalConcurrencyLimitResponse:
    return GlobalConcurrencyLimitResponse(
        limit.id,
        limit.created,
        limit.updated,
        limit.active,
        limit.name,
        limit.limit,
        limit.taken(clock.now()),
        limit.slot_decay_per_second,
    )


def minimal(limits: list[LimitRow]) -> list[MinimalConcurrencyLimitResponse]:
    return [MinimalConcurrencyLimitResponse(limit.id, limit.name, limit.limit) for limit in limits]


def insert(tx: Tx, new: ConcurrencyLimitV2Create) -> LimitRow:
    """Raises Conflict when the name is taken."""
    now = clock.now()
    counted = {"active_slots": float(new.active_slots), "denied_slots": float(new.denied_slots)}
    given = msgspec.structs.asdict(new) | counted
    limit = LimitRow(
        id=ids.new(),
        created=now,
        updated=now,
        avg_slot_occupancy_seconds=FIRST_OCCUPANCY,
        leased=0,
        standing=0,
        **given,
    )
    if not store.insert(tx, limit):
        raise Conflict
    events.emit(tx, changed("created", limit))
    return limit


def update(tx: Tx, id_or_name: str, patch: ConcurrencyLimitV2Update) -> None:
    limits, now = store.lock(tx, [get(tx, id_or_name).id])
    if not limits:
        raise NotFound("Concurrency Limit not found")
    (old,) = limits
    given = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET}
    if None in given.values():
        raise Conflict()
    new = msgspec.structs.replace(old, active_slots=old.unheld(now), **_columns(given))
    taken = given.get("active_slots", new.active_slots + (0 if old.decays else old.leased))
    # Leased slots are counted with the rest where they decay, and by their leases where they do not.
    new.active_slots = float(taken - (0 if new.decays else _leased(tx, old, taken, now)))
    store.write(tx, new, now)
    events.emit(tx, changed("updated", new))


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "active_slots"}


def _leased(tx: Tx, limit: LimitRow, taken: float, now: datetime) -> int:
    """How many slots are leased, once it is so that only `taken` are taken: the newest leases no longer count."""
    leased = 0
    for one in tx.all(store.LIVE_SLOTS, id=limit.id, **store.moment(now)) if limit.leased else []:
        if leased + one.slots <= taken:
            leased += one.slots
        else:
            tx.run(store.UNCOUNT, limit_id=limit.id, lease_id=one.lease_id)
    return leased


def delete(tx: Tx, id_or_name: str) -> None:
    limit = get(tx, id_or_name)
    if not tx.run(store.DELETE, id=limit.id):
        raise NotFound("Concurrency Limit not found")
    events.emit(tx, changed("deleted", limit))


def changed(action: str, limit: LimitRow) -> Event:
    """The event `prefect.concurrency-limit.created`, `.updated` or `.deleted`."""
    return Event(
        occurred=clock.now(),
        event=f"prefect.concurrency-limit.{action}",
        resource={RESOURCE_ID: f"prefect.concurrency-limit.{limit.id}", RESOURCE_NAME: limit.name},
        payload={
            "name": limit.name,
            "limit": limit.limit,
            "active": limit.active,
            "slot_decay_per_second": limit.slot_decay_per_second,
        },
    )
