"""Clients that go on whatever happens to the server, and note in a journal what it acknowledged."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from bench import bodies
from bench.http import Connection
from bench.servers import Server
from bench.sockets import EventSocket
from tests.faults.journal import Journal

PAUSE = 0.02  # after a failure, before the next try
LIFE = ("Pending", "Running", "Completed")
CONFIRM_EVERY = 10  # task runs
LOG_LINES = 20  # of a batch
LOG_BATCHES = 20  # of a run
_line = itertools.count(1)


@asynccontextmanager
async def traffic(
    servers: Sequence[Server], journal: Journal, *, lives: int = 4, loggers: int = 2, sockets: int = 2
) -> AsyncIterator[None]:
    """Clients of each kind, spread over the servers, for as long as the block runs."""
    stop = asyncio.Event()
    turn = itertools.cycle(servers)
    flow_run_id = await begin(servers[0], journal)
    async with asyncio.TaskGroup() as group:
        for _ in range(lives):
            group.create_task(live(next(turn), journal, stop))
        for _ in range(loggers):
            group.create_task(write_logs(next(turn), journal, stop))
        for _ in range(sockets):
            group.create_task(report_task_runs(next(turn), journal, stop, flow_run_id))
        try:
            yield
        finally:
            stop.set()


async def begin(server: Server, journal: Journal) -> str:
    """Make a flow for the journal and a run of it; the run's id."""
    link = server.connection()
    flow = await link.post("/api/flows/", bodies.flow("faults"))
    journal.flow_id = flow.json()["id"]
    run = await link.post("/api/flow_runs/", bodies.flow_run(journal.flow_id))
    await link.close()
    assert run.status == 201, run.body
    journal.note_state(run.json()["id"], run.json()["state"])
    return str(run.json()["id"])


async def live(server: Server, journal: Journal, stop: asyncio.Event) -> None:
    """Whole life cycles, one after the other; a run that met trouble is left as it is."""
    link = server.connection(timeout=30)
    while not stop.is_set():
        try:
            if not await life(link, journal):
                await asyncio.sleep(PAUSE)
        except ConnectionError:
            journal.broken += 1
            await asyncio.sleep(PAUSE)
    await link.close()


async def life(link: Connection, journal: Journal) -> str | None:
    """One life cycle; the id of the run, or None when the server could not carry on."""
    created = await link.post("/api/flow_runs/", bodies.flow_run(journal.flow_id))
    if not journal.answered(created, "create"):
        return None
    run = created.json()
    journal.note_state(run["id"], run["state"])
    for name in LIFE:
        if not await transition(link, journal, run["id"], name):
            return None
    return str(run["id"])


async def transition(link: Connection, journal: Journal, run_id: str, name: str) -> bool:
    answer = await link.post(f"/api/flow_runs/{run_id}/set_state", bodies.set_state(run_id, name))
    if not journal.answered(answer, name):
        return False
    result = answer.json()
    if result["status"] != "ACCEPT":
        journal.problems.append(f"{run_id} to {name}: {result}")
        return False
    journal.note_state(run_id, result["state"])
    return True


async def write_logs(server: Server, journal: Journal, stop: asyncio.Event) -> None:
    """Batches of log lines, no two of them alike in message or time; every so often for another run."""
    link = server.connection(timeout=30)
    for number in itertools.count():
        if stop.is_set():
            break
        if number % LOG_BATCHES == 0:
            run_id = bodies.uuid7()  # logs have no foreign key
        messages = [f"line {next(_line)}" for _ in range(LOG_LINES)]
        now = datetime.now(UTC)
        lines = [bodies.log(run_id, text, now + timedelta(microseconds=n)) for n, text in enumerate(messages)]
        try:
            answer = await link.post("/api/logs/", lines)
        except ConnectionError:
            journal.broken += 1
            await asyncio.sleep(PAUSE)
            continue
        if journal.answered(answer, "logs"):
            journal.note_logs(run_id, messages)
        await asyncio.sleep(PAUSE)
    await link.close()


async def report_task_runs(server: Server, journal: Journal, stop: asyncio.Event, flow_run_id: str) -> None:
    """Task runs over the event socket; what no pong confirmed is sent again on the next socket."""
    socket = EventSocket(server.host, server.port, timeout=30)
    connected = False
    while not stop.is_set():
        try:
            if not connected:
                await socket.reopen()
                connected = True
            for _ in range(CONFIRM_EVERY):
                run = bodies.TaskRun(flow_run_id, journal.flow_id)
                await socket.send(run.events(*LIFE))
            await socket.confirm()
        except ConnectionError:
            connected = False
            journal.broken += 1
            await asyncio.sleep(PAUSE)
        journal.note_events(socket.confirmed)
        socket.confirmed.clear()
        await asyncio.sleep(PAUSE)
    await socket.close()
