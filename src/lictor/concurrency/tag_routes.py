"""Concurrency limits on tags, at /api/concurrency_limits."""

from __future__ import annotations

from collections.abc import Awaitable

from lictor.concurrency import tags
from lictor.concurrency.slots import Waits
from lictor.concurrency.tags import ConcurrencyLimit, ConcurrencyLimitCreate, TagReset, TagSlot
from lictor.concurrency.types import LimitPage, MinimalConcurrencyLimitResponse
from lictor.db import Database
from lictor.web import Created, Router

router = Router("/concurrency_limits", tag="Concurrency Limits")


@router.post("/", also=(201,))
def create_concurrency_limit(body: ConcurrencyLimitCreate, db: Database) -> Awaitable[Created[ConcurrencyLimit]]:
    return db.write(tags.insert_or_update, body)


@router.get("/{id:uuid}")
def read_concurrency_limit(id: str, db: Database) -> Awaitable[ConcurrencyLimit]:
    return db.read(tags.read, id)


@router.get("/tag/{tag}")
def read_concurrency_limit_by_tag(tag: str, db: Database) -> Awaitable[ConcurrencyLimit]:
    return db.read(tags.read_by_tag, tag)


@router.post("/filter")
def read_concurrency_limits(body: LimitPage, db: Database) -> Awaitable[list[ConcurrencyLimit]]:
    return db.read(tags.page, body)


@router.post("/tag/{tag}/reset")
def reset_concurrency_limit_by_tag(tag: str, body: TagReset, db: Database) -> Awaitable[None]:
    return db.write(tags.reset, tag, body.slot_override or [])


@router.delete("/{id:uuid}")
def delete_concurrency_limit(id: str, db: Database) -> Awaitable[None]:
    return db.write(tags.delete, id)


@router.delete("/tag/{tag}")
def delete_concurrency_limit_by_tag(tag: str, db: Database) -> Awaitable[None]:
    return db.write(tags.delete_by_tag, tag)


@router.post("/increment")
async def increment_concurrency_limits_v1(
    body: TagSlot, db: Database, waits: Waits
) -> list[MinimalConcurrencyLimitResponse]:
    return await db.write(tags.take, waits, body) if await db.read(tags.known, body) else []


@router.post("/decrement")
async def decrement_concurrency_limits_v1(
    body: TagSlot, db: Database, waits: Waits
) -> list[MinimalConcurrencyLimitResponse]:
    return await db.write(tags.give_back, waits, body) if await db.read(tags.known, body) else []
