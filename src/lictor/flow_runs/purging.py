"""The runs of deleted flows, where they are too many to go at once: the service that deletes them.

A flow that is deleted is gone for everybody at once. Its runs follow, some in each transaction, so that nobody waits
long for the writer; the newest first, since those are the ones that may still begin. That a flow was deleted stands in
its row, so whoever starts next goes on where somebody stopped.
"""

from __future__ import annotations

import logging

from lictor import flows
from lictor.db import Database, Tx, sql
from lictor.flow_runs import changes
from lictor.flow_runs.transitions import Orchestration
from lictor.loops import Service

log = logging.getLogger(__name__)

# Runs that are deleted in one transaction: some ten milliseconds, which is what others wait for on SQLite.
AT_ONCE = 50
TOLD_EVERY = 5_000

NEXT = sql(
    "flow_runs.next_to_purge",
    str,
    "select r.id from flow_run r where r.flow_id = :flow_id order by r.expected_start_time desc limit :limit",
)
LEFT = sql(
    "flow_runs.left_to_purge",
    int,
    "select count(*) from flow_run r where r.flow_id in (select f.id from flow f where f.deleted is not null)",
)


def purge(tx: Tx, orchestration: Orchestration, flow_id: str) -> int:
    """Delete some runs of a deleted flow, and with the last of them the flow; how many there were."""
    run_ids = tx.all(NEXT, flow_id=flow_id, limit=AT_ONCE)
    if run_ids:
        changes.delete_all(tx, orchestration, run_ids)
    if len(run_ids) < AT_ONCE:
        flows.bury(tx, flow_id)
    return len(run_ids)


def left(tx: Tx) -> int:
    """How many runs of deleted flows are still there."""
    return tx.one(LEFT) or 0


class Purge(Service):
    """Deletes the runs of flows that were deleted, where they were too many to go at once."""

    name = "purge"

    def __init__(self, db: Database, orchestration: Orchestration, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration

    async def run_once(self) -> int:
        done = 0
        for flow_id in await self._db.read(flows.hidden):
            done += await self._of(flow_id)
        return done

    async def _of(self, flow_id: str) -> int:
        done = 0
        while True:
            gone = await self._db.write(purge, self._orchestration, flow_id)
            done += gone
            if gone < AT_ONCE:
                log.info("the deleted flow %s is gone, with its last %d runs", flow_id, done)
                return done
            if done % TOLD_EVERY == 0:
                log.info("%d runs of the deleted flow %s are gone, and go on going", done, flow_id)
