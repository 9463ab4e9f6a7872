"""Who falls silent is noticed, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests import calls
from tests.work_pools.world import World

from lictor.work_pools.loops import Foreman, Silence


@pytest.fixture
def foreman(world: World) -> Foreman:
    return Foreman(world.db, Silence())


def round_of(foreman: Foreman) -> int:
    return asyncio.run(foreman.run_once())


def beat(world: World, name: str, seconds: int | None = None) -> None:
    body = {"name": name, "heartbeat_interval_seconds": seconds}
    assert world.http.post("/work_pools/p/workers/heartbeat", json=body).status == 204


def statuses(world: World) -> dict[str, str]:
    found = world.http.post("/work_pools/p/workers/filter", json={}).json
    return {one["name"]: one["status"] for one in found} | {"p": world.http.get("/work_pools/p").json["status"]}


def test_a_worker_may_miss_three_of_its_heartbeats(world: World, foreman: Foreman) -> None:
    beat(world, "slow", 20)
    beat(world, "fast", 1)
    beat(world, "default")

    world.later(3)
    assert round_of(foreman) == 0
    world.later(0.1)
    assert round_of(foreman) == 1
    assert statuses(world) == {"slow": "ONLINE", "fast": "OFFLINE", "default": "ONLINE", "p": "READY"}
    world.later(57)
    round_of(foreman)
    assert statuses(world)["slow"] == "OFFLINE"
    world.later(29)
    assert round_of(foreman) == 0
    world.later(1)
    assert round_of(foreman) == 2
    assert statuses(world) == {"slow": "OFFLINE", "fast": "OFFLINE", "default": "OFFLINE", "p": "NOT_READY"}


def test_a_pool_without_workers_is_not_ready_and_that_is_told_once(world: World, foreman: Foreman) -> None:
    beat(world, "w", 1)
    world.later(4)
    round_of(foreman)
    round_of(foreman)

    told = [name for name in calls.event_names(world.db) if name.startswith("prefect.work-pool.")]
    assert told == ["prefect.work-pool." + one for one in ("created", "not-ready", "ready", "not-ready")]
    beat(world, "w", 1)
    assert statuses(world) == {"w": "ONLINE", "p": "READY"}


def test_a_paused_pool_stays_paused(world: World, foreman: Foreman) -> None:
    beat(world, "w", 1)
    world.http.patch("/work_pools/p", json={"is_paused": True})
    world.later(4)
    round_of(foreman)

    assert statuses(world) == {"w": "OFFLINE", "p": "PAUSED"}


def test_a_queue_that_nobody_polls_is_not_ready(world: World, foreman: Foreman) -> None:
    world.queue("other")
    world.poll(work_queue_names=["default"])
    world.later(60)
    assert round_of(foreman) == 0
    world.later(0.1)
    assert round_of(foreman) == 1
    assert round_of(foreman) == 0

    assert world.http.get("/work_pools/p/queues/default").json["status"] == "NOT_READY"
    event: Any = calls.last_event(world.db)
    assert (event["event"], event["resource"]["prefect.resource.name"]) == ("prefect.work-queue.not-ready", "default")


def test_deployments_are_told_of_with_their_own_time(world: World) -> None:
    asked: list[Any] = []

    def deployments(_: Any, before: Any) -> int:
        asked.append(before)
        return 2

    assert round_of(Foreman(world.db, Silence(deployment=30), deployments=deployments)) == 2
    assert asked == [world.ago(30)]
