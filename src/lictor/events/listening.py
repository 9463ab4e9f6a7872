"""Since when events have been taken in without a break, so that silence is not mistaken for the end of who is silent.

Each process that serves the API says now and then that it is there. After an outage clients need a while to come back
and tell what they have kept; whoever waits for word from them counts from `since`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from lictor.db import Database, Tx, sql
from lictor.kit import clock, ids
from lictor.kit.errors import LictorError

log = logging.getLogger(__name__)

EVERY = 20.0
"""Seconds between two words of a process."""

GONE_AFTER = timedelta(seconds=60)
"""A process of which nothing was heard for so long takes in nothing, and when it is back it has begun anew."""

TELL = sql(
    "events.listener_tells",
    None,
    """
    insert into event_listener (id, since, seen) values (:id, {ts:now}, {ts:now})
    on conflict (id) do update set seen = excluded.seen,
        since = case when event_listener.seen < {ts:gone_before} then excluded.since else event_listener.since end
    """,
)
FORGET = sql("events.forget_listeners", None, "delete from event_listener where seen < {ts:before}")
LEAVE = sql("events.listener_leaves", None, "delete from event_listener where id = :id")
SINCE = sql("events.listening_since", datetime, "select min(since) from event_listener where seen >= {ts:gone_before}")


def tell(tx: Tx, listener_id: str) -> None:
    """A process takes in events now."""
    now = clock.now()
    tx.run(TELL, id=listener_id, now=now, gone_before=now - GONE_AFTER)
    tx.run(FORGET, before=now - 10 * GONE_AFTER)


def leave(tx: Tx, listener_id: str) -> None:
    tx.run(LEAVE, id=listener_id)


def since(tx: Tx) -> datetime | None:
    """Since when at least one process has taken in events; None while there is none."""
    return tx.one(SINCE, gone_before=clock.now() - GONE_AFTER)


class Listener:
    """Says of this process that it takes in events, from `start` to `stop`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._id = ids.new()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._tell_again_and_again(), name="lictor-listener")

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._db.write(leave, self._id)
        except LictorError as error:
            log.warning("that this process leaves cannot be told, and will be noticed: %s", error)

    async def _tell_again_and_again(self) -> None:
        while True:
            try:
                await self._db.write(tell, self._id)
            except LictorError as error:
                log.warning("that events are taken in cannot be told: %s", error)
            await asyncio.sleep(EVERY)
