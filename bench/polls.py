"""A worker's poll of a pool with many scheduled runs, of which few are due."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import bodies
from bench.filling import series
from bench.http import Connection
from bench.loads import Late, Work, drive, made, make_flow, send
from bench.servers import Server
from lictor.db import Tx, open_database
from lictor.db.statement import composed

DUE = 5
COMING = {"lictor": 100_000, "reference": 400}
"""Runs that are to come. The reference has to be given them one by one, so it gets as many as it can bear."""

# Copies of a run that was made over the API, a second apart from an hour on.
COPIES = f"""
    insert into flow_run (
        id, created, updated, name, flow_id, deployment_id, work_queue_id, work_queue_name, state_id, state_type,
        state_name, state_timestamp, expected_start_time, next_scheduled_start_time, parameters, tags, auto_scheduled
    )
    {series()}
    select {{new_id}}, r.created, r.updated, r.name || cast(i as text), r.flow_id, r.deployment_id, r.work_queue_id,
        r.work_queue_name, r.state_id, r.state_type, r.state_name, r.state_timestamp, {{add_seconds:now:3600 + i}},
        {{add_seconds:now:3600 + i}}, r.parameters, r.tags, r.auto_scheduled
    from n cross join moments cross join flow_run r where r.id = :id"""
NEW_ID = {
    "sqlite": "substr('00000000' || cast(i as text), -8) || substr(r.id, 9)",
    "postgres": "cast(lpad(cast(i as text), 8, '0') || substr(cast(r.id as text), 9) as uuid)",
}


class Polls(Late):
    """Unit: one poll, as a worker makes it, that is handed the five runs that are due.

    What it finds is made before (`prepare`), which is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = ""
        self._filled: set[int] = set()

    async def prepare(self, server: Server, units: int, clients: int) -> None:
        if server.pid in self._filled:
            return
        self._filled.add(server.pid)
        self._pool = "polled"
        await made(server, "/api/work_pools/", {"name": self._pool, "type": "process"})
        flow_id = await make_flow(server)
        deployment = {"name": "polled", "flow_id": flow_id, "work_pool_name": self._pool}
        path = f"/api/deployments/{await made(server, '/api/deployments/', deployment)}/create_flow_run"
        now = datetime.now(UTC)
        for _ in range(DUE):
            await made(server, path, scheduled(now))
        if server.name == "lictor":
            copy(server, await made(server, path, scheduled(now + timedelta(hours=1))), COMING["lictor"])
            return
        numbers = iter(range(COMING[server.name]))

        async def unit(link: Connection, work: Work) -> bool:
            at = now + timedelta(hours=1, seconds=next(numbers))
            return await send(link, work, path, scheduled(at)) is not None

        await drive(server, COMING[server.name], clients, unit)

    async def __call__(self, server: Server, units: int, clients: int) -> Work:
        async def unit(link: Connection, work: Work) -> bool:
            body = {"scheduled_before": (datetime.now(UTC) + timedelta(seconds=10)).isoformat()}
            answer = await send(link, work, f"/api/work_pools/{self._pool}/get_scheduled_flow_runs", body)
            if answer is not None and len(answer.json()) != DUE:
                raise RuntimeError(f"{server.name} handed out {len(answer.json())} runs rather than {DUE}")
            return answer is not None

        return await drive(server, units, clients, unit)


def scheduled(at: datetime) -> dict[str, Any]:
    return {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": bodies.instant(at)}}}


def copy(server: Server, run_id: str, count: int) -> None:
    db = open_database(server.database.replace("+aiosqlite", "").replace("+asyncpg", ""))
    text = COPIES.replace("{new_id}", NEW_ID[db.dialect.name])

    def write(tx: Tx, first: int, last: int) -> None:
        tx.run(composed(None, text), id=run_id, first=first, last=last, now=datetime.now(UTC))

    for first in range(1, count, 10_000):
        db.write_now(write, first, min(first + 9_999, count))
    if db.dialect.name == "postgres":
        db.write_now(lambda tx: tx.run(composed(None, "analyze flow_run")))
    db.close()
    time.sleep(1)
