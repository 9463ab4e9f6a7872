"""Limits on tags, as clients before 3.4.10 and `prefect concurrency-limit` know them: each is the limit `tag:<tag>`."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from lictor.concurrency import limits, slots, store
from lictor.concurrency.facts import held_by, named
from lictor.concurrency.slots import Claim, Waits
from lictor.concurrency.types import (
    TAG,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    LimitPage,
    LimitRow,
    MinimalConcurrencyLimitResponse,
)
from lictor.db import LostRace, Tx, sql
from lictor.kit import clock
from lictor.kit.errors import Conflict, Locked, NotFound
from lictor.web import Created, Embedded, FieldError

TAG_PATTERN = "^[^/%&><]*$"


class ConcurrencyLimit(Struct):
    """`active_slots` are the ids of the task runs that hold one."""

    id: str
    created: datetime
    updated: datetime
    tag: str
    concurrency_limit: int
    active_slots: list[str]


class ConcurrencyLimitCreate(Struct, forbid_unknown_fields=True):
    tag: str
    concurrency_limit: int

    def __post_init__(self) -> None:
        # The reference's database is the first to look at these, so they are told when nothing else is wrong.
        if not re.search(TAG_PATTERN, self.tag):
            words, ctx = f"String should match pattern '{TAG_PATTERN}'", {"pattern": TAG_PATTERN}
            raise FieldError(words, field="tag", type="string_pattern_mismatch", ctx=ctx)
        if self.concurrency_limit < 0:
            words = "Input should be greater than or equal to 0"
            raise FieldError(words, field="concurrency_limit", type="greater_than_equal", ctx={"ge": 0})


class TagSlot(Embedded):
    names: list[str]
    task_run_id: UUID


class TagReset(Embedded):
    slot_override: list[UUID] | None = None


class TagHolder(Struct):
    limit_id: str
    task_run_id: str


PAGE = sql(
    "concurrency.page_tags",
    LimitRow,
    f"{store.SELECT} where substr(c.name, 1, 4) = '{TAG}' order by c.name limit :limit offset :offset",
)
HOLDERS = sql(
    "concurrency.tag_holders",
    TagHolder,
    f"""
    select s.limit_id, l.holder_id from concurrency_lease_slot s join concurrency_lease l on l.id = s.lease_id
    where s.limit_id {{in:ids:uuid}} and l.holder_type = 'task_run' and {store.LIVE} order by l.created, l.id
    """,
)
UNCOUNT_ALL = sql("concurrency.uncount_all", None, "delete from concurrency_lease_slot where limit_id = :id")


def page(tx: Tx, asked: LimitPage) -> list[ConcurrencyLimit]:
    """Limits on tags by tag."""
    live = store.moment(clock.now())
    return _shown(tx, tx.all(PAGE, limit=asked.limit, offset=asked.offset, **live))


def read(tx: Tx, id: str) -> ConcurrencyLimit:
    limit = limits.find(tx, id)
    if limit is None or not limit.name.startswith(TAG):
        raise missing()
    return _shown(tx, [limit])[0]


def read_by_tag(tx: Tx, tag: str) -> ConcurrencyLimit:
    return _shown(tx, [_get(tx, tag)])[0]


def insert_or_update(tx: Tx, new: ConcurrencyLimitCreate) -> Created[ConcurrencyLimit]:
    """A new limit on the tag, or the one there is with a new number."""
    name = TAG + new.tag
    found = _find(tx, new.tag)
    if found is None:
        try:
            limits.insert(tx, ConcurrencyLimitV2Create(name=name, limit=new.concurrency_limit))
        except Conflict:
            raise LostRace from None  # somebody else made it meanwhile
    else:
        limits.update(tx, found.id, ConcurrencyLimitV2Update(limit=new.concurrency_limit))
    return Created(read_by_tag(tx, new.tag), found is None)


def delete(tx: Tx, id: str) -> None:
    """Any limit, as in the reference."""
    if limits.find(tx, id) is None:
        raise missing()
    limits.delete(tx, id)


def delete_by_tag(tx: Tx, tag: str) -> None:
    limits.delete(tx, _get(tx, tag).id)


def reset(tx: Tx, tag: str, task_run_ids: list[UUID]) -> None:
    """Free all slots, then give one to each of these task runs, however many the limit allows."""
    found, now = store.lock(tx, [_get(tx, tag).id])
    for limit in found:
        tx.run(UNCOUNT_ALL, id=limit.id)
        limit.active_slots = 0.0
        store.write(tx, limit, now)
        for id in task_run_ids:
            slots.insert_lease(tx, [limit], 1, Claim(None, "task_run", str(id)), now)


def known(tx: Tx, asked: TagSlot) -> int:
    """How many of these tags have a limit: of most tasks none has, and then nothing is written."""
    return store.known(tx, named(asked.names))


def take(tx: Tx, waits: Waits, asked: TagSlot) -> list[MinimalConcurrencyLimitResponse]:
    """A slot of each active limit on these tags, all or none, held by the task run until it ends or gives them back."""
    tags = list(dict.fromkeys(asked.names))
    found, now = store.lock_named(tx, named(tags))
    by_name = {limit.name: limit for limit in found}
    wanted = [by_name[name] for name in named(tags) if name in by_name]
    for limit in wanted:
        if limit.limit == 0:
            tag = limit.name.removeprefix(TAG)
            raise Locked(f'The concurrency limit on tag "{tag}" is 0 and will deadlock if the task tries to run again.')
    active = [limit for limit in wanted if limit.active]
    if slots.acquire(tx, waits, active, 1, Claim(None, "task_run", str(asked.task_run_id)), now) is None:
        tag = active[0].name.removeprefix(TAG)
        raise Locked(f"Concurrency limit for the {tag} tag has been reached", retry_after=waits.tag)
    return [MinimalConcurrencyLimitResponse(one.id, one.name.removeprefix(TAG), one.limit) for one in active]


def give_back(tx: Tx, waits: Waits, asked: TagSlot) -> list[MinimalConcurrencyLimitResponse]:
    """End the leases of the task run on these tags' limits; returns the limits under their own names."""
    slots.release(tx, waits, held_by(tx, asked.names, str(asked.task_run_id)))
    return limits.minimal(tx.all(store.NAMED, names=named(asked.names), **store.moment(clock.now())))


def missing() -> NotFound:
    return NotFound("Concurrency limit not found")


def _find(tx: Tx, tag: str) -> LimitRow | None:
    return tx.one(store.FIND_BY_NAME, name=TAG + tag, **store.moment(clock.now()))


def _get(tx: Tx, tag: str) -> LimitRow:
    limit = _find(tx, tag)
    if limit is None:
        raise missing()
    return limit


def _shown(tx: Tx, found: list[LimitRow]) -> list[ConcurrencyLimit]:
    live = store.moment(clock.now())
    holders: dict[str, list[str]] = {limit.id: [] for limit in found}
    for one in tx.all(HOLDERS, ids=list(holders), **live) if found else []:
        holders[one.limit_id].append(one.task_run_id)
    return [
        ConcurrencyLimit(
            limit.id, limit.created, limit.updated, limit.name.removeprefix(TAG), limit.limit, holders[limit.id]
        )
        for limit in found
    ]
