"""Which runs a worker is handed, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from tests import calls
from tests.work_pools.world import World

from lictor.db import sql
from lictor.work_pools import polling

DEACTIVATE = sql("test.polling.deactivate", None, "update concurrency_limit_v2 set active = false where id = :id")


def test_runs_come_by_the_priority_of_their_queue_and_then_by_their_time(world: World) -> None:
    world.queue("low")
    world.queue("high", priority=1)
    world.run("l", due=-50, queue="low")
    world.run("d2", due=-20)
    world.run("d1", due=-40)
    world.run("h", due=-10, queue="high")
    world.run("later", due=60)

    assert world.poll() == ["h", "d1", "d2", "l"]
    assert world.poll(limit=3) == ["h", "d1", "d2"]
    assert world.poll(work_queue_names=["low"]) == ["l"]
    assert world.poll(scheduled_after=world.ago(45).isoformat()) == ["h", "d1", "d2"]


def test_only_what_is_scheduled_and_not_retried_in_its_process(world: World) -> None:
    world.run("pending", state="PENDING")
    world.run("in its process", state="SCHEDULED/AwaitingRetry", empirical_policy={"retry_type": "in_process"})
    world.run("anew", state="SCHEDULED/AwaitingRetry", empirical_policy={"retry_type": "reschedule"})

    assert world.poll() == ["anew"]


def test_limits_of_queue_and_pool_count_what_is_pending_or_running(world: World) -> None:
    world.queue("q", concurrency_limit=2)
    world.http.patch("/work_pools/p", json={"concurrency_limit": 4})
    for number in range(5):
        world.run(f"q{number}", due=number - 50, queue="q")
        world.run(f"d{number}", due=number - 50)
    assert world.poll() == ["d0", "d1", "d2", "d3"]
    assert world.poll(work_queue_names=["q"]) == ["q0", "q1"]

    world.run("running", state="RUNNING", queue="q")
    world.run("cancelling", state="CANCELLING", queue="q")

    assert world.poll(work_queue_names=["q"]) == ["q0"]
    assert world.poll() == ["d0", "d1", "d2"]


@pytest.mark.parametrize("path", ["/work_pools/p", "/work_pools/p/queues/default"])
def test_what_is_paused_hands_nothing_out(world: World, path: str) -> None:
    world.run("r")
    assert world.http.patch(path, json={"is_paused": True}).status == 204

    assert world.poll() == []


def test_runs_that_wait_for_a_slot_do_not_hide_others(world: World) -> None:
    limited, free = world.deployment(1), world.deployment()
    for number in range(polling.AHEAD + 50):
        world.run(f"a{number:03}", due=number - 1000, deployment_id=limited)
    world.run("b", due=-1, deployment_id=free)
    world.run("c", due=-1)

    assert world.poll(limit=10) == ["a000", "b", "c"]


def test_a_limited_deployment_drains_oldest_first_and_nobody_is_turned_away(world: World) -> None:
    limited = world.deployment(2)
    ids = {f"a{n:02}": world.run(f"a{n:02}", due=n - 100, deployment_id=limited) for n in range(7)}
    started: list[str] = []
    while handed := world.poll():
        for name in handed:
            assert world.propose(ids[name], "PENDING")["status"] == "ACCEPT"
            started.append(name)
        assert world.poll() == []
        for name in handed:
            world.propose(ids[name], "RUNNING")
            world.propose(ids[name], "COMPLETED")

    assert started == sorted(ids)


def test_a_run_that_was_put_off_goes_on_when_a_slot_is_free_and_does_not_wait_any_longer(world: World) -> None:
    limited = world.deployment(1)
    first = world.run("first", due=-20, deployment_id=limited)
    second = world.run("second", due=-10, deployment_id=limited)
    world.propose(first, "PENDING")
    turned_away = world.propose(second, "PENDING")
    assert turned_away["state"]["name"] == "AwaitingConcurrencySlot"
    world.run("third", due=-5, deployment_id=limited)
    assert world.poll() == []

    world.propose(first, "COMPLETED")

    assert world.poll() == ["second"]
    assert world.propose(second, "PENDING")["status"] == "ACCEPT"
    assert world.propose(second, "RUNNING")["status"] == "ACCEPT"


def test_a_limited_run_that_is_wanted_before_it_was_planned_is_handed_out(world: World) -> None:
    limited = world.deployment(2)
    world.run("planned", due=-5, deployment_id=limited)
    world.run("early", due=-3, deployment_id=limited, expected_start_time=world.ago(-3600))
    world.run("later", due=3600, deployment_id=limited)

    assert world.poll() == ["planned", "early"]


def test_deployments_that_share_a_limit_share_its_slots(world: World) -> None:
    limit_id = world.limit(3)
    one, other = world.deployment(limit_id=limit_id), world.deployment(limit_id=limit_id)
    world.queue("q")
    for number in range(4):
        world.run(f"a{number}", due=number - 100, deployment_id=one)
        world.run(f"b{number}", due=number - 99.5, deployment_id=other, queue="q")

    assert world.poll() == ["a0", "a1", "a2"]
    assert world.poll(work_queue_names=["q"]) == ["b0", "b1", "b2"]
    assert world.poll(limit=2) == ["a0", "a1"]


def test_where_new_runs_are_cancelled_all_are_handed_out(world: World) -> None:
    limited = world.deployment(1, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    for number in range(3):
        world.run(f"a{number}", due=number - 100, deployment_id=limited)

    assert world.poll() == ["a0", "a1", "a2"]


def test_an_inactive_limit_is_none(world: World) -> None:
    limit_id = world.limit(1)
    limited = world.deployment(limit_id=limit_id)
    for number in range(3):
        world.run(f"a{number}", due=number - 100, deployment_id=limited)
    assert world.poll() == ["a0"]

    world.db.write_now(lambda tx: tx.run(DEACTIVATE, id=limit_id))

    assert world.poll() == ["a0", "a1", "a2"]


def test_a_runner_is_handed_the_runs_of_its_deployments_by_the_same_rules(world: World) -> None:
    limited, free, other = world.deployment(1), world.deployment(), world.deployment()
    for number in range(3):
        world.run(f"a{number}", due=number - 100, deployment_id=limited)
    world.run("b", due=-200, deployment_id=free)
    world.run("later", due=60, deployment_id=free)
    world.run("c", due=-200, deployment_id=other)

    def polled(limit: int) -> list[str]:
        found = world.db.read_now(polling.poll_deployments, [limited, free], world.now, limit)
        return [run.name for run in found]

    assert polled(10) == ["b", "a0"]
    assert polled(1) == ["b"]


def test_a_poll_leaves_its_queues_ready_and_tells_who_follows(world: World) -> None:
    world.queue("q")
    world.poll(work_queue_names=["q"])

    queue: Any = world.http.get("/work_pools/p/queues/q").json
    assert (queue["status"], queue["last_polled"]) == ("READY", "2026-01-01T00:00:00Z")
    assert world.http.get("/work_pools/p/queues/default").json["status"] == "NOT_READY"
    assert world.told == [[queue["id"]]]
    assert calls.last_event(world.db)["event"] == "prefect.work-queue.ready"


def test_polls_in_quick_succession_are_noted_once(world: World) -> None:
    world.poll()
    world.later(4)
    world.poll()
    assert len(world.told) == 1

    world.later(2)
    world.poll()

    assert len(world.told) == 2
    assert world.http.get("/work_pools/p/queues/default").json["last_polled"] == "2026-01-01T00:00:06Z"
    assert calls.event_names(world.db).count("prefect.work-queue.ready") == 1


def test_a_paused_queue_stays_paused_when_it_is_polled(world: World) -> None:
    world.http.patch("/work_pools/p/queues/default", json={"is_paused": True})
    world.poll()

    assert world.http.get("/work_pools/p/queues/default").json["status"] == "PAUSED"


def test_a_run_is_handed_out_by_the_first_poll_after_its_time_has_come(world: World) -> None:
    """Nothing of the server stands between the two: no round of a service, no cache."""
    deployment = world.deployment()
    world.run("r", due=60, deployment_id=deployment)
    for seconds, expected in ((59.999, []), (0.001, ["r"])):
        world.later(seconds)
        now = {"scheduled_before": world.now.isoformat()}
        assert world.poll(**now) == expected
        found = world.db.read_now(polling.poll_deployments, [deployment], world.now, 10)
        assert [run.name for run in found] == expected
