"""Pools and their queues: what becomes of them, and what is told of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import calls
from tests.work_pools.world import World

from lictor.db import sql
from lictor.work_pools import loops, pools, queues
from lictor.work_pools.store import Rank
from lictor.work_pools.types import WorkPoolCreate, WorkQueueCreate

IDS = sql("test.work_pools.events", None, "select id, follows from events order by position")


def told(world: World, since: int = 0) -> list[str]:
    return [name.removeprefix("prefect.") for name in calls.event_names(world.db)][since:]


def patch(world: World, path: str, **changes: Any) -> list[str]:
    """The events of a change."""
    before = len(told(world))
    assert world.http.patch(f"/work_pools/{path}", json=changes).status == 204
    return told(world, before)


def priorities(world: World) -> dict[str, int]:
    found = world.http.post("/work_pools/p/queues/filter", json={}).json
    return {one["name"]: one["priority"] for one in found}


def test_a_new_pool_has_a_default_queue_and_is_not_ready(world: World) -> None:
    assert world.pool["status"] == "NOT_READY"
    assert told(world) == ["work-queue.created", "work-pool.created", "work-pool.not-ready"]
    queue = world.http.get("/work_pools/p/queues/default").json
    assert (queue["id"], queue["priority"]) == (world.pool["default_queue_id"], 1)


def test_a_template_whose_required_is_no_list_is_refused(world: World) -> None:
    variables = {"properties": {"n": {"type": "integer", "default": 1}}, "required": -1}
    template = {"job_configuration": {"n": "{{ n }}"}, "variables": variables}
    answer = world.http.post("/work_pools/", json={"name": "bad", "base_job_template": template})
    assert (answer.status, answer.json) == (422, {"detail": "Invalid schema: -1 is not of type 'array'"})


@pytest.mark.parametrize("paused", [False, True])
def test_the_status_of_a_pool_of_agents_is_told_though_it_is_not_shown(world: World, paused: bool) -> None:
    before = len(told(world))
    made = world.http.post("/work_pools/", json={"name": "agents", "is_paused": paused}).json
    assert (made["type"], made["status"]) == ("prefect-agent", None)
    assert told(world, before)[-1] == "work-pool.not-ready"
    before = len(told(world))
    for _ in range(2):
        world.http.post("/work_pools/agents/workers/heartbeat", json={"name": "w"})
    assert told(world, before) == ["work-pool.ready"]
    assert world.http.delete("/work_pools/agents/workers/w").status == 204
    assert world.db.write_now(loops.pools_not_ready) == 1
    assert told(world, before) == ["work-pool.ready", "work-pool.not-ready"]
    assert world.http.get("/work_pools/agents").json["status"] is None


def test_the_status_of_a_pool_follows_pauses_and_workers(world: World) -> None:
    def status() -> str:
        return str(world.http.get("/work_pools/p").json["status"])

    assert patch(world, "p", is_paused=True) == ["work-pool.paused"]
    world.http.post("/work_pools/p/workers/heartbeat", json={"name": "w"})
    assert status() == "PAUSED"
    assert patch(world, "p", is_paused=False) == ["work-pool.ready"]
    assert patch(world, "p", is_paused=False) == ["work-pool.ready"]
    assert world.http.delete("/work_pools/p/workers/w").status == 204
    assert patch(world, "p", is_paused=False) == ["work-pool.not-ready"]
    before = len(told(world))
    for _ in range(2):
        world.http.post("/work_pools/p/workers/heartbeat", json={"name": "w"})
    assert (status(), told(world, before)) == ("READY", ["work-pool.ready"])


def test_a_status_follows_the_one_before_if_that_was_not_long_ago(world: World) -> None:
    def last() -> Any:
        return world.db.read_now(lambda tx: tx.all(IDS))[-1]

    patch(world, "p", is_paused=True)
    first, _ = last()
    patch(world, "p", is_paused=False)
    second, follows = last()
    assert follows == first
    world.later(601)
    patch(world, "p", is_paused=True)
    assert last()[1] is None
    assert second != first


def test_changes_of_a_pool_are_told_with_what_was_before(world: World) -> None:
    assert patch(world, "p", description=None) == []
    assert patch(world, "p", description="d", concurrency_limit=3) == ["work-pool.updated"]
    assert calls.last_event(world.db)["payload"] == {
        "updated_fields": ["description", "concurrency_limit"],
        "updates": {"description": {"from": None, "to": "d"}, "concurrency_limit": {"from": None, "to": 3}},
    }


def test_deleting_a_pool_takes_its_queues_and_workers_but_leaves_its_runs(world: World) -> None:
    world.queue("q")
    world.http.post("/work_pools/p/workers/heartbeat", json={"name": "w"})
    run_id = world.run("r", queue="q")
    before = len(told(world))

    assert world.http.delete("/work_pools/p").status == 204

    assert told(world, before) == ["work-queue.deleted", "work-queue.deleted", "work-pool.deleted"]
    assert world.http.get(f"/flow_runs/{run_id}").json["work_queue_id"] is None
    assert world.http.post("/work_queues/filter", json={}).json == []


def test_pools_made_and_deleted_by_many_at_once(world: World) -> None:
    def make_and_delete(number: int) -> bool:
        new = WorkPoolCreate(name=f"pool-{number}", type="process")
        made = world.db.write_now(pools.insert, new) is not None
        world.db.write_now(pools.delete, new.name)
        return made

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make_and_delete, range(200)))

    assert all(made)
    assert len(world.http.post("/work_queues/filter", json={}).json) == 1
    assert told(world).count("work-pool.deleted") == 200


def test_one_pool_made_by_many_at_once_is_made_once(world: World) -> None:
    new = WorkPoolCreate(name="q", type="process")
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: world.db.write_now(pools.insert, new), range(16)))

    assert sum(pool is not None for pool in made) == 1


def test_queues_make_room_for_a_wanted_priority(world: World) -> None:
    world.queue("a")
    world.queue("b", priority=1)
    assert priorities(world) == {"b": 1, "default": 2, "a": 3}
    assert patch(world, "p/queues/a", priority=1) == ["work-queue.updated"]
    assert priorities(world) == {"a": 1, "b": 2, "default": 3}
    world.queue("far", priority=9)
    world.queue("next")
    assert priorities(world) == {"a": 1, "b": 2, "default": 3, "next": 4, "far": 9}


@given(st.lists(st.integers(1, 9), max_size=6, unique=True), st.integers(1, 9))
def test_priorities_stay_apart_and_nobody_overtakes(taken: list[int], wanted: int) -> None:
    others = [Rank(str(number), number) for number in sorted(taken)]
    changed = queues.shifted(others, Rank("new", wanted))

    after = [changed.get(rank.id, rank.priority) for rank in others]
    assert "new" not in changed
    assert after == sorted(after)
    assert len({*after, wanted}) == len(after) + 1


def test_queues_made_by_many_at_once_have_priorities_of_their_own(world: World) -> None:
    with ThreadPoolExecutor(8) as threads:
        new = [WorkQueueCreate(name=f"q{number}") for number in range(16)]
        list(threads.map(lambda one: world.db.write_now(queues.create, "p", one), new))

    assert sorted(priorities(world).values()) == list(range(1, 18))


def test_the_status_of_a_queue_follows_pauses_and_polls(world: World) -> None:
    world.queue("q")
    assert patch(world, "p/queues/q", is_paused=True) == ["work-queue.paused"]
    assert patch(world, "p/queues/q", is_paused=True) == []
    assert patch(world, "p/queues/q", is_paused=False) == ["work-queue.not-ready"]
    world.poll(work_queue_names=["q"])
    patch(world, "p/queues/q", is_paused=True)
    world.later(59)
    assert patch(world, "p/queues/q", is_paused=False) == ["work-queue.ready"]
    patch(world, "p/queues/q", is_paused=True)
    world.later(2)
    assert patch(world, "p/queues/q", is_paused=False) == ["work-queue.not-ready"]


def test_the_default_queue_stays(world: World) -> None:
    queue_id = world.pool["default_queue_id"]
    assert world.http.delete("/work_pools/p/queues/default").status == 409
    assert world.http.delete(f"/work_queues/{queue_id}").status == 409
    assert list(priorities(world)) == ["default"]


@pytest.mark.parametrize("name", ["Prefect", "prefect:managed", "PREFECT-x"])
def test_some_names_are_reserved(world: World, name: str) -> None:
    assert world.http.post("/work_pools/", json={"name": name}).status == 403
    assert world.http.patch(f"/work_pools/{name}", json={"description": "d"}).status == 403
    assert world.http.patch(f"/work_pools/{name}", json={"is_paused": True}).status == 404
    assert world.http.delete(f"/work_pools/{name}").status == 403


def test_queues_of_the_oldest_kind_serve_what_meets_their_filter(world: World) -> None:
    deployed = world.deployment()
    world.run("plain", due=-50, deployment_id=deployed, work_queue_id=None)
    world.run("tagged", due=-40, deployment_id=deployed, tags=["t"], work_queue_id=None)
    world.run("not deployed", due=-30, tags=["t"], work_queue_id=None)
    body = {"name": "old", "filter": {"tags": ["t"]}, "concurrency_limit": 2}
    queue = world.http.post("/work_queues/", json=body).json
    path = f"/work_queues/{queue['id']}"

    assert [run["name"] for run in world.http.post(f"{path}/get_runs", json={}).json] == ["tagged"]
    for _ in range(2):
        world.run("busy", state="RUNNING", deployment_id=deployed, tags=["t", "u"])
    assert world.http.post(f"{path}/get_runs", json={}).json == []
    assert world.http.get(path).json["active_slots"] == 2
