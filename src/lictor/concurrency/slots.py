"""Taking slots and giving them back.

What is taken of a limit is counted, not kept: the slots of its live leases, and those that were taken without a lease.
Whoever takes slots holds the limits' rows locked, looks, and inserts a lease; so there is never one holder too many.

A lease that has expired still stands there, and whoever had it may renew it late. That is right because who needs its
slot, and finds room only because it has expired, deletes it first.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from lictor.concurrency import store
from lictor.concurrency.store import LeaseSlots
from lictor.concurrency.types import TAG, HolderType, LimitRow, Mode, decayed, whole
from lictor.db import LostRace, Tx
from lictor.kit import ids
from lictor.kit.errors import Unprocessable
from lictor.states.waits import clamped_poisson

SHORTEST = 0.1
"""Seconds: the least that a slot counts as held, however short it was."""

SAMPLES_PER_SLOT = 2

SOON = 1.0
PER_SECOND = 50
"""Few wait a second at most, however long slots are held on average; so many turned away make it a second longer."""


class Waits(Struct, frozen=True):
    """The longest that a client is told to wait for a slot, in seconds: of a tag's limit, and of any other."""

    tag: float = 10.0
    other: float = 30.0

    def longest(self, name: str) -> float:
        return self.tag if name.startswith(TAG) else self.other


class Claim(Struct, frozen=True):
    """Who wants a lease, and for how many seconds; None is until its holder has ended."""

    seconds: float | None
    holder_type: HolderType | None = None
    holder_id: str | None = None


class Taken(Struct, frozen=True):
    """The limits that were found, and the lease; without a claim its id is one of `nothing`."""

    limits: list[LimitRow]
    lease_id: str


class Full(Struct, frozen=True):
    """There was no room: when to try again, in seconds."""

    retry_after: float


def take(tx: Tx, waits: Waits, names: list[str], slots: int, mode: Mode, claim: Claim | None) -> Taken | Full:
    """Take so many slots of each active limit of these names, or none at all; 422 for what can never be had."""
    limits, now = store.lock_named(tx, names)
    active = [limit for limit in limits if limit.active]
    _check(active, slots, mode)
    lease_id = acquire(tx, waits, active, slots, claim, now)
    if lease_id is None:
        return Full(_deny(tx, waits, active, slots, now))
    return Taken(limits, lease_id)


def _check(limits: list[LimitRow], slots: int, mode: Mode) -> None:
    if any(limit.limit < slots for limit in limits):
        raise Unprocessable("Slots requested is greater than the limit")
    steady = ",".join(limit.name for limit in limits if not limit.decays)
    if mode == "rate_limit" and steady:
        raise Unprocessable(
            "Only concurrency limits with slot decay can be used for rate limiting. "
            f"The following limits do not have a decay configured: {steady!r}"
        )


def acquire(tx: Tx, waits: Waits, limits: list[LimitRow], slots: int, claim: Claim | None, now: datetime) -> str | None:
    """The id of the new lease, which without a claim is `nothing`; None if a limit is full. The limits are locked."""
    if any(limit.taken(now) + slots > limit.limit for limit in limits):
        return None
    _forget_lapsed(tx, waits, limits, slots, now)
    for limit in limits:
        counted = slots if claim is None or limit.decays else 0
        _rebase(limit, waits, now)
        limit.active_slots += counted
        store.write(tx, limit, now)
    return insert_lease(tx, limits, slots, claim, now) if claim and limits else nothing()


def nothing() -> str:
    """The id of a lease on nothing. It is not stored: renewing it always succeeds, and ending it changes nothing.

    Every task with tags asks for a lease, and few tags have a limit. Its version (8, "custom") tells it from others.
    """
    id = ids.new4()
    return f"{id[:14]}8{id[15:]}"


def is_nothing(lease_id: str) -> bool:
    return lease_id[14] == "8"


def insert_lease(tx: Tx, limits: list[LimitRow], slots: int, claim: Claim, now: datetime) -> str:
    """The id of a new lease on so many slots of each of these limits, whether there is room or not."""
    id = ids.new()
    expires = None if claim.seconds is None else now + timedelta(seconds=claim.seconds)
    holder = {"holder_type": claim.holder_type, "holder_id": claim.holder_id}
    tx.put(store.INSERT_LEASE, id=id, created=now, expires=expires, **holder)
    tx.many(store.INSERT_SLOTS, [{"limit_id": limit.id, "lease_id": id, "slots": slots} for limit in limits])
    return id


def _forget_lapsed(tx: Tx, waits: Waits, limits: list[LimitRow], slots: int, now: datetime) -> None:
    """Delete as many leases that are over as there would be no room for, were they renewed beside the new one.

    One that was renewed since the limits were read is not over any more: then there are too few, and all begins anew.
    """
    over = {limit.id: _standing(limit, now) + slots - limit.limit for limit in limits if not limit.decays}
    if all(number <= 0 for number in over.values()):
        return
    lapsed = tx.all(store.LAPSED, ids=[limit.id for limit in limits], **store.moment(now))
    gone: set[str] = set()
    for one in lapsed:
        if over.get(one.limit_id, 0) > 0:
            gone.add(one.lease_id)
            over[one.limit_id] -= one.slots
    ended = tx.all(store.DELETE_LAPSED, ids=list(gone), **store.moment(now))
    if len(ended) < len(gone) or any(number > 0 for number in over.values()):
        raise LostRace
    for limit in limits:
        for one in lapsed:
            if one.limit_id == limit.id and one.lease_id in gone:
                _settle(limit, waits, one, now)


def _standing(limit: LimitRow, now: datetime) -> int:
    return whole(limit.unheld(now)) + limit.standing


def _deny(tx: Tx, waits: Waits, limits: list[LimitRow], slots: int, now: datetime) -> float:
    full = [limit for limit in limits if limit.taken(now) + slots > limit.limit]
    for limit in limits:
        _rebase(limit, waits, now)
    retry_after = max(_until_free(limit, waits, slots) for limit in full)
    for limit in limits:
        limit.denied_slots += slots
        store.write(tx, limit, now)
    return clamped_poisson(retry_after)


def _until_free(limit: LimitRow, waits: Waits, slots: int) -> float:
    """About how long until everybody who was turned away before, and this one, had their turn."""
    waiting = slots + limit.denied_slots
    if limit.decays:
        return waiting / limit.slot_decay_per_second
    # A slot may be free long before the average says: asking is cheap, a slot that stands idle is not.
    longest = min(waits.longest(limit.name), max(SOON, waiting / PER_SECOND))
    return min(min(limit.avg_slot_occupancy_seconds, longest) * waiting / limit.limit, longest)


def _rebase(limit: LimitRow, waits: Waits, now: datetime) -> None:
    """Let what decays decay until now: writing the limit sets the time from which it decays on."""
    seconds = (now - limit.updated).total_seconds()
    rate = limit.slot_decay_per_second
    if not limit.decays:
        rate = 1 / max(SHORTEST, min(limit.avg_slot_occupancy_seconds, waits.longest(limit.name)))
    limit.active_slots = limit.unheld(now)
    limit.denied_slots = decayed(limit.denied_slots, rate, seconds)
    limit.updated = now


def renew(tx: Tx, lease_id: str, seconds: float, now: datetime) -> bool:
    """Whether the lease is still there; it lasts so many seconds from now."""
    return tx.run(store.RENEW, id=lease_id, expires=now + timedelta(seconds=seconds)) > 0


def release(tx: Tx, waits: Waits, lease_ids: list[str], *, lapsed: bool = False) -> int:
    """End leases, and learn from them how long slots are held; with `lapsed` only those that are over. How many."""
    if not lease_ids:
        return 0
    held = tx.all(store.SLOTS_OF, ids=lease_ids)
    limits, now = store.lock(tx, sorted({one.limit_id for one in held}))
    statement, live = (store.DELETE_LAPSED, store.moment(now)) if lapsed else (store.DELETE_LEASES, {})
    ended = set(tx.all(statement, ids=lease_ids, **live))
    for limit in limits:
        for one in held:
            if one.limit_id == limit.id and one.lease_id in ended:
                _settle(limit, waits, one, now)
        store.write(tx, limit, now)
    return len(ended)


def _settle(limit: LimitRow, waits: Waits, lease: LeaseSlots, now: datetime) -> None:
    _rebase(limit, waits, now)
    if not limit.active:
        return
    if limit.decays:
        limit.active_slots = max(0.0, limit.active_slots - lease.slots)
    until = now if lease.expires is None else min(now, lease.expires)
    note_occupancy(limit, (until - lease.created).total_seconds(), lease.slots)


def note_occupancy(limit: LimitRow, seconds: float, slots: int) -> None:
    """Move the average of how long a slot is held, as the reference does: over about two samples for each slot."""
    if limit.limit > 0:
        sample = max(seconds / slots, SHORTEST)
        limit.avg_slot_occupancy_seconds += (sample - limit.avg_slot_occupancy_seconds) / (
            SAMPLES_PER_SLOT * limit.limit
        )


def give_back(tx: Tx, waits: Waits, names: list[str], slots: int, seconds: float | None) -> list[LimitRow]:
    """Give back slots that were taken without a lease; those of a lease are its holder's. Returns the limits."""
    limits, now = store.lock_named(tx, names)
    for limit in limits:
        if limit.active:
            drop(tx, waits, limit, slots, seconds, now)
    return limits


def drop(tx: Tx, waits: Waits, limit: LimitRow, slots: int, seconds: float | None, now: datetime) -> None:
    """The same of one limit, which is locked."""
    _rebase(limit, waits, now)
    limit.active_slots = max(0.0, limit.active_slots - slots)
    if seconds is not None:
        note_occupancy(limit, seconds, slots)
    store.write(tx, limit, now)
