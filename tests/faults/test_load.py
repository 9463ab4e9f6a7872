"""Many clients at once: nothing is refused, nothing is lost, nobody complains of locks."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import pytest
from bench import bodies
from bench.measure import quantile
from bench.servers import Server
from tests.faults.journal import Journal, fetch
from tests.faults.place import Place
from tests.faults.scale import scaled, share
from tests.faults.traffic import traffic

CLIENTS = 64
READERS = 20
SECONDS = scaled(8, 60)
COMPLAINTS = re.compile(r"locked|deadlock|traceback", re.IGNORECASE)
pytestmark = pytest.mark.timeout(120 + 5 * SECONDS)


def test_whole_life_cycles_with_readers(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    journal, waits = asyncio.run(crowd(server))
    assert set(journal.statuses) <= {200, 201}, journal.statuses
    assert journal.broken == 0
    assert len(journal.states) > CLIENTS
    place.check()
    assert not COMPLAINTS.search(server.log.read_text(errors="replace")), server.tail()
    assert not place.complaints()
    if share() >= 1:  # a promise of the acceptance list, but not on a machine that is busy with other tests
        assert quantile(sorted(waits), 0.99) < 0.25


async def crowd(server: Server) -> tuple[Journal, list[float]]:
    """Writers and readers for a while; what was acknowledged, and the seconds that each read took."""
    journal, waits = Journal(), list[float]()
    until = time.monotonic() + SECONDS
    async with traffic([server], journal, lives=CLIENTS, loggers=2, sockets=2), asyncio.TaskGroup() as group:
        for number in range(READERS):
            group.create_task(read(server, journal, waits, until, number))
    await journal.check(server)
    return journal, waits


async def read(server: Server, journal: Journal, waits: list[float], until: float, number: int) -> None:
    """The newest runs, as a dashboard asks for them, and single runs that are being written."""
    link = server.connection(timeout=30)
    newest = {"sort": "START_TIME_DESC", "limit": 20, "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    while time.monotonic() < until:
        run_id = list(journal.states)[-1 - number % len(journal.states)]
        begun = time.monotonic()
        await fetch(link, f"/api/flow_runs/{run_id}")
        waits.append(time.monotonic() - begun)
        await fetch(link, "/api/flow_runs/filter", newest)
        await asyncio.sleep(0.05)
    await link.close()


@pytest.mark.parametrize("kind", ["variables", "work_pools"])
def test_created_and_deleted_in_a_tight_loop(kind: str, on_sqlite: Place, start: Callable[[Place], Server]) -> None:
    server = start(on_sqlite)
    statuses = asyncio.run(come_and_go(server, kind, scaled(80, 200)))
    assert statuses <= {200, 201, 204}
    assert not COMPLAINTS.search(server.log.read_text(errors="replace")), server.tail()


async def come_and_go(server: Server, kind: str, times: int) -> set[int]:
    """Create and delete objects on 8 connections; every status that came back."""
    statuses: set[int] = set()
    left = iter(range(times))

    async def worker() -> None:
        link = server.connection()
        for _ in left:
            name = bodies.uuid7().replace("-", "_")
            body = {"name": name, "value": 1} if kind == "variables" else {"name": name, "type": "process"}
            statuses.add((await link.post(f"/api/{kind}/", body)).status)
            path = f"/api/{kind}/name/{name}" if kind == "variables" else f"/api/{kind}/{name}"
            statuses.add((await link.request("DELETE", path)).status)
        await link.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(worker())
    return statuses
