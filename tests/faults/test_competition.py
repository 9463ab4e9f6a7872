"""Two clients that both want to start the same run: exactly one may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from bench import bodies
from bench.http import Connection
from bench.servers import Server
from tests.faults.place import Place
from tests.faults.scale import scaled

RUNS = scaled(100, 500)
pytestmark = pytest.mark.timeout(60 + RUNS)


def test_one_of_two_transitions_to_pending_wins(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    asyncio.run(compete(server, server, RUNS))
    place.check()


def test_one_of_two_transitions_wins_across_servers(on_postgres: Place, start: Callable[[Place], Server]) -> None:
    first = start(on_postgres)
    asyncio.run(compete(first, start(on_postgres), RUNS))
    on_postgres.check()


async def compete(one: Server, other: Server, runs: int) -> None:
    rivals = [one.connection(), other.connection()]
    flow_id = (await rivals[0].post("/api/flows/", bodies.flow("faults"))).json()["id"]
    for _ in range(runs):
        run_id = (await rivals[0].post("/api/flow_runs/", bodies.flow_run(flow_id))).json()["id"]
        outcomes = await asyncio.gather(*(claim(rival, run_id) for rival in rivals))
        assert sorted(outcomes) == ["ABORT", "ACCEPT"], (run_id, outcomes)
        history = (await rivals[0].get(f"/api/flow_run_states/?flow_run_id={run_id}")).json()
        assert [state["name"] for state in history] == ["Scheduled", "Pending"]
    for rival in rivals:
        await rival.close()


async def claim(rival: Connection, run_id: str) -> str:
    """Propose Pending with a transition id of its own; the verdict."""
    answer = await rival.post(f"/api/flow_runs/{run_id}/set_state", bodies.set_state(run_id, "Pending"))
    assert answer.status in {200, 201}, (answer.status, answer.body)
    return str(answer.json()["status"])
