"""Creating flow runs: what parity does not show of the rows, the events and the races."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from tests import calls, rows
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.db import Database, Tx, sql
from lictor.flow_runs import create
from lictor.flow_runs.facts import FlowFacts, NoLimits
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate
from lictor.settings import Settings
from lictor.settings.tree import Api
from lictor.states.callers import SERVER

COUNT = sql("test.create.count", int, "select count(*) from flow_run")
SET_DEFAULT = sql("test.create.default", None, "update work_pool set default_queue_id = :queue_id where id = :id")
STATES = sql("test.create.states", int, "select count(*) from flow_run_state")


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def counts(db: Database) -> tuple[int, int, int]:
    """How many runs, states and events there are."""
    runs, states = db.read_now(lambda tx: (tx.value(COUNT), tx.value(STATES)))
    return runs, states, len(http.events(db))


def test_a_run_its_state_and_its_event_come_together(client: TestClient, db: Database) -> None:
    made = http.a_run(client, name="r")
    assert made["state"]["type"] == "PENDING"
    assert made["state"]["state_details"]["flow_run_id"] == made["id"]
    assert http.read(client, made["id"]) == made | {"estimated_start_time_delta": pytest.approx(0, abs=60)}
    assert http.history(client, made["id"]) == ["Pending"]
    (event,) = http.events(db, made["id"])
    assert (event.id, event.event, event.follows) == (made["state_id"], "prefect.flow-run.Pending", None)
    assert event.payload == {
        "intended": {"from": None, "to": "PENDING"},
        "initial_state": None,
        "validated_state": {"type": "PENDING", "name": "Pending"},
    }


def test_a_key_finds_the_run_that_has_it(client: TestClient, db: Database) -> None:
    made = http.a_run(client, "RUNNING", idempotency_key="k", name="first")
    again = client.post("/flow_runs/", json={"flow_id": made["flow_id"], "idempotency_key": "k", "name": "second"})
    assert (again.status, again.json["id"], again.json["name"]) == (200, made["id"], "first")
    assert counts(db) == (1, 1, 1)
    other = http.a_run(client, flow_id=http.a_flow(client, "other"), idempotency_key="k")
    assert other["id"] != made["id"]


def test_a_key_that_is_found_says_nothing_to_the_parent(client: TestClient) -> None:
    parent = http.a_run(client, "RUNNING")
    task = http.a_task(client, parent["id"])
    body = {"idempotency_key": "k", "parent_task_run_id": task}
    http.a_run(client, **body)
    mirrored = client.get(f"/task_runs/{task}").json["state_id"]
    client.post("/flow_runs/", json={"flow_id": parent["flow_id"], **body, "state": {"type": "RUNNING"}})
    assert client.get(f"/task_runs/{task}").json["state_id"] == mirrored


def test_of_two_with_one_key_one_is_made(db: Database, dialect: str) -> None:
    """On PostgreSQL both transactions have begun, and neither has written, when they meet."""
    flow_id = db.write_now(rows.a_flow)
    meeting = threading.Barrier(2)
    met = threading.local()

    def limits(tx: Tx) -> FlowFacts:
        if dialect == "postgres" and not getattr(met, "yes", False):
            met.yes = True
            meeting.wait(20)
        return NoLimits()

    def one(name: str) -> tuple[str, bool]:
        wanted = FlowRunCreate(flow_id=UUID(flow_id), name=name, idempotency_key="k")
        run, created = db.write_now(create.create, Orchestration(limits=limits), wanted, caller=SERVER)
        return run.id, created

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(one, ("a", "b")))
    assert sorted(created for _, created in answers) == [False, True]
    assert answers[0][0] == answers[1][0]
    assert counts(db) == (1, 1, 1)


def test_a_subflow_is_mirrored_at_once(client: TestClient) -> None:
    parent = http.a_run(client, "RUNNING")
    task = http.a_task(client, parent["id"])
    child = http.a_run(client, "SCHEDULED", parent_task_run_id=task)
    mirror = client.get(f"/task_runs/{task}").json["state"]
    assert mirror["type"] == "SCHEDULED"
    assert mirror["id"] != child["state_id"]
    assert mirror["state_details"]["child_flow_run_id"] == child["id"]
    assert child["state"]["state_details"]["task_run_id"] == task


def test_what_is_not_there_is_a_conflict_and_leaves_nothing(client: TestClient, db: Database) -> None:
    flow_id = http.a_flow(client)
    for wrong in ({"flow_id": calls.NOWHERE}, {"flow_id": flow_id, "parent_task_run_id": calls.NOWHERE}):
        assert client.post("/flow_runs/", json=wrong).status == 409
    pool = client.post("/flow_runs/", json={"flow_id": flow_id, "work_pool_name": "none"})
    assert (pool.status, pool.json) == (404, {"detail": 'Work pool "none" not found.'})
    assert counts(db) == (0, 0, 0)


def test_a_run_goes_to_the_pool_s_default_queue_or_to_the_one_named(client: TestClient, db: Database) -> None:
    def pool(tx: Tx) -> tuple[str, str, str]:
        pool_id = rows.a_work_pool(tx, "p", "process")
        default, other = rows.a_work_queue(tx, pool_id), rows.a_work_queue(tx, pool_id, "other")
        tx.run(SET_DEFAULT, id=pool_id, queue_id=default)
        return pool_id, default, other

    pool_id, default, other = db.write_now(pool)
    run = http.a_run(client, work_pool_name="p")
    named = http.a_run(client, work_pool_name="p", work_queue_name="other")
    assert (run["work_queue_id"], run["work_queue_name"], run["work_pool_id"]) == (default, "default", pool_id)
    assert (named["work_queue_id"], named["work_pool_name"]) == (other, "p")
    assert http.read(client, named["id"])["work_queue_name"] == "other"
    roles = [(one["prefect.resource.role"], one.get("prefect.work-pool.type")) for one in http.events(db)[0].related]
    assert roles == [("flow", None), ("work-queue", None), ("work-pool", "process")]


def test_labels_come_from_the_deployment_and_the_client_has_the_last_word(client: TestClient, db: Database) -> None:
    flow_id = http.a_flow(client, labels={"of": "flow"})
    labels = {"of": "deployment", "d": 1}
    deployment = db.write_now(rows.a_deployment, flow_id, labels=labels)
    plain = http.a_run(client, flow_id=flow_id, labels={"n": True})
    deployed = http.a_run(client, flow_id=flow_id, deployment_id=deployment, labels={"of": "run"})
    assert plain["labels"] == {"of": "flow", "n": True, "prefect.flow.id": flow_id}
    ours = {"prefect.flow.id": flow_id, "prefect.deployment.id": deployment}
    assert deployed["labels"] == {"of": "run", "d": 1, **ours}


def test_an_automation_signs_what_it_makes(client: TestClient, db: Database) -> None:
    name = base64.b64encode("Müller's".encode()).decode()
    headers = {"prefect-automation-id": calls.NOWHERE, "prefect-automation-name": name}
    body = {"flow_id": http.a_flow(client)}
    made = client.post("/flow_runs/", json=body, headers=headers).json
    assert made["created_by"] == {"id": calls.NOWHERE, "type": "AUTOMATION", "display_value": "Müller's"}
    assert http.events(db)[0].related[-1] == {
        "prefect.resource.id": f"prefect.automation.{calls.NOWHERE}",
        "prefect.resource.role": "creator",
        "prefect.resource.name": "Müller's",
    }
    for broken in ({"prefect-automation-name": "%"}, {"prefect-automation-name": ""}):
        assert client.post("/flow_runs/", json=body, headers=headers | broken).json["created_by"] is None
    wrong = client.post("/flow_runs/", json=body, headers=headers | {"prefect-automation-id": "x"})
    assert calls.errors(wrong) == [("uuid_parsing", ["header", "prefect-automation-id"])]


@pytest.mark.parametrize("size", [200_000, 524_000])
def test_large_parameters_come_back(client: TestClient, size: int) -> None:
    parameters = {"text": "x" * size}
    assert http.read(client, http.a_run(client, parameters=parameters)["id"])["parameters"] == parameters


@pytest.mark.parametrize(
    ("most", "parameters", "size"),
    [
        (100, {"a": "x" * 92}, None),
        (100, {"a": "x" * 93}, 101),
        (100, {"a": "é" * 15, "b": 1}, 104),
        (100, {"a": [1e15] * 6}, 121),
        (0, {"a": "x" * 10_000}, None),
    ],
)
def test_parameters_have_a_size(db: Database, most: int, parameters: dict[str, Any], size: int | None) -> None:
    client = http.client(db, settings=limited(most))
    body = {"flow_id": http.a_flow(client), "parameters": parameters}
    made, run = client.post("/flow_runs/", json=body), http.a_run(client)["id"]
    changed = client.patch(f"/flow_runs/{run}", json={"parameters": parameters})
    if size is None:
        assert (made.status, changed.status) == (201, 204)
        return
    (error,) = made.json["exception_detail"]
    words = f"Flow run parameters must be less than {most} bytes when serialized (got {size} bytes)."
    assert (made.status, error["msg"]) == (422, f"Value error, {words}")
    assert made.json["request_body"] == body
    assert calls.errors(changed) == [("value_error", ["body", "parameters"])]


def limited(most: int) -> Settings:
    return Settings(api=Api(max_parameter_size=most))
