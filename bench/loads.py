"""What is measured: `life`, `logs`, `events`, `late`, `scheduler`, each as a number of units against one server."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench import bodies
from bench.http import Answer, Connection
from bench.servers import Server
from bench.sockets import EventSocket

LOG_BATCH = 50
TASK_RUNS = 333  # of three events each
TRIES = 12


@dataclass(slots=True)
class Work:
    """What one load did: seconds of each unit, answers by status, and anything else that it timed."""

    units: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    readable: list[float] = field(default_factory=list)


Load = Callable[[Server, int, int], Coroutine[Any, Any, Work]]
Unit = Callable[[Connection, Work], Coroutine[Any, Any, bool]]


async def life(server: Server, units: int, clients: int) -> Work:
    """Unit: create a flow run, then set Pending, Running and Completed; each client has one connection."""
    flow_id = await make_flow(server)

    async def unit(link: Connection, work: Work) -> bool:
        created = await send(link, work, "/api/flow_runs/", bodies.flow_run(flow_id))
        if created is None:
            return False
        run_id = created.json()["id"]
        for name in ("Pending", "Running", "Completed"):
            answer = await send(link, work, f"/api/flow_runs/{run_id}/set_state", bodies.set_state(run_id, name))
            if answer is None:
                return False
            if answer.json()["status"] != "ACCEPT":
                raise RuntimeError(f"{server.name} did not accept {name}: {answer.body!r}")
        return True

    return await drive(server, units, clients, unit)


async def logs(server: Server, units: int, clients: int) -> Work:
    """Unit: one POST /logs/ of 50 lines."""
    run_id = await make_flow_run(server)

    async def unit(link: Connection, work: Work) -> bool:
        lines = [bodies.log(run_id, f"Row {n} of the table customers was written in 12.7 ms") for n in range(LOG_BATCH)]
        return await send(link, work, "/api/logs/", lines) is not None

    return await drive(server, units, clients, unit)


async def events(server: Server, units: int, clients: int) -> Work:
    """Unit: 999 events of 333 task runs over one socket, until the last task run is readable in its last state."""
    work = Work()
    for _ in range(units):
        run_id, flow_id = await make_flow_run(server), await make_flow(server)
        runs = [bodies.TaskRun(run_id, flow_id) for _ in range(TASK_RUNS)]
        begun = time.monotonic()
        async with EventSocket(server.host, server.port) as socket:
            for run in runs:
                await socket.send(run.events("Pending", "Running", "Completed"))
            await socket.confirm()
            confirmed = time.monotonic()
            await _until_completed(server, runs[-1].id, run_id)
        work.readable.append(time.monotonic() - confirmed)
        work.units.append(confirmed - begun)
    return work


class Late:
    """Unit: a scheduled run that nobody takes becomes Late, among as many at once as there are units.

    The runs are made before (`prepare`), which is not counted; what is counted begins a moment before they are late.
    """

    LATE_AFTER = 15.0

    def __init__(self) -> None:
        self._flow_id = ""
        self._due = 0.0

    async def prepare(self, server: Server, units: int, clients: int) -> None:
        begun = time.time()
        # A flow of its own for each round: those that are late since the last one would be counted too.
        self._flow_id = await made(server, "/api/flows/", bodies.flow(f"late {begun}"))
        await self._make(server, 8, clients, begun + 600)
        at = time.time() + 2 + 2 * units * (time.time() - begun) / 8
        await self._make(server, units, clients, at)
        self._due = at + self.LATE_AFTER
        await asyncio.sleep(max(0.0, self._due - time.time() - 0.5))

    async def __call__(self, server: Server, units: int, clients: int) -> Work:
        link, work = server.connection(), Work()
        state = {"name": {"any_": ["Late"]}, "type": {"any_": ["SCHEDULED"]}}
        asked = {"flow_runs": {"state": state}, "flows": {"id": {"any_": [self._flow_id]}}}
        while (await link.post("/api/flow_runs/count", asked)).json() < units:
            await asyncio.sleep(0.5)
        await link.close()
        work.units.append(time.time() - self._due)
        return work

    async def _make(self, server: Server, runs: int, clients: int, at: float) -> None:
        body = bodies.flow_run(self._flow_id)
        body["state"]["state_details"]["scheduled_time"] = bodies.instant(datetime.fromtimestamp(at, UTC))

        async def unit(link: Connection, work: Work) -> bool:
            return await send(link, work, "/api/flow_runs/", body) is not None

        await drive(server, runs, clients, unit)


SCHEDULES: tuple[dict[str, Any], ...] = (
    {"cron": "*/5 * * * *"},
    {"cron": "0 * * * *"},
    {"cron": "0 9 * * mon-fri", "timezone": "Europe/Berlin"},
    {"interval": 3600},
    {"interval": 86400, "timezone": "America/New_York"},
    {"rrule": "FREQ=DAILY;BYHOUR=7"},
    {"rrule": "FREQ=MINUTELY;INTERVAL=10"},
    {"cron": "* * * * *"},
)


class Schedules(Late):
    """Unit: a paused deployment with a schedule is resumed, and its runs are made.

    The deployments are made before, which is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[str] = []

    async def prepare(self, server: Server, units: int, clients: int) -> None:
        self._flow_id = await make_flow(server)
        self._ids = []
        numbers = itertools.count()

        async def unit(link: Connection, work: Work) -> bool:
            number = next(numbers)
            schedule = {"schedule": SCHEDULES[number % len(SCHEDULES)]}
            name = f"{time.time()} {number}"
            body = {"name": name, "flow_id": self._flow_id, "paused": True, "schedules": [schedule]}
            made = await send(link, work, "/api/deployments/", body)
            self._ids += [] if made is None else [made.json()["id"]]
            return made is not None

        while left := units - len(self._ids):
            await drive(server, left, clients, unit)

    async def __call__(self, server: Server, units: int, clients: int) -> Work:
        left = iter(self._ids)

        async def unit(link: Connection, work: Work) -> bool:
            return await send(link, work, f"/api/deployments/{next(left)}/resume_deployment", {}) is not None

        work = await drive(server, units, clients, unit)
        link, begun = server.connection(), time.monotonic()
        asked = {"deployments": {"id": {"any_": self._ids}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        # The reference gives some up.
        while (await link.post("/api/deployments/count", asked)).json() < units - work.failed:
            if time.monotonic() - begun > 300:
                raise TimeoutError(f"{server.name}: not all deployments have runs")
            await asyncio.sleep(0.5)
        await link.close()
        return work


async def drive(server: Server, units: int, clients: int, unit: Unit) -> Work:
    """Run `units` units on `clients` connections."""
    work = Work()
    left = iter(range(units))

    async def client() -> None:
        link = server.connection()
        for _ in left:
            begun = time.monotonic()
            done = await unit(link, work)
            work.units.append(time.monotonic() - begun)
            work.failed += not done
        await link.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return work


async def send(link: Connection, work: Work, path: str, body: Any) -> Answer | None:
    """POST as the SDK does: again after 429 and 503, with a growing pause; None when it must give up."""
    data = json.dumps(body).encode()
    for attempt in range(TRIES):
        begun = time.monotonic()
        answer = await link.post(path, data)
        work.requests.append(time.monotonic() - begun)
        work.statuses[answer.status] += 1
        if answer.status < 300:
            return answer
        if answer.status not in {429, 502, 503}:
            raise RuntimeError(f"{path}: {answer.status} {answer.body!r}")
        await asyncio.sleep(min(4.0, 0.2 * 2**attempt) * random.uniform(0.7, 1.3))
    return None


async def make_flow(server: Server) -> str:
    return await made(server, "/api/flows/", bodies.flow("bench"))


async def make_flow_run(server: Server) -> str:
    return await made(server, "/api/flow_runs/", bodies.flow_run(await make_flow(server)))


async def made(server: Server, path: str, body: Any) -> str:
    link = server.connection()
    answer = await send(link, Work(), path, body)
    await link.close()
    if answer is None:
        raise RuntimeError(f"{server.name} does not answer POST {path}")
    return str(answer.json()["id"])


async def _until_completed(server: Server, task_run_id: str, flow_run_id: str, timeout: float = 300.0) -> None:
    """Poll ever more slowly, so that asking costs a slow server little, until all task runs are COMPLETED."""
    link = server.connection()
    deadline, pause = time.monotonic() + timeout, 0.002
    while not await _is_completed(link, task_run_id):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server.name}: task run {task_run_id} is not COMPLETED after {timeout:.0f} s")
        await asyncio.sleep(pause)
        pause = min(0.5, pause * 1.2)
    chosen = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    count = (await link.post("/api/task_runs/count", chosen)).json()
    await link.close()
    if count != TASK_RUNS:
        raise RuntimeError(f"{server.name}: {count} of {TASK_RUNS} task runs are COMPLETED after the last one is")


async def _is_completed(link: Connection, task_run_id: str) -> bool:
    answer = await link.get(f"/api/task_runs/{task_run_id}")
    return answer.status == 200 and answer.json()["state_type"] == "COMPLETED"
