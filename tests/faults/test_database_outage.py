"""The database goes away for a while: requests wait or get 503, nothing is lost, and the server recovers by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable

import pytest
from bench.postgres import Postgres
from bench.servers import Server
from tests.faults.journal import Journal
from tests.faults.place import Place
from tests.faults.scale import scaled
from tests.faults.traffic import life, traffic

HELD = 3.0
RECOVERY = 10.0
pytestmark = pytest.mark.timeout(240)

Trouble = Callable[[Journal], Awaitable[None]]


def test_sqlite_is_locked_by_another_process(on_sqlite: Place, start: Callable[[Place], Server]) -> None:
    server = start(on_sqlite)

    async def locked(journal: Journal) -> None:
        assert on_sqlite.file is not None
        with sqlite3.connect(on_sqlite.file, isolation_level=None, timeout=10) as intruder:
            intruder.execute("begin exclusive")
            await asyncio.sleep(HELD)
            intruder.execute("rollback")
        intruder.close()

    journal = asyncio.run(through(server, locked, scaled(1, 5)))
    on_sqlite.check()
    assert journal.event_ids <= on_sqlite.ids("events")


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_postgres_is_stopped_and_started(crash: bool, own_postgres: Postgres, start: Callable[[Place], Server]) -> None:
    place = Place.on_postgres(own_postgres)
    server = start(place)

    async def stopped(journal: Journal) -> None:
        before = journal.statuses[503]
        await asyncio.to_thread(own_postgres.stop, crash=crash)
        await asyncio.sleep(HELD)
        assert journal.statuses[503] > before, f"nobody was told that the database is away: {journal.statuses}"
        await asyncio.to_thread(own_postgres.start)

    journal = asyncio.run(through(server, stopped, scaled(1, 5)))
    place.check()
    assert journal.event_ids <= place.ids("events")


async def through(server: Server, trouble: Trouble, times: int) -> Journal:
    """Traffic while the trouble comes and goes; afterwards the same process works and knows all."""
    journal, pid = Journal(), server.pid
    async with traffic([server], journal, lives=8):
        for _ in range(times):
            await trouble(journal)
            await recovered(server, journal)
    assert server.alive
    assert server.pid == pid
    await journal.check(server)
    return journal


async def recovered(server: Server, journal: Journal) -> None:
    """A whole life cycle passes within RECOVERY seconds, and the same clients get on."""
    deadline = time.monotonic() + RECOVERY
    link = server.connection(timeout=RECOVERY)
    while not await life(link, journal):
        assert time.monotonic() < deadline, f"not recovered after {RECOVERY:.0f} s: {journal.statuses}"
        await asyncio.sleep(0.05)
    await link.close()
