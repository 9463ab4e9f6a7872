"""Health, version, hello and readiness, as the reference answers."""

from __future__ import annotations

import asyncio
import threading

from tests import calls

from lictor import root
from lictor.db import Database, Tx


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
