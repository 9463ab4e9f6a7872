"""The services over flow runs: what each does to runs that are due, and that it leaves all others alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests import rows
from tests.concurrency.http import run as execute
from tests.concurrency.http import value
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.concurrency.facts import deployment_slots
from lictor.concurrency.slots import Waits
from lictor.db import Database
from lictor.flow_runs import loops, sweeping
from lictor.flow_runs.loops import CancellationCleanup, LateRuns, PauseExpirations, Unfinished
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock, ids, times
from lictor.loops import Service
from lictor.task_runs.transitions import TaskOrchestration

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = Orchestration(limits=deployment_slots(Waits()))


class Clock:
    def __init__(self) -> None:
        self.now = START
        clock.set_source(lambda: self.now)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db, RUNS)


def once(service: Service) -> int:
    return asyncio.run(service.run_once())


def late_runs(db: Database) -> LateRuns:
    return LateRuns(db, RUNS, timedelta(seconds=15))


def a_subflow(client: TestClient, parent: str, state: str = "RUNNING", key: str = "child", **more: Any) -> str:
    task = http.a_task(client, parent, key)
    return str(http.a_run(client, state, parent_task_run_id=task, **more)["id"])


def a_deployment(client: TestClient, db: Database, **columns: Any) -> str:
    return db.write_now(rows.a_deployment, http.a_flow(client), **columns)


def state(client: TestClient, run_id: str) -> tuple[str, str | None]:
    found = http.read(client, run_id)["state"]
    return found["name"], found["message"]


def task(client: TestClient, run_id: str) -> Any:
    return client.get(f"/task_runs/{run_id}").json


def test_a_run_that_did_not_start_is_late_once(client: TestClient, db: Database, time: Clock) -> None:
    run = http.a_run(client, "SCHEDULED")
    service = late_runs(db)
    time.later(14)
    assert once(service) == 0
    time.later(2)
    assert once(service) == 1
    after = http.read(client, run["id"])
    assert (after["state_type"], after["state_name"]) == ("SCHEDULED", "Late")
    assert after["state"]["state_details"]["scheduled_time"] == "2026-01-01T00:00:00Z"
    assert after["next_scheduled_start_time"] == after["expected_start_time"] == run["expected_start_time"]
    assert [one.event for one in http.events(db, run["id"])] == ["prefect.flow-run.Scheduled", "prefect.flow-run.Late"]
    assert once(service) == 0


def test_runs_that_wait_for_something_else_are_not_late(client: TestClient, db: Database, time: Clock) -> None:
    for name in ("AwaitingRetry", "AwaitingConcurrencySlot", "Resuming"):
        http.a_run(client, {"type": "SCHEDULED", "name": name})
    http.a_run(client, {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-02-01T00:00:00Z"}})
    http.a_run(client, "PENDING")
    time.later(60)
    assert once(late_runs(db)) == 0


def test_a_run_that_is_taken_meanwhile_is_not_late(client: TestClient, db: Database, time: Clock) -> None:
    run = http.a_run(client, "SCHEDULED")
    time.later(60)
    found = db.read_now(loops.late, clock.now(), 10)
    http.set_state(client, run["id"], "PENDING")
    sweep = sweeping.Sweep(db, RUNS, loops._late, policy=loops.MARK_LATE)
    assert asyncio.run(sweep.over(found)) == 0
    assert http.history(client, run["id"]) == ["Scheduled", "Pending"]


def test_a_run_that_cannot_be_marked_holds_up_no_other(client: TestClient, db: Database, time: Clock) -> None:
    ids_ = [http.a_run(client, "SCHEDULED")["id"] for _ in range(5)]
    broken = """update flow_run set empirical_policy = '{"retry_type": 7}' where id = :id"""
    execute(db, broken, id=ids_[2])
    time.later(60)
    with pytest.raises(Exception, match="retry_type"):
        once(late_runs(db))
    names = [value(db, "select state_name from flow_run where id = :id", id=id) for id in ids_]
    assert names == ["Late", "Late", "Scheduled", "Late", "Late"]


def test_a_full_deployment_that_cancels_what_is_new_does_so(client: TestClient, db: Database, time: Clock) -> None:
    now = clock.now()
    limit = ids.new()
    execute(
        db,
        'insert into concurrency_limit_v2 (id, created, updated, name, "limit", active_slots)'
        " values (:id, :now, :now, 'd', 1, 1)",
        id=limit,
        now=now,
    )
    options = {"concurrency_limit_id": limit, "concurrency_options": {"collision_strategy": "CANCEL_NEW"}}
    deployment = a_deployment(client, db, **options)
    run = http.a_run(client, "SCHEDULED", deployment_id=deployment)["id"]
    time.later(60)
    assert once(late_runs(db)) == 1
    assert state(client, run) == ("Cancelled", "Deployment concurrency limit reached.")


def test_a_pause_that_nobody_ends_fails(client: TestClient, db: Database, time: Clock) -> None:
    details = {"pause_timeout": times.text(START + timedelta(seconds=30))}
    paused, patient = http.a_run(client, "RUNNING")["id"], http.a_run(client, "RUNNING")["id"]
    http.set_state(client, paused, "PAUSED", state_details=details)
    http.set_state(client, patient, "PAUSED")
    service = PauseExpirations(db, RUNS)
    time.later(29)
    assert once(service) == 0
    time.later(2)
    assert once(service) == 1
    assert state(client, paused) == ("Failed", "The flow was paused and never resumed.")
    assert state(client, patient)[0] == "Paused"
    assert once(service) == 0


def cleanup(db: Database) -> CancellationCleanup:
    return CancellationCleanup(db, RUNS, TaskOrchestration(), timedelta(seconds=300))


def test_a_run_is_not_cancelling_for_ever(client: TestClient, db: Database, time: Clock) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    http.set_state(client, run, "CANCELLING")
    time.later(299)
    assert once(cleanup(db)) == 0
    time.later(2)
    assert once(cleanup(db)) == 1
    message = "Flow run cancellation timed out; marked this flow run as Cancelled."
    assert state(client, run) == ("Cancelled", message)


def test_subflows_are_cancelled_with_their_parent(client: TestClient, db: Database, time: Clock) -> None:
    deployment = a_deployment(client, db)
    parent = http.a_run(client, "RUNNING")["id"]
    deployed = a_subflow(client, parent, key="a", deployment_id=deployment)
    scheduled = a_subflow(client, parent, "SCHEDULED", key="b", deployment_id=deployment)
    inside = a_subflow(client, parent, key="c")
    grandchild = a_subflow(client, deployed, key="d", deployment_id=deployment)
    ended = a_subflow(client, parent, "COMPLETED", key="e", deployment_id=deployment)
    http.set_state(client, parent, "CANCELLING")
    runs = (deployed, scheduled, inside, grandchild, ended)
    assert [state(client, run)[0] for run in runs] == ["Cancelling", "Cancelled", "Running", "Cancelling", "Completed"]
    http.set_state(client, parent, "CANCELLED")
    assert [state(client, run)[0] for run in runs] == [
        "Cancelling", "Cancelled", "Cancelled", "Cancelling", "Completed",
    ]  # fmt: skip


def test_subflows_that_were_too_many_are_cancelled_by_the_service(
    client: TestClient, db: Database, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lictor.flow_runs.children.AT_ONCE", 1)
    parent, deployment = http.a_run(client, "RUNNING")["id"], a_deployment(client, db)
    runs = [a_subflow(client, parent, key=key, deployment_id=deployment) for key in "abc"]
    http.set_state(client, parent, "CANCELLING")
    assert sorted(state(client, run)[0] for run in runs) == ["Cancelling", "Running", "Running"]
    assert once(cleanup(db)) == 2
    assert [state(client, run)[0] for run in runs] == ["Cancelling"] * 3
    assert once(cleanup(db)) == 0


def test_the_tasks_of_a_cancelled_run_are_cancelled(client: TestClient, db: Database, time: Clock) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    open_, closed = http.a_task(client, run, "a", state={"type": "RUNNING"}), http.a_task(client, run, "b")
    client.post(f"/task_runs/{closed}/set_state", json={"state": {"type": "COMPLETED"}, "force": True})
    http.set_state(client, run, "CANCELLED")
    time.later(1)
    assert once(cleanup(db)) == 1
    found = task(client, open_)
    assert (found["state_name"], found["state"]["message"]) == ("Cancelled", "The parent flow run was cancelled.")
    assert task(client, closed)["state_name"] == "Completed"
    assert once(cleanup(db)) == 0


def unfinished(db: Database) -> Unfinished:
    return Unfinished(db, RUNS, TaskOrchestration(), timedelta(seconds=60))


def test_what_ended_runs_left_unfinished_is_ended_after_a_while(client: TestClient, db: Database, time: Clock) -> None:
    deployment = a_deployment(client, db)
    run = http.a_run(client, "RUNNING")["id"]
    running = http.a_task(client, run, "a", state={"type": "RUNNING"})
    deferred = http.a_task(client, run, "b", state={"type": "SCHEDULED", "state_details": {"deferred": True}})
    client.post(f"/task_runs/{deferred}/set_state", json={"state": {"type": "RUNNING"}, "force": True})
    inside = a_subflow(client, run, key="c")
    deployed = a_subflow(client, run, key="d", deployment_id=deployment)
    time.later(10)
    http.set_state(client, run, "COMPLETED")
    time.later(59)
    assert once(unfinished(db)) == 0
    time.later(2)
    assert once(unfinished(db)) == 2
    found = task(client, running)
    assert found["state_name"] == "Crashed"
    assert "The flow run is Completed" in found["state"]["message"]
    assert found["end_time"] == "2026-01-01T00:00:10Z"
    assert found["total_run_time"] == 10
    assert state(client, inside)[0] == "Crashed"
    assert task(client, deferred)["state_name"] == "Running"
    assert state(client, deployed)[0] == "Running"
    time.later(100)
    assert once(unfinished(db)) == 0
