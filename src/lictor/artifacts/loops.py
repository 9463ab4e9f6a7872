"""Artifacts of flow runs that are gone: deleted by hand, or before retention took artifacts along."""

from __future__ import annotations

from lictor.artifacts import store
from lictor.db import Database, Tx, sql
from lictor.loops import Service

# By an index of the runs that artifacts are of.
ORPHANED = sql(
    "artifacts.orphaned",
    str,
    """
    select distinct a.flow_run_id from artifact a
    where a.flow_run_id is not null and not exists (select 1 from flow_run r where r.id = a.flow_run_id)
    limit :limit
    """,
)


def sweep(tx: Tx, limit: int) -> int:
    """Delete the artifacts of so many runs that are gone; how many those were."""
    run_ids = tx.all(ORPHANED, limit=limit)
    if run_ids:
        store.delete_of_runs(tx, run_ids)
    return len(run_ids)


class Orphans(Service):
    """Deletes the artifacts of runs that are gone. A round reads the whole index, so it comes seldom."""

    name = "orphans"

    def __init__(self, db: Database, most: int, interval: float) -> None:
        super().__init__(interval)
        self._db = db
        self.batch = most

    async def run_once(self) -> int:
        return await self._db.write(sweep, self.batch or 1)
