"""The scheduler, and the auditor of what it made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from lictor.db import Database
from lictor.deployments import scheduler
from lictor.deployments.scheduler import Horizon, Plan
from lictor.kit import clock
from lictor.loops import Service


class Scheduler(Service):
    """Makes the runs of the schedules that are due; a round takes up to `batch` of them."""

    name = "scheduler"
    # Deployments come in flocks, and what is written together costs half as much.
    gather = 0.25

    def __init__(
        self, db: Database, horizon: Horizon, interval: float = 5.0, batch: int = 100, insert_batch: int = 500
    ) -> None:
        super().__init__(interval)
        self.batch: int = batch
        self._db = db
        self._horizon = horizon
        self._insert_batch = insert_batch

    async def run_once(self) -> int:
        found = await self._db.read(scheduler.due, self.batch)
        if not found:
            return 0
        now = clock.now()
        # Working out dates takes a while, and neither the loop nor a transaction shall wait for it.
        plans = await asyncio.to_thread(scheduler.plan_all, found, self._horizon, now)
        for some in self._batches(plans):
            await self._db.write(scheduler.carry_out, some)
        return len(found)

    def _batches(self, plans: list[Plan]) -> Iterator[list[Plan]]:
        """Of about as many runs as shall be inserted together."""
        some: list[Plan] = []
        for one in scheduler.alike_together(plans):
            if some and sum(len(other.new) for other in some) + len(one.new) > self._insert_batch:
                yield some
                some = []
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
