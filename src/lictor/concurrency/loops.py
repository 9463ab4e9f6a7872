"""The repossessor: what is left of leases that are over."""

from __future__ import annotations

from datetime import timedelta

from lictor.concurrency import slots, store
from lictor.concurrency.slots import Waits
from lictor.db import Database, Tx, sql
from lictor.kit import clock
from lictor.loops import Service

# As long as it stands there, an expired lease can be renewed if its slot was not given away meanwhile.
FORGOTTEN_AFTER = timedelta(hours=1)

OVER = sql(
    "concurrency.over",
    str,
    f"""
    select l.id from concurrency_lease l
    where l.expires < :forgotten_before
    or (l.holder_id is not null and (l.expires is null or l.expires > :now) and not ({store.LIVE}))
    order by l.id limit :limit
    """,
)


class Repossessor(Service):
    """Deletes leases whose holder has ended, and those that expired long ago; their slots are free already.

    It learns from them how long slots are held, as from those that are given back.
    """

    name = "repossessor"
    batch = 100

    def __init__(self, db: Database, waits: Waits, interval: float = 15.0) -> None:
        super().__init__(interval)
        self._db = db
        self._waits = waits

    async def run_once(self) -> int:
        if not await self._db.read(over, self.batch):
            return 0
        return await self._db.write(repossess, self._waits, self.batch)


def over(tx: Tx, limit: int) -> list[str]:
    """The ids of leases that nobody needs any more."""
    now = clock.now()
    return tx.all(OVER, limit=limit, forgotten_before=now - FORGOTTEN_AFTER, **store.moment(now))


def repossess(tx: Tx, waits: Waits, limit: int) -> int:
    """End up to `limit` such leases; returns how many."""
    return slots.release(tx, waits, over(tx, limit), lapsed=True)
