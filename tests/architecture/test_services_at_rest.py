"""Services that have nothing to do read little, however long the history is: 50,000 runs are over here."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import apsw
from tests.architecture.test_plans import RUNS, START, fill

from lictor.app.background import all_services
from lictor.db.sqlite import SqliteDatabase
from lictor.kit import clock
from lictor.loops import Service
from lictor.settings import read

# Of SQLite's virtual machine. To read each run once takes twelve times as many at the least.
MOST_STEPS = 20_000
AFTER_ALL = START + timedelta(minutes=RUNS, days=1)


class Counting(SqliteDatabase):
    """Counts the steps that all of its connections take."""

    taken = 0

    def _connect(self) -> apsw.Connection:
        connection = super()._connect()
        connection.set_progress_handler(self._count, 1000)
        return connection

    def _count(self) -> bool:
        self.taken += 1000
        return False


def test_services_at_rest_read_little(tmp_path: Path) -> None:
    clock.set_source(lambda: AFTER_ALL)
    db = Counting(str(tmp_path / "lictor.db"), readers=1)
    db.migrate()
    db.write_now(fill)
    settings = read({"PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "P900D"})
    taken = asyncio.run(at_rest(db, [service for _, service in all_services(settings, db)]))
    db.close()
    assert {name: steps for name, steps in taken.items() if steps > MOST_STEPS} == {}


async def at_rest(db: Counting, services: list[Service]) -> dict[str, int]:
    """Let all of them do what there is to do, then count what a round takes that finds nothing."""
    for _ in range(100):
        if not sum([await service.run_once() for service in services]):
            break
    taken: Counter[str] = Counter()
    for service in services:
        before = db.taken
        await service.run_once()
        taken[service.name] = db.taken - before
    return dict(taken)
