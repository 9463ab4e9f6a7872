"""The statements that read and write limits and leases."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from lictor.concurrency.types import LimitRow
from lictor.db import Tx, sql
from lictor.kit import clock

STORED = frozenset(LimitRow.__struct_fields__) - {"created", "leased", "standing"}

# A holder is recorded a little after it takes its first slot. One that is not there after this time was deleted.
RECORDED_WITHIN = timedelta(minutes=5)


class LeaseSlots(Struct):
    """What one lease holds of one limit."""

    lease_id: str
    limit_id: str
    slots: int
    created: datetime
    expires: datetime | None


# A lease is over when it has expired, or when its holder has ended since it was taken; and one without end also when
# its holder is gone. Who asks gives :now and :gone_before.
LIVE = """
    (l.expires is null or l.expires > :now)
    and not exists (
        select 1 from task_run t where t.id = l.holder_id and l.holder_type = 'task_run'
        and t.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') and t.state_timestamp >= l.created
    )
    and not exists (
        select 1 from flow_run r where r.id = l.holder_id and l.holder_type = 'flow_run'
        and r.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') and r.state_timestamp >= l.created
    )
    and (
        l.expires is not null or l.holder_id is null or l.created > :gone_before
        or exists (select 1 from task_run t where t.id = l.holder_id)
        or exists (select 1 from flow_run r where r.id = l.holder_id)
    )"""

COLUMNS = """
    c.id, c.created, c.updated, c.name, c.active, c."limit", c.active_slots, c.denied_slots,
    c.slot_decay_per_second, c.avg_slot_occupancy_seconds"""

LEASED = f"""
    cast((
        select coalesce(sum(s.slots), 0) from concurrency_lease_slot s join concurrency_lease l on l.id = s.lease_id
        where s.limit_id = c.id and {LIVE}
    ) as {{int_type}})"""

LEASE_SLOTS = """
    s.lease_id, s.limit_id, s.slots, l.created, l.expires
    from concurrency_lease_slot s join concurrency_lease l on l.id = s.lease_id"""

STANDING = """
    cast((
        select coalesce(sum(s.slots), 0) from concurrency_lease_slot s where s.limit_id = c.id
    ) as {int_type})"""

SELECT = f"select {COLUMNS}, {LEASED}, {STANDING} from concurrency_limit_v2 c"

KNOWN = sql("concurrency.known", int, "select count(*) from concurrency_limit_v2 where name {in:names}")
FIND = sql("concurrency.find", LimitRow, f"{SELECT} where c.id = :id")
FIND_BY_NAME = sql("concurrency.find_by_name", LimitRow, f"{SELECT} where c.name = :name")
PAGE = sql("concurrency.page", LimitRow, f"{SELECT} order by c.name limit :limit offset :offset")
ACTIVE = sql("concurrency.active", LimitRow, f"{SELECT} where c.active order by c.name")
NAMED = sql("concurrency.named", LimitRow, f"{SELECT} where c.name {{in:names}} order by c.name")
ALL = sql("concurrency.all", LimitRow, f"{SELECT} where c.id {{in:ids:uuid}} order by c.name")
# Locked in one order, so that those who want several limits at once never wait for each other in a ring.
LOCK = sql(
    "concurrency.lock",
    str,
    "select id from concurrency_limit_v2 where id {in:ids:uuid} order by id {for_update}",
)
LOCK_NAMED = sql(
    "concurrency.lock_named",
    str,
    "select id from concurrency_limit_v2 where name {in:names} order by id {for_update}",
)
INSERT = sql(
    "concurrency.insert",
    None,
    """
    insert into concurrency_limit_v2 (
        id, created, updated, name, active, "limit", active_slots, denied_slots, slot_decay_per_second,
        avg_slot_occupancy_seconds
    ) values (
        :id, :created, :updated, :name, :active, :limit, :active_slots, :denied_slots, :slot_decay_per_second,
        :avg_slot_occupancy_seconds
    )
    on conflict (name) do nothing
    """,
)
UPDATE = sql(
    "concurrency.update",
    None,
    """
    update concurrency_limit_v2 set updated = :updated, name = :name, active = :active, "limit" = :limit,
        active_slots = :active_slots, denied_slots = :denied_slots, slot_decay_per_second = :slot_decay_per_second,
        avg_slot_occupancy_seconds = :avg_slot_occupancy_seconds
    where id = :id
    """,
)
DELETE = sql("concurrency.delete", None, "delete from concurrency_limit_v2 where id = :id")

INSERT_LEASE = sql(
    "concurrency.insert_lease",
    None,
    """
    insert into concurrency_lease (id, created, expires, holder_type, holder_id)
    values (:id, :created, :expires, :holder_type, :holder_id)
    """,
)
INSERT_SLOTS = sql(
    "concurrency.insert_slots",
    None,
    "insert into concurrency_lease_slot (limit_id, lease_id, slots) values (:limit_id, :lease_id, :slots)",
)
SLOTS_OF = sql(
    "concurrency.slots_of",
    LeaseSlots,
    f"select {LEASE_SLOTS} where s.lease_id {{in:ids:uuid}}",
)
# Leases that are over but still there, those first that ended first.
LAPSED = sql(
    "concurrency.lapsed",
    LeaseSlots,
    f"select {LEASE_SLOTS} where s.limit_id {{in:ids:uuid}} and not ({LIVE}) order by l.expires, l.id",
)
LIVE_SLOTS = sql(
    "concurrency.live_slots",
    LeaseSlots,
    f"select {LEASE_SLOTS} where s.limit_id = :id and {LIVE} order by l.created, l.id",
)
UNCOUNT = sql(
    "concurrency.uncount",
    None,
    "delete from concurrency_lease_slot where limit_id = :limit_id and lease_id = :lease_id",
)
# A lease that is there may be renewed, even late: who gave its slot to somebody else deleted it.
RENEW = sql(
    "concurrency.renew",
    None,
    "update concurrency_lease set expires = case when expires is null then null else {ts:expires} end where id = :id",
)
DELETE_LEASES = sql(
    "concurrency.delete_leases", str, "delete from concurrency_lease where id {in:ids:uuid} returning id"
)
DELETE_LAPSED = sql(
    "concurrency.delete_lapsed",
    str,
    f"delete from concurrency_lease as l where l.id {{in:ids:uuid}} and not ({LIVE}) returning id",
)


def known(tx: Tx, names: list[str]) -> int:
    """How many of these names have a limit."""
    return int(tx.value(KNOWN, names=names))


def lock_named(tx: Tx, names: list[str]) -> tuple[list[LimitRow], datetime]:
    """The limits of these names, by name, and the time: until the transaction ends nobody else takes slots of them."""
    return _locked(tx, tx.all(LOCK_NAMED, names=names))


def lock(tx: Tx, limit_ids: list[str]) -> tuple[list[LimitRow], datetime]:
    """Likewise by id."""
    return _locked(tx, tx.all(LOCK, ids=limit_ids) if limit_ids else [])


def _locked(tx: Tx, ids: list[str]) -> tuple[list[LimitRow], datetime]:
    # Read after the lock is held: before it, somebody else's new lease might not be seen.
    now = clock.now()
    return (tx.all(ALL, ids=ids, **moment(now)) if ids else []), now


def moment(now: datetime) -> dict[str, datetime]:
    """The parameters of `LIVE`."""
    return {"now": now, "gone_before": now - RECORDED_WITHIN}


def write(tx: Tx, limit: LimitRow, now: datetime) -> None:
    """Write a limit, whose slots are as they are at `now`."""
    limit.updated = now
    tx.put(UPDATE, **{name: getattr(limit, name) for name in STORED})


def insert(tx: Tx, limit: LimitRow) -> bool:
    """False if the name is taken."""
    return bool(tx.run(INSERT, created=limit.created, **{name: getattr(limit, name) for name in STORED}))
