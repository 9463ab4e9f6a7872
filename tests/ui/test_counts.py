"""What dashboards ask about runs and flows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests import calls
from tests.rows import a_deployment, a_flow, a_flow_run, a_task_run
from tests.web.client import TestClient

from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.ui import flow_runs, flows, task_runs

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, flows.router, flow_runs.router, task_runs.router)


def test_the_next_run_of_a_flow_is_the_earliest_that_is_scheduled(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, str, str]:
        flow, other = a_flow(tx), a_flow(tx)
        a_flow_run(tx, flow, "SCHEDULED", next_scheduled_start_time=NOON + MINUTE)
        first = a_flow_run(tx, flow, "SCHEDULED/Late", next_scheduled_start_time=NOON)
        a_flow_run(tx, flow, "COMPLETED", next_scheduled_start_time=NOON - MINUTE)
        return flow, other, first

    flow, other, first = db.write_now(body)
    found = client.post("/ui/flows/next-runs", json={"flow_ids": [flow, other]}).json
    assert found[flow]["id"] == first
    assert found[flow]["state_name"] == "Late"
    assert found[other] is None


def test_two_runs_due_at_the_same_time_give_one_answer(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, list[str]]:
        flow = a_flow(tx)
        return flow, [a_flow_run(tx, flow, "SCHEDULED", next_scheduled_start_time=NOON) for _ in range(3)]

    flow, runs = db.write_now(body)
    assert client.post("/ui/flows/next-runs", json={"flow_ids": [flow]}).json[flow]["id"] == min(runs)


def test_deployments_are_counted_by_flow(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, str]:
        flow, other = a_flow(tx), a_flow(tx)
        a_deployment(tx, flow)
        a_deployment(tx, flow)
        return flow, other

    flow, other = db.write_now(body)
    found = client.post("/ui/flows/count-deployments", json={"flow_ids": [flow, other]}).json
    assert found == {flow: 2, other: 0}


def test_task_runs_that_stand_for_subflows_are_not_counted(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, str]:
        flow = a_flow(tx)
        run = a_flow_run(tx, flow, "RUNNING")
        a_task_run(tx, run, "RUNNING")
        parent = a_task_run(tx, run, "RUNNING")
        return run, a_flow_run(tx, flow, "RUNNING", parent_task_run_id=parent)

    run, child = db.write_now(body)
    found = client.post("/ui/flow_runs/count-task-runs", json={"flow_run_ids": [run, child]}).json
    assert found == {run: 1, child: 0}


def test_a_run_in_short_tells_what_it_took_until_now(db: Database, client: TestClient) -> None:
    clock.set_source(lambda: NOON)

    def body(tx: Tx) -> None:
        a_flow_run(
            tx,
            a_flow(tx),
            "RUNNING",
            expected_start_time=NOON - 3 * MINUTE,
            start_time=NOON - 2 * MINUTE,
            state_timestamp=NOON - MINUTE,
            total_run_time=5.0,
        )
        a_flow_run(tx, a_flow(tx), None, expected_start_time=NOON)

    db.write_now(body)
    (run,) = client.post("/ui/flow_runs/history").json
    assert run.pop("id")
    assert run == {"state_type": "RUNNING", "timestamp": "2026-03-01T11:58:00Z", "duration": 65.0, "lateness": 60.0}


def test_a_limit_below_zero_is_no_limit_and_still_bounded(
    db: Database, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_runs, "MOST_RUNS", 2)

    def body(tx: Tx) -> None:
        flow = a_flow(tx)
        for _ in range(3):
            a_flow_run(tx, flow, "COMPLETED", expected_start_time=NOON)

    db.write_now(body)
    assert len(client.post("/ui/flow_runs/history", json={"limit": -1}).json) == 2


def test_ended_task_runs_fall_into_twenty_buckets(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        run = a_flow_run(tx, a_flow(tx), "RUNNING")
        a_task_run(tx, run, "COMPLETED", start_time=NOON)
        a_task_run(tx, run, "FAILED", start_time=NOON + 19 * MINUTE)
        a_task_run(tx, run, "CRASHED", start_time=NOON + 19 * MINUTE + MINUTE / 2)
        a_task_run(tx, run, "RUNNING", start_time=NOON)
        a_task_run(tx, run, "COMPLETED", start_time=None)
        a_task_run(tx, run, "COMPLETED", start_time=NOON - MINUTE)

    db.write_now(body)
    period = {"after_": NOON.isoformat(), "before_": (NOON + 19 * MINUTE + MINUTE / 2).isoformat()}
    counts = client.post("/ui/task_runs/dashboard/counts", json={"task_runs": {"start_time": period}}).json
    assert len(counts) == 20
    assert counts[0] == {"completed": 1, "failed": 0}
    assert counts[19] == {"completed": 0, "failed": 2}
    assert counts[1:19] == [{"completed": 0, "failed": 0}] * 18


def test_a_start_that_lies_ahead_of_now_is_no_error(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        a_task_run(tx, None, "COMPLETED", start_time=NOON + 60 * MINUTE)

    clock.set_source(lambda: NOON + 10 * MINUTE)
    db.write_now(body)
    answer = client.post(
        "/ui/task_runs/dashboard/counts", json={"task_runs": {"start_time": {"after_": NOON.isoformat()}}}
    )
    assert answer.status == 200
    assert answer.json == [{"completed": 0, "failed": 0}] * 20


def test_a_task_run_comes_with_the_name_of_its_flow_run(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, str]:
        run = a_flow_run(tx, a_flow(tx), "RUNNING", name="red-fox")
        return a_task_run(tx, run, "RUNNING", name="one"), a_task_run(tx, None, "RUNNING")

    of_a_flow, alone = db.write_now(body)
    found = client.get(f"/ui/task_runs/{of_a_flow}").json
    assert (found["name"], found["flow_run_name"], found["state"]["type"]) == ("one", "red-fox", "RUNNING")
    assert client.get(f"/ui/task_runs/{alone}").json["flow_run_name"] is None
    missing = client.get(f"/ui/task_runs/{calls.NOWHERE}")
    assert (missing.status, missing.json) == (404, {"detail": "Task not found"})


def test_task_runs_are_counted_by_state(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        for state in ("RUNNING", "RUNNING", "FAILED", None):
            a_task_run(tx, None, state)

    db.write_now(body)
    counts = client.post("/ui/task_runs/count").json
    assert counts.pop("RUNNING") == 2
    assert counts.pop("FAILED") == 1
    assert set(counts.values()) == {0}
