"""Which background task runs wait for a worker, and which connection has which: rows, so that any server can deliver.

    deferred and SCHEDULED ──enqueue──▶ waiting ──claim──▶ held by a connection ──acknowledge──▶ gone
                                           ▲                        │
                                           └── the connection ends, or its server stops saying that it is there

A task run is sent to a worker while it is held, and the worker begins it only after its acknowledgement: so it runs
once. An acknowledgement that is lost on the way, because the server dies, is made good by what the worker does next: a
task run that is no longer SCHEDULED is not delivered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from lictor.db import Tx, sql
from lictor.kit import clock
from lictor.states.types import SCHEDULED
from lictor.task_runs import store
from lictor.task_runs.types import TaskRun

TOPIC = "background_tasks"

SEEN_EVERY = 10.0
"""Seconds: how often a server says of its connections that they are there."""

LOST_AFTER = timedelta(seconds=30)
"""A connection of which its server has said nothing for so long is gone, and so is the server."""


class Connection(Struct, frozen=True):
    """A worker that is connected, and which tasks it runs."""

    id: str
    client_id: str
    task_keys: tuple[str, ...]


# Whoever retries goes first; where the retry is to wait, it waits here. The rest is in the order of its coming.
ENQUEUE = sql(
    "task_runs.enqueue",
    None,
    """
    insert into task_delivery (task_run_id, task_key, retry, enqueued, due)
    select id, task_key, :retry, {ts:now},
        case when :retry and next_scheduled_start_time > {ts:now} then next_scheduled_start_time else {ts:now} end
    from task_run where id = :id
    on conflict (task_run_id) do update set
        retry = excluded.retry, enqueued = excluded.enqueued, due = excluded.due, held_by = null
    """,
)
_WAITING = """
    from task_delivery d where d.task_key {in:keys} and d.due <= {ts:now} and (
        d.held_by is null
        or not exists (select 1 from task_worker w where w.id = d.held_by and w.seen > {ts:lost_before})
    )"""
WAITING = sql("task_runs.waiting", int, f"select 1 {_WAITING} limit 1")
CLAIM = sql(
    "task_runs.claim",
    str,
    f"""
    update task_delivery set held_by = :connection_id where task_run_id = (
        select d.task_run_id {_WAITING} order by d.retry desc, d.enqueued, d.task_run_id limit 1 {{skip_locked}}
    ) returning task_run_id
    """,
)
ACKNOWLEDGE = sql(
    "task_runs.acknowledge", None, "delete from task_delivery where task_run_id = :id and held_by = :connection_id"
)
WITHDRAW = sql("task_runs.withdraw", None, "delete from task_delivery where task_run_id = :id")
SEEN = sql(
    "task_runs.worker_seen",
    None,
    """
    insert into task_worker (id, client_id, task_keys, seen) values (:id, :client_id, :task_keys, {ts:now})
    on conflict (id) do update set seen = excluded.seen
    """,
)
GONE = sql("task_runs.worker_gone", None, "delete from task_worker where id = :id")
FORGET = sql("task_runs.forget_workers", None, "delete from task_worker where seen < {ts:before}")


def enqueue(tx: Tx, run_id: str, retry: bool, now: datetime) -> None:
    """Offer a task run to workers; one that is offered already is offered anew."""
    tx.run(ENQUEUE, id=run_id, retry=retry, now=now)
    tx.tell(TOPIC)


def waiting(tx: Tx, keys: Sequence[str]) -> bool:
    """Whether there is a task run for somebody who runs these tasks."""
    return tx.value(WAITING, keys=list(keys), **_moment()) is not None


def claim(tx: Tx, connections: Sequence[Connection]) -> dict[str, TaskRun]:
    """At most one task run for each of these connections, by its id; those that are first choose first."""
    claimed: dict[str, TaskRun] = {}
    for connection in connections:
        run = _claim_one(tx, connection)
        if run is not None:
            claimed[connection.id] = run
    return claimed


def _claim_one(tx: Tx, connection: Connection) -> TaskRun | None:
    keys = list(connection.task_keys)
    while (run_id := tx.one(CLAIM, keys=keys, connection_id=connection.id, **_moment())) is not None:
        run = tx.one(store.FIND, id=run_id)
        if run is not None and run.state_type == SCHEDULED:
            return run
        tx.run(WITHDRAW, id=run_id)
    return None


def acknowledge(tx: Tx, connection: Connection, run_id: str) -> None:
    """The worker has the task run and will begin it."""
    tx.run(ACKNOWLEDGE, id=run_id, connection_id=connection.id)


def seen(tx: Tx, connections: Sequence[Connection]) -> None:
    """These connections are there. What was said of others long ago is forgotten."""
    now = clock.now()
    for connection in sorted(connections, key=lambda one: one.id):
        keys = msgspec.json.encode(connection.task_keys).decode()
        tx.run(SEEN, id=connection.id, client_id=connection.client_id, task_keys=keys, now=now)
    tx.run(FORGET, before=now - 10 * LOST_AFTER)


def gone(tx: Tx, connection: Connection) -> None:
    """The connection has ended: what it holds is for others."""
    tx.run(GONE, id=connection.id)
    tx.tell(TOPIC)


def _moment() -> dict[str, datetime]:
    now = clock.now()
    return {"now": now, "lost_before": now - LOST_AFTER}
