"""History: runs by interval and state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests import calls
from tests.rows import a_flow, a_flow_run, a_task_run
from tests.web.client import TestClient

from lictor.db import Database, Tx
from lictor.filters import TaskRunFilter, where_for
from lictor.filters.history import HistoryBody, divide, run_history
from lictor.flow_runs import list_routes
from lictor.kit import clock

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, list_routes.router)


def wanted(start: datetime = NOON, end: datetime = NOON + 3 * SECOND, seconds: float = 1, **more: object) -> object:
    times = {"history_start": start.isoformat(), "history_end": end.isoformat()}
    return {**times, "history_interval_seconds": seconds, **more}


def test_runs_are_counted_by_interval_and_state(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        flow = a_flow(tx, "f")
        for _ in range(2):
            a_flow_run(tx, flow, "COMPLETED", expected_start_time=NOON, start_time=NOON + SECOND, total_run_time=1.25)
        a_flow_run(tx, flow, "RUNNING", expected_start_time=NOON + SECOND, state_timestamp=NOON, start_time=NOON)
        a_flow_run(tx, flow, "SCHEDULED/Late", expected_start_time=NOON + 1.5 * SECOND)
        a_flow_run(tx, flow, "SCHEDULED", expected_start_time=NOON + 3 * SECOND)
        a_flow_run(tx, flow, "SCHEDULED", expected_start_time=NOON - timedelta(microseconds=1))
        a_flow_run(tx, flow, None, expected_start_time=NOON)

    db.write_now(body)
    clock.set_source(lambda: NOON + 10 * SECOND)
    intervals = client.post("/flow_runs/history", json=wanted()).json

    assert [interval["interval_start"] for interval in intervals] == [
        "2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:01.123456Z", "2026-03-01T12:00:02.123456Z"
    ]  # fmt: skip
    assert intervals[2] == {
        "interval_start": "2026-03-01T12:00:02.123456Z", "interval_end": "2026-03-01T12:00:03.123456Z", "states": []
    }  # fmt: skip
    assert intervals[0]["states"] == [
        {
            "state_type": "COMPLETED",
            "state_name": "Completed",
            "count_runs": 2,
            "sum_estimated_run_time": 2.5,
            "sum_estimated_lateness": pytest.approx(2.0, abs=1e-5),
        }
    ]
    running, late = intervals[1]["states"]
    assert (running["state_name"], running["count_runs"]) == ("Running", 1)
    assert running["sum_estimated_run_time"] == pytest.approx(10, abs=1e-5)
    assert (late["state_name"], late["sum_estimated_lateness"]) == ("Late", pytest.approx(8.5, abs=1e-5))


def test_a_start_on_a_boundary_is_in_the_later_interval(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        flow = a_flow(tx)
        for index in range(60):
            a_flow_run(tx, flow, "COMPLETED", expected_start_time=NOON + index * 7 * SECOND)

    db.write_now(body)
    intervals = client.post("/flow_runs/history", json=wanted(end=NOON + 420 * SECOND, seconds=7)).json
    assert [[state["count_runs"] for state in interval["states"]] for interval in intervals] == [[1]] * 60


def test_the_last_interval_may_end_after_the_end(db: Database, client: TestClient) -> None:
    db.write_now(lambda tx: a_flow_run(tx, a_flow(tx), "PENDING", expected_start_time=NOON + 1.9 * SECOND))
    intervals = client.post("/flow_runs/history", json=wanted(end=NOON + 1.5 * SECOND)).json
    assert [len(interval["states"]) for interval in intervals] == [0, 1]


def test_filters_apply_and_queues_have_another_name_here(db: Database, client: TestClient) -> None:
    db.write_now(lambda tx: a_flow_run(tx, a_flow(tx, "f"), "PENDING", expected_start_time=NOON))

    def counted(**filters: object) -> int:
        return len(client.post("/flow_runs/history", json=wanted(**filters)).json[0]["states"])

    assert counted(flows={"name": {"any_": ["f"]}}) == 1
    assert counted(flows={"name": {"any_": ["g"]}}) == 0
    assert counted(work_queues={}) == 0
    assert counted(work_pool_queues={}) == 1


def test_how_a_span_is_divided() -> None:
    assert divide(NOON, NOON, 1).length == 0
    assert divide(NOON, NOON - SECOND, 1).length == 0
    assert divide(NOON, NOON + 10 * SECOND, 3).length == 4
    assert divide(NOON, NOON + timedelta(days=9), 1).length == 500


def test_intervals_under_a_second_are_refused(client: TestClient) -> None:
    answer = client.post("/flow_runs/history", json=wanted(seconds=0.5))
    assert (answer.status, answer.json) == (422, {"detail": "History interval must not be less than 1 second."})
    assert calls.errors(client.post("/flow_runs/history", json={})) == [
        ("missing", ["body", "history_start"]),
        ("missing", ["body", "history_end"]),
        ("missing", ["body", "history_interval_seconds"]),
    ]


def test_task_runs_have_the_same_history(db: Database) -> None:
    def body(tx: Tx) -> None:
        run = a_flow_run(tx, a_flow(tx))
        a_task_run(tx, run, "COMPLETED", name="a", expected_start_time=NOON, total_run_time=2)
        a_task_run(tx, run, "FAILED", name="b", expected_start_time=NOON + SECOND)

    db.write_now(body)
    where = where_for("task_run", task_runs=TaskRunFilter())
    asked = HistoryBody(NOON, NOON + 2 * SECOND, 1)
    first, second = db.read_now(lambda tx: run_history(tx, "task_run t", asked, where))
    assert [(state.state_type, state.sum_estimated_run_time) for state in first.states] == [("COMPLETED", 2.0)]
    assert [state.state_name for state in second.states] == ["Failed"]
