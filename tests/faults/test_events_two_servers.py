"""Events of task runs through two servers on one PostgreSQL, in any order and more than once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bench import bodies
from bench.servers import Server
from bench.sockets import EventSocket
from tests.faults.journal import Journal, fetch
from tests.faults.place import Place
from tests.faults.scale import scaled
from tests.faults.traffic import begin, transition

RUNS = scaled(300, 5000)
SOCKETS = 4  # to each server
HISTORIES = [
    ("Pending", "Running", "Completed"),
    ("Pending", "Running", "AwaitingRetry", "Retrying", "Completed"),
    ("Pending", "Running", "AwaitingRetry", "Retrying", "Failed"),
    ("Pending", "Running"),
    ("Pending", "Cached"),
]
pytestmark = pytest.mark.timeout(120 + RUNS // 10)


def test_any_order_gives_the_newest_state(on_postgres: Place, start: Callable[[Place], Server]) -> None:
    servers = [start(on_postgres), start(on_postgres)]
    journal = asyncio.run(scatter(servers))
    on_postgres.check()
    assert journal.event_ids <= on_postgres.ids("events")
    for server in servers:
        log = server.log.read_text(errors="replace").lower()
        assert "deadlock" not in log, server.tail()
        assert "duplicate key" not in log, server.tail()
    assert not on_postgres.complaints()


async def scatter(servers: Sequence[Server]) -> Journal:
    journal = Journal()
    flow_run_id = await begin(servers[0], journal)
    expected: dict[str, str] = {}
    events: list[dict[str, Any]] = []
    for _ in range(RUNS):
        run, names = bodies.TaskRun(flow_run_id, journal.flow_id), random.choice(HISTORIES)
        events += run.events(*names)
        expected[run.id] = names[-1]
    streams = deal(events, SOCKETS * len(servers))
    async with asyncio.TaskGroup() as group:
        for number, stream in enumerate(streams):
            group.create_task(pour(servers[number % len(servers)], stream))
    journal.note_events(events)
    await journal.check(servers[1])
    shown = {row["id"]: row["state_name"] for row in await task_runs(servers[0], flow_run_id)}
    assert shown == expected
    return journal


def deal(events: Sequence[dict[str, Any]], streams: int) -> list[list[dict[str, Any]]]:
    """Shuffle over the streams; a third of the events goes to two of them."""
    dealt: list[list[dict[str, Any]]] = [[] for _ in range(streams)]
    for event in random.sample(events, len(events)):
        for stream in random.sample(dealt, random.choice([1, 1, 2])):
            stream.append(event)
    return dealt


async def pour(server: Server, events: Sequence[dict[str, Any]]) -> None:
    async with EventSocket(server.host, server.port) as socket:
        await socket.send(events)
        await socket.confirm()


async def task_runs(server: Server, flow_run_id: str) -> list[dict[str, Any]]:
    """All task runs of the flow run, page by page."""
    link, rows = server.connection(), list[dict[str, Any]]()
    body = {"task_runs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "ID_DESC", "limit": 200}
    while page := await fetch(link, "/api/task_runs/filter", body | {"offset": len(rows)}):
        rows += page
    await link.close()
    return rows


def test_task_runs_are_over_soon_after_their_flow(on_postgres: Place, start: Callable[[Place], Server]) -> None:
    servers = [start(on_postgres), start(on_postgres)]
    asyncio.run(one_flow(servers, scaled(200, 1000)))


async def one_flow(servers: Sequence[Server], count: int) -> None:
    """A flow with many short tasks whose requests and events reach the servers in turn."""
    journal = Journal()
    flow_run_id = await begin(servers[0], journal)
    links = [server.connection() for server in servers]
    assert await transition(links[0], journal, flow_run_id, "Pending")
    assert await transition(links[1], journal, flow_run_id, "Running")
    async with (
        EventSocket(servers[0].host, servers[0].port) as one,
        EventSocket(servers[1].host, servers[1].port) as other,
    ):
        for _ in range(count):
            first, *rest = bodies.TaskRun(flow_run_id, journal.flow_id).events("Pending", "Running", "Completed")
            await one.send([first])
            await other.send(rest)
        assert await transition(links[0], journal, flow_run_id, "Completed")
        await until_all_completed(servers, flow_run_id, count)
    for link in links:
        await link.close()


async def until_all_completed(servers: Sequence[Server], flow_run_id: str, count: int, seconds: float = 2.0) -> None:
    deadline = time.monotonic() + seconds
    body = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    for server in servers:
        link = server.connection()
        while (seen := await fetch(link, "/api/task_runs/count", body)) != count:
            assert time.monotonic() < deadline, f"{seen} of {count} task runs are COMPLETED {seconds} s after the flow"
            await asyncio.sleep(0.02)
        await link.close()
