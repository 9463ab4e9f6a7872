"""Concurrency limits by name, at /api/v2/concurrency_limits, and the leases on their slots."""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import UUID

from lictor.concurrency import limits, slots, store
from lictor.concurrency.slots import Claim, Full, Taken, Waits
from lictor.concurrency.types import (
    ConcurrencyLimitV2,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    ConcurrencyLimitWithLeaseResponse,
    Decrement,
    DecrementWithLease,
    GlobalConcurrencyLimitResponse,
    Increment,
    IncrementWithLease,
    LimitPage,
    MinimalConcurrencyLimitResponse,
    Mode,
    Renewal,
)
from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.kit.errors import Gone, Locked
from lictor.web import Router

router = Router("/v2/concurrency_limits", tag="Concurrency Limits V2")


@router.post("/", status=201)
def create_concurrency_limit_v2(body: ConcurrencyLimitV2Create, db: Database) -> Awaitable[ConcurrencyLimitV2]:
    return db.write(create, body)


@router.get("/{id_or_name}")
def read_concurrency_limit_v2(id_or_name: str, db: Database) -> Awaitable[GlobalConcurrencyLimitResponse]:
    return db.read(limits.read, id_or_name)


@router.post("/filter")
def read_all_concurrency_limits_v2(body: LimitPage, db: Database) -> Awaitable[list[GlobalConcurrencyLimitResponse]]:
    return db.read(limits.page, body)


@router.patch("/{id_or_name}", status=204)
def update_concurrency_limit_v2(id_or_name: str, body: ConcurrencyLimitV2Update, db: Database) -> Awaitable[None]:
    return db.write(limits.update, id_or_name, body)


@router.delete("/{id_or_name}", status=204)
def delete_concurrency_limit_v2(id_or_name: str, db: Database) -> Awaitable[None]:
    return db.write(limits.delete, id_or_name)


@router.post("/increment")
async def bulk_increment_active_slots(
    body: Increment, db: Database, waits: Waits
) -> list[MinimalConcurrencyLimitResponse]:
    return limits.minimal((await _take(db, waits, body.names, body.slots, body.mode, None)).limits)


@router.post("/increment-with-lease")
async def bulk_increment_active_slots_with_lease(
    body: IncrementWithLease, db: Database, waits: Waits
) -> ConcurrencyLimitWithLeaseResponse:
    holder = body.holder
    claim = Claim(body.lease_duration, *(() if holder is None else (holder.type, str(holder.id))))
    taken = await _take(db, waits, body.names, body.slots, body.mode, claim)
    return ConcurrencyLimitWithLeaseResponse(taken.lease_id, limits.minimal(taken.limits))


@router.post("/decrement")
async def bulk_decrement_active_slots(
    body: Decrement, db: Database, waits: Waits
) -> list[MinimalConcurrencyLimitResponse]:
    return limits.minimal(
        await db.write(slots.give_back, waits, body.names, body.slots, body.occupancy_seconds),
    )


@router.post("/decrement-with-lease", status=204)
async def bulk_decrement_active_slots_with_lease(body: DecrementWithLease, db: Database, waits: Waits) -> None:
    lease_id = str(body.lease_id)
    if not slots.is_nothing(lease_id):
        await db.write(slots.release, waits, [lease_id])


@router.post("/leases/{lease_id}/renew", status=204)
async def renew_concurrency_lease(lease_id: UUID, body: Renewal, db: Database) -> None:
    id = str(lease_id)
    if not (slots.is_nothing(id) or await db.write(slots.renew, id, body.lease_duration, clock.now())):
        raise Gone("Lease not found - it may have expired or been revoked")


def create(tx: Tx, new: ConcurrencyLimitV2Create) -> ConcurrencyLimitV2:
    limit = limits.insert(tx, new)
    shown = limits.response(limit)
    return ConcurrencyLimitV2(
        id=limit.id,
        created=limit.created,
        updated=limit.updated,
        active=limit.active,
        name=limit.name,
        limit=limit.limit,
        active_slots=shown.active_slots,
        denied_slots=new.denied_slots,
        slot_decay_per_second=limit.slot_decay_per_second,
        avg_slot_occupancy_seconds=limit.avg_slot_occupancy_seconds,
    )


async def _take(db: Database, waits: Waits, names: list[str], count: int, mode: Mode, claim: Claim | None) -> Taken:
    # Every task with tags asks, and few tags have a limit: the writer is not bothered for those that have none.
    if not await db.read(store.known, names):
        return Taken([], slots.nothing())
    taken = await db.write(slots.take, waits, names, count, mode, claim)
    if isinstance(taken, Full):
        # Raised out here: how many were turned away is written, so the transaction must not fail.
        raise Locked(retry_after=taken.retry_after)
    return taken
