"""SIGTERM under load: a clean end within seconds, and everything acknowledged is there afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from bench.servers import Server
from tests.faults.journal import Journal
from tests.faults.place import Place
from tests.faults.scale import scaled
from tests.faults.traffic import traffic

TIMES = scaled(2, 20)
SECONDS = 5.0
pytestmark = pytest.mark.timeout(120 + 10 * TIMES)


def test_sigterm_under_load(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    journal = asyncio.run(stop_under_traffic(server))
    place.check()
    assert journal.event_ids <= place.ids("events")
    assert "traceback" not in server.log.read_text(errors="replace").lower(), server.tail()


async def stop_under_traffic(server: Server) -> Journal:
    journal = Journal()
    async with traffic([server], journal):
        for _ in range(TIMES):
            await progress(journal, 20)
            begun = time.monotonic()
            assert await asyncio.to_thread(server.terminate) == 0, server.tail()
            assert time.monotonic() - begun < SECONDS
            await asyncio.to_thread(server.start)
    await journal.check(server)
    return journal


async def progress(journal: Journal, runs: int, seconds: float = 20.0) -> None:
    """Wait until the clients have begun so many more runs."""
    deadline, wanted = time.monotonic() + seconds, len(journal.states) + runs
    while len(journal.states) < wanted:
        assert time.monotonic() < deadline, "the clients do not get on"
        await asyncio.sleep(0.01)
