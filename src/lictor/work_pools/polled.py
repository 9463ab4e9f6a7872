"""What a poll leaves behind: its queues were polled, and those that were not ready are; so are their deployments.

A queue that was polled a few seconds ago is not written again, so that many workers cost no more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.events import store as events
from lictor.kit import clock
from lictor.work_pools.announcing import kebab, queue_event
from lictor.work_pools.polling import PolledQueue
from lictor.work_pools.store import QUEUE_COLUMNS, QUEUE_FROM, QueueRow
from lictor.work_pools.types import Status

NOTED_EVERY = timedelta(seconds=5)


class PollFollowers(Struct, frozen=True):
    """Who is told, in the same transaction, which queues were polled."""

    tell: tuple[Callable[[Tx, list[str]], None], ...] = ()


LOCK_UNREADY = sql(
    "work_queues.lock_unready",
    QueueRow,
    f"""
    select {QUEUE_COLUMNS}, p.type {QUEUE_FROM} where q.id {{in:ids:uuid}} and q.status = 'NOT_READY'
    order by q.id {{for_update}}
    """,
)
NOTE = sql(
    "work_queues.note_poll",
    None,
    """
    update work_queue set last_polled = :now, status = case when status = 'NOT_READY' then 'READY' else status end
    where id {in:ids:uuid}
    """,
)


def worth_noting(queues: list[PolledQueue], now: datetime) -> list[str]:
    """The ids of the queues that the poll changes something about."""
    return [queue.id for queue in queues if _changes(queue, now)]


def _changes(queue: PolledQueue, now: datetime) -> bool:
    old = queue.last_polled is None or now - queue.last_polled >= NOTED_EVERY
    return old or queue.status == Status.NOT_READY


def note(tx: Tx, followers: PollFollowers, queue_ids: list[str]) -> None:
    """These queues were polled."""
    now = clock.now()
    woken = tx.all(LOCK_UNREADY, ids=queue_ids)
    tx.run(NOTE, ids=queue_ids, now=now)
    events.emit_all(tx, [queue_event(kebab(Status.READY), row.queue, row.pool_type, now) for row in woken])
    for tell in followers.tell:
        tell(tx, queue_ids)
