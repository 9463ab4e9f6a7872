"""The routes of task runs, where there is more to see than the answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests import calls
from tests.task_runs import http
from tests.web.client import TestClient

from lictor.db import Database, sql
from lictor.kit import clock

BURIED = sql("test.task_runs.buried", str, "select run_id from run_tombstone")
STATES = sql("test.task_runs.states_left", int, "select count(*) from task_run_state where task_run_id = :id")


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def test_a_task_run_goes_with_its_states_and_its_subflow_stays(client: TestClient, db: Database) -> None:
    parent = http.a_flow_run(client)
    task = http.a_task_run(client, flow_run_id=parent)["id"]
    child = http.a_flow_run(client, parent_task_run_id=task)
    assert client.delete(f"/task_runs/{task}").status == 204
    assert client.get(f"/task_runs/{task}").status == 404
    assert client.get(f"/flow_runs/{child}").json["parent_task_run_id"] is None
    assert db.read_now(lambda tx: tx.value(STATES, id=task)) == 0
    # So that its logs are swept.
    assert db.read_now(lambda tx: tx.all(BURIED)) == [task]
    assert client.delete(f"/task_runs/{task}").json == {"detail": "Task not found"}


def test_each_has_its_own_words_for_a_run_that_is_not_there(client: TestClient) -> None:
    path = f"/task_runs/{calls.NOWHERE}"
    assert client.get(path).json == {"detail": "Task not found"}
    assert client.patch(path, json={}).json == {"detail": "Task run not found"}
    answer = client.post(f"{path}/set_state", json={"state": {"type": "RUNNING"}})
    assert (answer.status, answer.json) == (404, {"exception_message": f"Task run with id {calls.NOWHERE} not found"})
    assert client.get(f"/task_run_states/?task_run_id={calls.NOWHERE}").json == []


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ""}])
def test_a_run_without_a_name_gets_a_random_one(client: TestClient, body: dict[str, str | None]) -> None:
    run = http.a_task_run(client, name="given")
    assert client.patch(f"/task_runs/{run['id']}", json=body).status == 204
    name = http.read(client, run["id"])["name"]
    assert name not in ("given", "", None)
    assert "-" in name


def test_estimates_are_of_the_moment_of_reading(client: TestClient) -> None:
    begin = clock.now()
    run = http.a_task_run(client)
    http.set_state(client, run["id"], "RUNNING")
    clock.set_source(lambda: begin + timedelta(hours=1))
    assert http.read(client, run["id"])["estimated_run_time"] == pytest.approx(3600, abs=30)
    listed = client.post("/task_runs/filter", json={"task_runs": {"id": {"any_": [run["id"]]}}}).json
    assert listed[0]["estimated_run_time"] == pytest.approx(3600, abs=30)
    assert listed[0]["total_run_time"] == 0.0


def test_pages_neither_repeat_nor_skip_a_run(client: TestClient) -> None:
    made = {http.a_task_run(client, dynamic_key=str(n), name="same")["id"] for n in range(7)}
    for sort in ("NAME_ASC", "END_TIME_DESC", "DURATION_DESC", "EXPECTED_START_TIME_ASC", "ID_DESC"):
        seen: list[str] = []
        for page in (1, 2, 3):
            answer = client.post("/task_runs/paginate", json={"sort": sort, "page": page, "limit": 3}).json
            assert (answer["count"], answer["pages"], answer["limit"]) == (7, 3, 3)
            seen += [run["id"] for run in answer["results"]]
        assert len(seen) == 7
        assert set(seen) == made
