"""Changing and deleting flow runs, one and many."""

from __future__ import annotations

from typing import Any

import pytest
from tests import calls, rows
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.db import Database, sql

TOMBSTONES = sql("test.routes.tombstones", str, "select run_id from run_tombstone order by run_id")
ROWS = sql(
    "test.routes.rows",
    None,
    """
    select (select count(*) from flow_run), (select count(*) from flow_run_state),
        (select count(*) from task_run), (select count(*) from task_run_state)
    """,
)


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def own(*run_ids: str) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": list(run_ids)}}}


def test_what_is_sent_is_changed_and_nothing_else(client: TestClient) -> None:
    run = http.a_run(client, name="old", tags=["a"], parameters={"a": 1}, flow_version="1")
    path = f"/flow_runs/{run['id']}"
    assert client.patch(path, json={"name": "new", "flow_version": None}).status == 204
    after = http.read(client, run["id"])
    assert (after["name"], after["flow_version"], after["tags"]) == ("new", None, ["a"])
    body = {
        "parameters": {"b": [1.50, None]},
        "tags": [],
        "infrastructure_pid": "pid",
        "empirical_policy": {"retries": 2},
    }
    assert client.patch(path, json=body).status == 204
    after = http.read(client, run["id"])
    assert {name: after[name] for name in ("parameters", "tags", "infrastructure_pid", "name")} == {
        "parameters": {"b": [1.5, None]},
        "tags": [],
        "infrastructure_pid": "pid",
        "name": "new",
    }
    assert after["empirical_policy"]["retries"] == 2
    assert after["state_id"] == run["state_id"]
    assert after["updated"] > run["updated"]


def test_an_empty_name_becomes_a_random_one(client: TestClient) -> None:
    run = http.a_run(client, name="old")["id"]
    assert client.patch(f"/flow_runs/{run}", json={"name": ""}).status == 204
    name = http.read(client, run)["name"]
    assert name != "old"
    assert "-" in name


def test_job_variables_are_changed_before_a_run_of_a_deployment_starts(client: TestClient, db: Database) -> None:
    deployment = db.write_now(rows.a_deployment, http.a_flow(client))
    run = http.a_run(client, "SCHEDULED", deployment_id=deployment, job_variables={"a": 1})["id"]
    assert client.patch(f"/flow_runs/{run}", json={"job_variables": {"b": {"c": 2}}}).status == 204
    assert http.read(client, run)["job_variables"] == {"b": {"c": 2}}
    http.set_state(client, run, "PENDING")
    late = client.patch(f"/flow_runs/{run}", json={"job_variables": {}})
    assert (late.status, late.json) == (
        400,
        {"detail": "Job variables for a flow run in state PENDING cannot be updated"},
    )


def test_labels_are_merged(client: TestClient) -> None:
    run = http.a_run(client, labels={"a": 1, "b": "x"})
    assert client.patch(f"/flow_runs/{run['id']}/labels", json={"b": True, "c": 1.5}).status == 204
    flow = {"prefect.flow.id": run["flow_id"]}
    assert http.read(client, run["id"])["labels"] == {"a": 1, "b": True, "c": 1.5, **flow}


def test_what_is_not_there(client: TestClient) -> None:
    path = f"/flow_runs/{calls.NOWHERE}"
    for answer in (client.get(path), client.patch(path, json={"name": "x"}), client.delete(path)):
        assert (answer.status, answer.json) == (404, {"detail": "Flow run not found"})
    missing = {"exception_message": f"Flow run with id {calls.NOWHERE} not found"}
    for path, method, body in (("labels", "PATCH", {}), ("set_state", "POST", {"state": {"type": "RUNNING"}})):
        answer = client.request(method, f"/flow_runs/{calls.NOWHERE}/{path}", json=body)
        assert (answer.status, answer.json) == (404, missing)


def test_a_deleted_run_takes_all_that_is_its_own(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    child = http.a_run(client, parent_task_run_id=http.a_task(client, run))["id"]
    told = http.events(db)
    assert client.delete(f"/flow_runs/{run}").status == 204
    (left,) = db.read_now(lambda tx: tx.all(ROWS))
    assert list(left) == [1, 1, 0, 0]
    assert http.read(client, child)["parent_task_run_id"] is None
    assert db.read_now(lambda tx: tx.all(TOMBSTONES)) == [run]
    assert http.events(db) == told  # what happened has happened
    assert client.delete(f"/flow_runs/{run}").status == 404


def test_many_are_deleted_the_newest_first(client: TestClient) -> None:
    runs = [http.a_run(client)["id"] for _ in range(3)]
    newest = sorted(runs, reverse=True)
    answer = client.post("/flow_runs/bulk_delete", json={**own(*runs), "limit": 2})
    assert answer.json == {"deleted": newest[:2]}
    assert client.post("/flow_runs/bulk_delete", json=own(*runs)).json == {"deleted": newest[2:]}
    assert client.post("/flow_runs/bulk_delete", json=own(*runs)).json == {"deleted": []}


def test_many_states_each_decided_and_stored_by_itself(client: TestClient, db: Database) -> None:
    running, done = http.a_run(client, "RUNNING")["id"], http.a_run(client, "COMPLETED")["id"]
    body = {**own(running, done), "state": {"type": "CANCELLING", "message": "m"}}
    results = {one["flow_run_id"]: one for one in client.post("/flow_runs/bulk_set_state", json=body).json["results"]}
    assert {run: one["status"] for run, one in results.items()} == {running: "ACCEPT", done: "ABORT"}
    assert results[running]["state"]["state_details"]["flow_run_id"] == running
    assert results[done]["state"]["type"] == "COMPLETED"
    assert http.events(db, running)[-1].event == "prefect.flow-run.Cancelling"
    forced = {**own(running, done), "state": {"type": "FAILED"}, "force": True, "limit": 50}
    ids = [one["state"]["id"] for one in client.post("/flow_runs/bulk_set_state", json=forced).json["results"]]
    assert len(set(ids)) == 2
    assert {http.read(client, run)["state_id"] for run in (running, done)} == set(ids)


def test_all_are_meant_where_no_filter_is_given(client: TestClient) -> None:
    runs = [http.a_run(client)["id"] for _ in range(2)]
    answer = client.post("/flow_runs/bulk_set_state", json={"state": {"type": "CANCELLED"}})
    assert sorted(one["flow_run_id"] for one in answer.json["results"]) == sorted(runs)
    assert client.post("/flow_runs/bulk_delete").json == {"deleted": sorted(runs, reverse=True)}


def test_a_state_is_found_by_its_id(client: TestClient) -> None:
    run = http.a_run(client, "SCHEDULED")
    assert client.get(f"/flow_run_states/{run['state_id']}").json == run["state"]
    missing = client.get(f"/flow_run_states/{calls.NOWHERE}")
    assert (missing.status, missing.json) == (404, {"detail": "Flow run state not found"})
    assert client.get(f"/flow_run_states/?flow_run_id={calls.NOWHERE}").json == []
    assert calls.errors(client.get("/flow_run_states/")) == [("missing", ["query", "flow_run_id"])]
