"""Creating task runs: labels, keys that are there already, and many who create the same one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from tests import calls
from tests.task_runs import http
from tests.web.client import TestClient

from lictor.db import Database, sql
from lictor.kit import ids
from lictor.task_runs import create
from lictor.task_runs.transitions import TaskOrchestration
from lictor.task_runs.types import TaskRun, TaskRunCreate

STATES = sql("test.task_runs.states", int, "select count(*) from task_run_state")
RUNS = sql("test.task_runs.runs", int, "select count(*) from task_run")


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def counts(db: Database) -> tuple[int, int]:
    return db.read_now(lambda tx: (int(tx.value(RUNS)), int(tx.value(STATES))))


def test_labels_of_the_flow_run_then_its_id_then_the_task_run_s_own(client: TestClient) -> None:
    run = http.a_flow_run(client, labels={"team": "a", "stage": 1, "both": "flow run"})
    given = {"both": "task run", "ratio": 0.5, "on": True}
    task = http.a_task_run(client, flow_run_id=run, labels=given)
    inherited = client.get(f"/flow_runs/{run}").json["labels"]
    assert task["labels"] == inherited | {"prefect.flow-run.id": run} | given
    assert http.read(client, task["id"])["labels"] == task["labels"]


@pytest.mark.parametrize("given", [{}, {"labels": None}, {"labels": {}}])
def test_without_a_flow_run_there_are_only_its_own_labels(client: TestClient, given: dict[str, Any]) -> None:
    assert http.a_task_run(client, **given)["labels"] == {}


def test_the_same_keys_give_the_task_run_that_is_there(client: TestClient, db: Database) -> None:
    run = http.a_flow_run(client)
    for flow_run_id in (run, None):
        first = http.a_task_run(client, flow_run_id=flow_run_id, name="first")
        before = counts(db)
        state = {"type": "RUNNING"}
        again = client.post("/task_runs/", json=http.body(flow_run_id=flow_run_id, name="second", state=state))
        assert (again.status, again.json["id"], again.json["name"]) == (200, first["id"], "first")
        assert again.json["state"]["type"] == "PENDING"
        assert counts(db) == before


def test_an_unknown_flow_run_and_a_taken_id_leave_nothing_behind(client: TestClient, db: Database) -> None:
    taken = http.a_task_run(client, id=ids.new())["id"]
    before = counts(db)
    assert client.post("/task_runs/", json=http.body("other", flow_run_id=calls.NOWHERE)).status == 409
    assert client.post("/task_runs/", json=http.body("other", id=taken)).status == 409
    assert counts(db) == before


@pytest.mark.parametrize("in_a_flow", [True, False])
def test_of_many_who_create_the_same_task_run_one_does(client: TestClient, db: Database, in_a_flow: bool) -> None:
    run = UUID(http.a_flow_run(client)) if in_a_flow else None
    before = counts(db)

    def make(number: int) -> tuple[TaskRun, bool]:
        wanted = TaskRunCreate(flow_run_id=run, task_key="task", dynamic_key="0", name=f"run {number}")
        return db.write_now(create.create, TaskOrchestration(), wanted)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(16)))
    assert [created for _, created in answers].count(True) == 1
    assert len({(made.id, made.name, made.state_id) for made, _ in answers}) == 1
    assert counts(db) == (before[0] + 1, before[1] + 1)


def test_keys_are_free_when_their_task_run_is_deleted(client: TestClient) -> None:
    first = http.a_task_run(client)["id"]
    assert client.delete(f"/task_runs/{first}").status == 204
    assert http.a_task_run(client)["id"] != first


def test_what_is_answered_is_what_is_read_afterwards(client: TestClient) -> None:
    more = {
        "flow_run_id": http.a_flow_run(client),
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2030-01-01T00:00:00+02:00"}},
        "cache_key": "key",
        "cache_expiration": "2030-01-01T00:00:00+02:00",
        "empirical_policy": {"max_retries": 2, "retry_delay": [1, 2.5]},
        "task_inputs": {"x": [{"input_type": "parameter", "name": "p"}, {"type": "constant without its tag"}]},
    }
    made = http.a_task_run(client, tags=["b", "a"], **more)
    seen = http.read(client, made["id"])
    # Instants come back in the offset that they were sent with, but are read in UTC, as from the reference.
    moving = ("estimated_start_time_delta", "expected_start_time", "next_scheduled_start_time")
    assert {key: made[key] for key in made if key not in moving} == {
        key: seen[key] for key in seen if key not in moving
    }
    assert seen["expected_start_time"] == seen["cache_expiration"] == "2029-12-31T22:00:00Z"
    assert seen["empirical_policy"]["retry_delay"] == [1.0, 2.5]
    assert seen["task_inputs"]["x"][1] == {"input_type": "constant", "type": "constant without its tag"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cache_expiration": "9999-12-31T23:59:59-12:00"},
        {"cache_expiration": "0001-01-01T00:00:00+12:00"},
        {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "0001-01-01T00:00:00+12:00"}}},
        {"empirical_policy": {"retry_delay_seconds": 10**400}},
        {"empirical_policy": {"retry_jitter_factor": -0.1}},
        {"labels": {"a": [1]}},
    ],
)
def test_what_cannot_be_kept_is_refused(client: TestClient, db: Database, wrong: dict[str, Any]) -> None:
    assert client.post("/task_runs/", json=http.body(**wrong)).status == 422
    assert counts(db) == (0, 0)


def test_a_number_that_is_not_finite_is_refused(client: TestClient) -> None:
    for number in (b"1e400", b"NaN", b"-Infinity"):
        content = b'{"task_key": "a", "dynamic_key": "0", "empirical_policy": {"retry_delay_seconds": %s}}' % number
        # The old name stands for the new one, whose errors are told as well.
        first, *others = calls.errors(client.post("/task_runs/", content=content))
        assert first == ("finite_number", ["body", "empirical_policy", "retry_delay_seconds"])
        assert {loc[2] for _, loc in others} == {"retry_delay"}
