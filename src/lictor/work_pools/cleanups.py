"""What workers are asked to tidy up: rows, so that no message is lost and any server can deliver it.

    queue ──▶ open ──reserve──▶ held, with a token, until its lease expires ──ack──▶ ended, ACKED
               ▲                            │
               └──── release, or the lease expires ────┘     after the last delivery: ended, DEAD

A message is delivered to one worker of its pool at a time, and to a worker that serves the message's queue rather than
to another. Who acknowledges, releases or renews it must know its token; who comes too late is told why.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.flow_runs.store import Subject
from lictor.kit import clock, ids

TOPIC = "worker_cleanups"

CANCELLING_TIMEOUT = "cancelling_timeout_teardown.v1"
PENDING_CLAIM = "pending_claim_teardown.v1"
KINDS = (CANCELLING_TIMEOUT, PENDING_CLAIM)

LAST_DELIVERY = "max_delivery_attempts_reached"
KEPT_FOR = timedelta(days=7)
"""Messages that have ended are known for so long, so that nothing is asked for twice."""

Operation = Literal["ack", "release", "renew"]
Outcome = Literal[
    "accepted", "not_current", "not_found", "expired", "invalid_token", "unauthorized", "dead_lettered", "error"
]


class Policy(Struct, frozen=True):
    """For how many seconds a worker holds a message, and how often it is delivered at most."""

    lease_seconds: float = 30.0
    deliveries: int = 3


class Holder(Struct, frozen=True):
    """A worker that takes messages: of which pool and kinds, which queues it serves, and how many at a time."""

    id: str
    pool_id: str
    kinds: tuple[str, ...]
    queue_ids: tuple[str, ...]
    most: int


class Message(Struct):
    """A message that is held."""

    message_id: str
    kind: str
    reservation_token: str
    lease_expires_at: datetime
    delivery_count: int
    work_queue_id: str | None
    target: dict[str, Any]
    data: dict[str, Any]


class Result(Struct):
    """What became of an operation; every one but an accepted one has a reason."""

    message_id: str
    operation: Operation
    status: Outcome
    lease_expires_at: datetime | None = None
    reason: str | None = None


class Held(Struct):
    work_pool_id: str
    deliveries: int
    token: str | None
    lease_expires: datetime | None
    ended: datetime | None


QUEUE = sql(
    "cleanups.queue",
    None,
    """
    insert into worker_cleanup (id, created, work_pool_id, work_queue_id, kind, idempotency_key, target, data)
    values (:id, :now, :pool_id, :queue_id, :kind, :key, :target, :data)
    on conflict (work_pool_id, idempotency_key) do nothing
    """,
)
_OPEN = """
    c.work_pool_id = {uuid:pool_id} and c.ended is null and c.kind {in:kinds}
    and (c.token is null or c.lease_expires <= {ts:now}) and c.deliveries < :deliveries"""
WAITING = sql("cleanups.waiting", int, f"select 1 from worker_cleanup c where {_OPEN} limit 1")
COUNT_HELD = sql(
    "cleanups.count_held",
    int,
    """
    select count(*) from worker_cleanup c where c.work_pool_id = {uuid:pool_id} and c.ended is null
    and c.holder = :holder and c.lease_expires > {ts:now}
    """,
)
RESERVE = sql(
    "cleanups.reserve",
    Message,
    f"""
    update worker_cleanup set
        deliveries = deliveries + 1, token = :token, holder = :holder, lease_expires = {{ts:expires}}
    where id = (
        select c.id from worker_cleanup c where {_OPEN}
        order by case when c.work_queue_id {{in:queue_ids:uuid}} then 0 else 1 end, c.created, c.id
        limit 1 {{skip_locked}}
    )
    returning id, kind, token, lease_expires, deliveries, work_queue_id, target, data
    """,
)
LOCK = sql(
    "cleanups.lock",
    Held,
    "select work_pool_id, deliveries, token, lease_expires, ended from worker_cleanup where id = :id {for_update}",
)
END = sql(
    "cleanups.end",
    None,
    "update worker_cleanup set ended = {ts:now}, outcome = :outcome, token = null, lease_expires = null where id = :id",
)
FREE = sql("cleanups.free", None, "update worker_cleanup set token = null, lease_expires = null where id = :id")
RENEW = sql("cleanups.renew", None, "update worker_cleanup set lease_expires = {ts:expires} where id = :id")
_USED_UP = "ended is null and deliveries >= :deliveries and (token is null or lease_expires <= {ts:now})"
BURY = sql(
    "cleanups.bury",
    None,
    f"""
    update worker_cleanup set ended = {{ts:now}}, outcome = 'DEAD', token = null, lease_expires = null
    where {_USED_UP}
    """,
)
TO_SETTLE = sql(
    "cleanups.to_settle", int, f"select 1 from worker_cleanup where ended < {{ts:before}} or ({_USED_UP}) limit 1"
)
FORGET = sql("cleanups.forget", None, "delete from worker_cleanup where ended < {ts:before}")


def after_cancelling_timeout(tx: Tx, subject: Subject) -> None:
    """Ask a worker to stop what is left of a run that was CANCELLING for too long, if workers have to do with it."""
    around, state = subject.around, subject.state
    if around.work_pool_id is None or state is None or (around.work_pool_type or "").endswith((":push", ":managed")):
        return
    queue_cleanup(
        tx,
        pool_id=around.work_pool_id,
        queue_id=around.work_queue_id,
        kind=CANCELLING_TIMEOUT,
        key=f"{CANCELLING_TIMEOUT}:{subject.run.id}:{state.id}",
        target={"flow_run_id": subject.run.id, "infrastructure_pid": subject.run.infrastructure_pid},
    )


def queue_cleanup(tx: Tx, *, pool_id: str, queue_id: str | None, kind: str, key: str, target: dict[str, Any]) -> None:
    """Have a message delivered to a worker of the pool; one of the same key is delivered once."""
    now = clock.now()
    tx.run(QUEUE, id=ids.new(), now=now, pool_id=pool_id, queue_id=queue_id, kind=kind, key=key, target=target, data={})
    tx.tell(TOPIC)


def waiting(tx: Tx, policy: Policy, holder: Holder) -> bool:
    """Whether there is a message for this worker."""
    return tx.value(WAITING, **_open(policy, holder)) is not None


def reserve(tx: Tx, policy: Policy, holder: Holder) -> Message | None:
    """The next message for a worker that has room for one; it is held until its lease expires."""
    now = clock.now()
    if tx.value(COUNT_HELD, pool_id=holder.pool_id, holder=holder.id, now=now) >= holder.most:
        return None
    return tx.one(
        RESERVE,
        **_open(policy, holder),
        queue_ids=list(holder.queue_ids),
        token=secrets.token_urlsafe(32),
        holder=holder.id,
        expires=_lease(policy, now),
    )


def _open(policy: Policy, holder: Holder) -> dict[str, Any]:
    kinds: Sequence[str] = list(holder.kinds)
    return {"pool_id": holder.pool_id, "kinds": kinds, "deliveries": policy.deliveries, "now": clock.now()}


def _lease(policy: Policy, now: datetime) -> datetime:
    return now + timedelta(seconds=policy.lease_seconds)


def settle(tx: Tx, policy: Policy, pool_id: str, operation: Operation, message_id: str, token: str) -> Result:
    """Do what a worker asks about a message that it holds."""
    result = Result(message_id, operation, "accepted")
    now = clock.now()
    held = tx.one(LOCK, id=message_id)
    result.status, result.reason = _standing(held, pool_id, token, now)
    if held is None or result.status not in ("accepted", "expired"):
        return result
    tx.tell(TOPIC)
    last = held.deliveries >= policy.deliveries
    if result.status == "accepted" and operation == "renew":
        result.lease_expires_at = _lease(policy, now)
        tx.run(RENEW, id=message_id, expires=result.lease_expires_at)
    elif result.status == "accepted" and operation == "ack":
        tx.run(END, id=message_id, now=now, outcome="ACKED")
    elif last:
        tx.run(END, id=message_id, now=now, outcome="DEAD")
        result.status, result.reason = "dead_lettered", LAST_DELIVERY
    else:
        tx.run(FREE, id=message_id)
    return result


def _standing(held: Held | None, pool_id: str, token: str, now: datetime) -> tuple[Outcome, str | None]:
    """Whether who knows this token holds the message."""
    if held is None or held.ended is not None:
        return "not_found", "message_not_found"
    if held.work_pool_id != pool_id:
        return "unauthorized", "work_pool_mismatch"
    if held.token is None or held.lease_expires is None:
        return "not_current", "no_active_reservation"
    if not secrets.compare_digest(held.token, token):
        return "invalid_token", "reservation_token_mismatch"
    return ("accepted", None) if held.lease_expires > now else ("expired", "lease_expired")


def any_to_settle(tx: Tx, policy: Policy) -> bool:
    """Whether `reconcile` has something to do."""
    now = clock.now()
    return tx.value(TO_SETTLE, now=now, before=now - KEPT_FOR, deliveries=policy.deliveries) is not None


def reconcile(tx: Tx, policy: Policy) -> int:
    """Give up messages whose last delivery led nowhere (how many), and forget those that ended long ago."""
    now = clock.now()
    tx.run(FORGET, before=now - KEPT_FOR)
    return tx.run(BURY, now=now, deliveries=policy.deliveries)
