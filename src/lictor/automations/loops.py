"""The service that follows events, watches the time and does what follows from both."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from lictor.automations import buckets, queueing, watching
from lictor.automations.buckets import Evaluation
from lictor.automations.executing import Executor
from lictor.automations.following import Follower
from lictor.automations.watching import Watchlist
from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.loops import Service

# Events are on their way for a moment; a wait for one ends a moment later.
GRACE = timedelta(seconds=1)
MOST_DUE = 500
SWEEP_SECONDS = 60.0
GATHER_SECONDS = 0.02
# While nobody waits for any event, a round only looks whether that has changed.
IDLE_GATHERS = 10
# What other processes commit rings no bell on SQLite.
POLL_SECONDS = 1.0
# How long calls in flight may take when the server stops.
FINISH_SECONDS = 3.0


class Triggers(Service):
    """One round: read all events that have come, then what has run out of time, then do what is queued."""

    name = "triggers"

    def __init__(
        self,
        db: Database,
        follower: Follower,
        executor: Executor,
        granularity: float,
        *,
        interval: float = POLL_SECONDS,
        gather: float = GATHER_SECONDS,
    ) -> None:
        super().__init__(interval)
        self._db = db
        self._follower = follower
        self._executor = executor
        self._gather = gather
        self._granularity = granularity
        self._next_time = 0.0
        self._next_sweep = 0.0
        self._ensured: int | None = None

    async def run_once(self) -> int:
        # Events come in crowds: to wait a moment for the rest of one saves a round for each.
        watchlist = self._follower.watchlist
        watching = watchlist is not None and bool(watchlist.watches)
        await asyncio.sleep(self._gather if watching else self._gather * IDLE_GATHERS)
        done = 0
        while read := await self._follower.advance():
            done += read + await self._executor.start_due()
        done += await self._time()
        return done + await self._executor.start_due()

    async def close(self) -> None:
        await self._executor.finish(FINISH_SECONDS)

    async def _time(self) -> int:
        watchlist = self._follower.watchlist
        if watchlist is None:
            return 0
        now = time.monotonic()
        done = 0
        if self._ensured != watchlist.revision:
            await self._db.write(begin, watchlist)
            self._ensured, self._next_time = watchlist.revision, 0.0
        if now >= self._next_time:
            done = await self._db.write(pass_time, watchlist)
            self._next_time = now + min(self._granularity, 1.0) if done >= MOST_DUE else now + self._granularity * 0.9
        if now >= self._next_sweep:
            await self._db.write(sweep)
            self._next_sweep = now + SWEEP_SECONDS
        return done


def begin(tx: Tx, watchlist: Watchlist) -> None:
    """Triggers that wait from the moment when they are there begin to."""
    if watching.lock(tx, watchlist.revision) is not None:
        buckets.ensure(tx, watchlist, clock.now())


def pass_time(tx: Tx, watchlist: Watchlist) -> int:
    """Evaluate what has run out of time; how much that was."""
    if not tx.value(buckets.OPEN):
        return 0
    progress = watching.lock(tx, watchlist.revision)
    if progress is None:
        return 0
    now = clock.now()
    buckets.after_absence(tx, progress.looked, now)
    due = tx.all(buckets.DUE, now=now - GRACE, limit=MOST_DUE)
    return Evaluation(tx, watchlist).run_out(due, now - GRACE)


def sweep(tx: Tx) -> int:
    now = clock.now()
    return buckets.sweep(tx, now) + queueing.sweep(tx, now)
