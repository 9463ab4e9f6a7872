"""Whether somebody asks for a deployment's runs: ready when they were asked for, not ready when nobody does any
more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lictor.db import Tx, sql
from lictor.deployments import announcing, store
from lictor.deployments.store import Deployment
from lictor.events import store as events
from lictor.kit import clock

# How old the last poll on record may be before the next is worth a write.
NOTED_EVERY = timedelta(seconds=5)

_OF = "(d.id {in:deployment_ids:uuid} or d.work_queue_id {in:work_queue_ids:uuid})"
WORTH_NOTING = sql(
    "deployments.worth_noting",
    str,
    f"""
    select d.id from deployment d
    where {_OF} and (d.status = 'NOT_READY' or d.last_polled is null or d.last_polled < {{ts:noted_before}})
    """,
)
# `updated` stays: nobody changed anything.
NOTE = sql(
    "deployments.note_poll",
    None,
    "update deployment set last_polled = :now, status = 'READY' where id {in:ids:uuid}",
)
# A runner asks for deployments, a worker for queues: silent is who has neither been asked for.
SILENT = sql(
    "deployments.silent",
    Deployment,
    f"""
    select {store.COLUMNS} {store.FROM}
    where d.status = 'READY' and d.last_polled < {{ts:before}}
    and (q.last_polled is null or q.last_polled < {{ts:before}})
    order by d.id
    """,
)
SILENCE = sql(
    "deployments.silence",
    str,
    """
    update deployment set status = 'NOT_READY'
    where id {in:ids:uuid} and status = 'READY' and last_polled < {ts:before} returning id
    """,
)


def mark_polled(tx: Tx, *, work_queue_ids: Iterable[str] = (), deployment_ids: Iterable[str] = ()) -> None:
    """Runs of these deployments, or from these queues, were asked for."""
    now = clock.now()
    asked = {"work_queue_ids": list(work_queue_ids), "deployment_ids": list(deployment_ids)}
    worth = tx.all(WORTH_NOTING, **asked, noted_before=now - NOTED_EVERY)
    if not worth:
        return
    locked = store.lock_all(tx, worth)
    tx.run(NOTE, ids=[row.id for row in locked], now=now)
    woken = [row for row in locked if row.status == "NOT_READY"]
    events.emit_all(tx, [announcing.changed("ready", row, now) for row in woken])


def queues_polled(tx: Tx, work_queue_ids: list[str]) -> None:
    """Runs from these queues were asked for, and so were those of the deployments on them."""
    mark_polled(tx, work_queue_ids=work_queue_ids)


def worth_noting(tx: Tx, deployment_ids: list[str]) -> bool:
    """Whether a poll for these deployments' runs changes anything about them."""
    noted_before = clock.now() - NOTED_EVERY
    return bool(tx.all(WORTH_NOTING, deployment_ids=deployment_ids, work_queue_ids=[], noted_before=noted_before))


def mark_unpolled(tx: Tx, before: datetime) -> int:
    """Deployments that were last asked for before that time are not ready any more; returns how many were until now."""
    silent = {row.id: row for row in tx.all(SILENT, before=before)}
    if not silent:
        return 0
    changed = tx.all(SILENCE, ids=list(silent), before=before)
    now = clock.now()
    events.emit_all(tx, [announcing.changed("not-ready", silent[id], now) for id in sorted(changed)])
    return len(changed)
