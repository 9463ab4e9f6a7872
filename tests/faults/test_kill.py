"""`kill -9` at random moments: what was acknowledged is there, nothing is there by half, work goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from bench import bodies
from bench.servers import Server
from bench.sockets import EventSocket
from tests.faults.journal import Journal, fetch
from tests.faults.place import Place
from tests.faults.scale import scaled
from tests.faults.traffic import LIFE, begin, life, traffic, transition

KILLS = scaled(5, 50)
pytestmark = pytest.mark.timeout(120 + 30 * KILLS)


def test_acknowledged_survives(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    journal = asyncio.run(kill_under_traffic(server, place))
    place.check()
    assert journal.event_ids <= place.ids("events")
    assert journal.broken >= KILLS  # it was really hit while it worked


async def kill_under_traffic(server: Server, place: Place) -> Journal:
    journal = Journal()
    async with traffic([server], journal):
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0.1, 1.0))
            await asyncio.to_thread(server.kill)
            latest = journal.latest()
            await asyncio.to_thread(server.start)
            await journal.check(server, latest)
            await asyncio.to_thread(place.check)
    await journal.check(server)
    link = server.connection()
    assert await life(link, journal), journal.statuses
    await link.close()
    return journal


def test_no_task_run_is_left_running_under_a_finished_flow(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    asyncio.run(short_tasks(server, scaled(2000, 10_000), scaled(2, 5)))
    running = "select id, state_name from task_run where state_type <> 'COMPLETED'"
    assert place.rows(running) == []
    place.check()


async def short_tasks(server: Server, count: int, kills: int) -> None:
    """Tasks of no length, reported as the SDK does while the server is killed under it; then the flow ends."""
    journal = Journal()
    flow_run_id = await begin(server, journal)
    socket = EventSocket(server.host, server.port)
    await socket.open()
    moments = set(random.sample(range(count), kills))
    for number in range(count):
        if number in moments:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await persist(socket, bodies.TaskRun(flow_run_id, journal.flow_id))
    while socket.unconfirmed:
        try:
            await socket.confirm()
        except ConnectionError:
            await socket.reopen()
    await socket.close()
    link = server.connection()
    for name in LIFE:
        assert await transition(link, journal, flow_run_id, name)
    total = await fetch(link, "/api/task_runs/count", {"flow_runs": {"id": {"any_": [flow_run_id]}}})
    assert total == count
    await link.close()


async def persist(socket: EventSocket, run: bodies.TaskRun) -> None:
    """Send the events of a task run, on a new socket if the old one breaks."""
    for event in run.events(*LIFE):
        try:
            await socket.send([event])
        except ConnectionError:
            await socket.reopen()  # sends this event too: it stayed unconfirmed
