"""The runs of deleted flows and those that were withdrawn, where they are too many to go at once: the service that
deletes them.

A flow that is deleted is gone for everybody at once. Its runs follow, some in each transaction, so that nobody waits
long for the writer. Those of its deployments that have not begun are withdrawn (see `withdrawals`) and go first, then
the others, the newest first. What is to go stands in the database: whoever starts next goes on where somebody stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from lictor import flows
from lictor.db import Database, Tx, sql
from lictor.flow_runs import changes, planned, withdrawals
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
    f"""
    select count(*) from (
        select r.id from flow_run r where r.flow_id in (select f.id from flow f where f.deleted is not null)
        union {withdrawals.IDS}
    ) going
    """,
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
    """How many runs are still there of flows that were deleted, and how many that were withdrawn."""
    return tx.one(LEFT) or 0


class Purge(Service):
    """Deletes runs that were withdrawn or whose flow was deleted, where they were too many to go at once."""

    name = "purge"

    def __init__(self, db: Database, orchestration: Orchestration, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration

    async def run_once(self) -> int:
        withdrawn, flow_ids = await self._db.read(lambda tx: (withdrawals.find_all(tx), flows.hidden(tx)))
        done = 0
        for of in withdrawn:
            step = partial(self._db.write, planned.delete_withdrawn, of)
            done += await _until_gone(step, planned.IN_BACKGROUND, f"planned runs of the deployment {of.deployment_id}")
        for flow_id in flow_ids:
            step = partial(self._db.write, purge, self._orchestration, flow_id)
            done += await _until_gone(step, AT_ONCE, f"runs of the deleted flow {flow_id}")
        return done


async def _until_gone(step: Callable[[], Awaitable[int]], at_once: int, runs: str) -> int:
    """Do a step, again and again, as long as it does all it may at once; how much that was in all."""
    done, told = 0, 0
    while True:
        gone = await step()
        done += gone
        if gone < at_once:
            log.info("the last %d %s are gone", done, runs)
            return done
        if done - told >= TOLD_EVERY:
            told = done
            log.info("%d %s are gone, and go on going", done, runs)
