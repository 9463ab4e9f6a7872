"""The scheduler, and the auditor of what it made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from lictor.db import Database
from lictor.deployments import scheduler
from lictor.deployments.scheduler import Horizon, Plan
from lictor.kit import clock
from lictor.loops import Service

# So many times the batch is planned in a round: what is made for the same dates lies on the same pages.
BATCHES = 4


class Scheduler(Service):
    """Makes the runs of the schedules that are due: of `batch` schedules and `insert_batch` runs at a time, at most."""

    name = "scheduler"
    # Deployments come in flocks, and what is written together costs half as much.
    gather = 0.25
    gather_at_most = 2.0

    def __init__(
        self, db: Database, horizon: Horizon, interval: float = 5.0, batch: int = 100, insert_batch: int = 500
    ) -> None:
        super().__init__(interval)
        self.batch: int = batch * BATCHES
        self._db = db
        self._horizon = horizon
        self._size = batch
        self._insert_batch = insert_batch

    async def run_once(self) -> int:
        found = await self._db.read(scheduler.due, self.batch)
        if not found:
            return 0
        now = clock.now()
        # Working out dates takes a while, and neither the loop nor a transaction shall wait for it.
        plans = await asyncio.to_thread(scheduler.plan_all, found, self._horizon, now)
        await self._db.write_each(scheduler.carry_out, self._batches(plans))
        return len(found)

    def _batches(self, plans: list[Plan]) -> Iterator[list[Plan]]:
        """Of about as many runs as shall be inserted together, and no more schedules than that."""
        some: list[Plan] = []
        runs = 0
        for one in scheduler.alike_together(plans):
            runs += len(one.new)
            if some and (runs > self._insert_batch or len(some) >= self._size):
                yield some
                some, runs = [], len(one.new)
            some.append(one)
        if some:
            yield some


class ScheduleAuditor(Service):
    """Has schedules planned anew whose runs disappeared."""

    name = "schedule-auditor"
    batch = 500

    def __init__(self, db: Database, interval: float = 60.0) -> None:
        super().__init__(interval)
        self._db = db

    async def run_once(self) -> int:
        found = await self._db.read(scheduler.lost, self.batch)
        return await self._db.write(scheduler.forget, found) if found else 0
