"""Health, version, hello and readiness, as the reference answers."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from tests import calls

from lictor import root
from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.loops import Leases, Service, Supervisor


def test_answers(db: Database) -> None:
    client = calls.client(db, root.router)

    assert client.get("/health").json is True
    assert client.get("/version").json == "0.8.4"
    assert client.get("/hello").json == "👋"
    assert (client.get("/ready").status, client.get("/ready").json) == (200, {"message": "OK"})


def test_without_its_database_a_server_is_healthy_but_not_ready(db: Database) -> None:
    client = calls.client(db, root.router)
    db.close()

    answer = client.get("/ready")

    assert (answer.status, answer.json) == (503, {"message": "Database is not available"})
    assert client.get("/health").status == 200


def test_a_database_that_does_not_answer_in_time_is_not_available(db: Database) -> None:
    go = threading.Event()

    def hold(tx: Tx) -> bool:
        return go.wait(10)

    async def ask() -> tuple[bool, bool]:
        held = [asyncio.ensure_future(db.read(hold)) for _ in range(16)]
        late = await root.database_answers(db, 0.05)
        go.set()
        await asyncio.gather(*held)
        return late, await root.database_answers(db, 5)

    assert asyncio.run(ask()) == (False, True)


class Idle(Service):
    name = "idle"

    async def run_once(self) -> int:
        return 0


def test_a_process_of_services_names_the_one_that_is_stalled(db: Database) -> None:
    supervisor = Supervisor([Idle(5)], Leases(db, ["idle"], length=3600))
    client = calls.client(db, root.of_services(), supervisor=supervisor)

    async def lead() -> None:
        await supervisor.start()
        async with asyncio.timeout(5):
            while not all(service.last_run for service in supervisor.health()):
                await asyncio.sleep(0.01)

    client.runner.run(lead())
    health = client.get("/health")
    assert (health.status, health.json["stalled"]) == (200, [])
    later = clock.now() + timedelta(seconds=76)
    clock.set_source(lambda: later)
    health = client.get("/health")
    assert (health.status, health.json["stalled"], health.json["services"][0]["name"]) == (503, ["idle"], "idle")
    assert client.get("/ready").status == 503
    client.runner.run(supervisor.stop())
