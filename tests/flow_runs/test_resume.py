"""Resuming paused runs, with and without the input that they asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests import calls, rows
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.db import Database, Tx
from lictor.kit import clock

KEYSET = {"schema": "k-schema", "response": "k-response", "description": "k-description"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def paused(client: TestClient, schema: str | None = None, **details: Any) -> str:
    """A run that waits for input of a schema, as the SDK makes it wait: it stores the schema when it pauses."""
    run = str(http.a_run(client, "RUNNING")["id"])
    answer = http.set_state(client, run, "PAUSED", state_details={"pause_key": "k", **details})
    assert answer["status"] == "ACCEPT"
    if schema is not None:
        client.post(f"/flow_runs/{run}/input", json={"key": "k-schema", "value": schema})
    return run


def resume(client: TestClient, run: str, **run_input: Any) -> dict[str, Any]:
    body = {"run_input": run_input} if run_input else None
    answer = client.post(f"/flow_runs/{run}/resume", json=body)
    assert answer.status in (200, 201), answer
    assert answer.status == (201 if answer.json["status"] == "ACCEPT" else 200)
    found: dict[str, Any] = answer.json
    return found


def response(client: TestClient, run: str) -> Any:
    answer = client.get(f"/flow_runs/{run}/input/k-response")
    return answer.json if answer.status == 200 else None


def test_a_run_goes_on(client: TestClient) -> None:
    """The reference marks the run as resuming only after it has counted it anew."""
    run = paused(client)
    assert resume(client, run)["state"]["type"] == "RUNNING"
    after = http.read(client, run)
    assert (after["run_count"], after["empirical_policy"]["resuming"]) == (2, True)
    assert after["empirical_policy"]["pause_keys"] == ["k"]


def test_only_a_paused_run_goes_on(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    refused = resume(client, run)
    reason = "Cannot resume a flow run that is not paused."
    assert refused == {"state": None, "status": "ABORT", "details": {"type": "abort_details", "reason": reason}}
    assert len(http.events(db, run)) == 1
    assert client.post(f"/flow_runs/{calls.NOWHERE}/resume").status == 404


def test_a_suspended_run_is_scheduled_at_once(client: TestClient, db: Database) -> None:
    deployment = db.write_now(rows.a_deployment, http.a_flow(client))
    run = http.a_run(client, "RUNNING", deployment_id=deployment)["id"]
    http.set_state(client, run, "PAUSED", name="Suspended", state_details={"pause_reschedule": True})
    state = resume(client, run)["state"]
    assert (state["type"], state["name"]) == ("SCHEDULED", "Resuming")
    after = http.read(client, run)
    assert after["next_scheduled_start_time"] == state["state_details"]["scheduled_time"]
    assert after["empirical_policy"]["resuming"] is True


def test_input_is_checked_and_stored_with_the_state(client: TestClient) -> None:
    run = paused(client, json.dumps(SCHEMA), run_input_keyset=KEYSET)
    assert resume(client, run, n=1, s="x")["status"] == "ACCEPT"
    assert response(client, run) == {"n": 1, "s": "x"}


@pytest.mark.parametrize(
    ("schema", "given", "reason"),
    [
        (None, {"n": 1}, "Run input schema not found."),
        ("{", {"n": 1}, "Run input schema is not valid JSON."),
        (json.dumps(SCHEMA), {}, "Reason: Validation failed. Failure reason: 'n' is a required property"),
        (
            json.dumps(SCHEMA),
            {"n": "1"},
            "Reason: Validation failed for field 'n'. Failure reason: '1' is not of type 'integer'",
        ),
        (
            json.dumps(SCHEMA),
            {"n": {"__prefect_kind": "json", "value": "x"}},
            "Error hydrating run input: Invalid JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            json.dumps(SCHEMA),
            {"n": {"__prefect_kind": "workspace_variable", "variable_name": "v"}},
            "Error hydrating run input: Variable 'v' not found in workspace.",
        ),
    ],
)
def test_input_that_does_not_fit(client: TestClient, schema: str | None, given: dict[str, Any], reason: str) -> None:
    run = paused(client, schema, run_input_keyset=KEYSET)
    refused = resume(client, run, **given)
    assert (refused["status"], refused["details"]["reason"]) == ("REJECT", reason)
    assert refused["state"]["type"] == "PAUSED"
    assert response(client, run) is None
    assert http.history(client, run) == ["Running", "Paused"]


def test_input_is_filled_in_before_it_is_checked(client: TestClient, db: Database) -> None:
    def variable(tx: Tx) -> str:
        now = clock.now()
        return rows.insert(tx, "variable", name="v", value="5", tags="[]", created=now, updated=now)

    db.write_now(variable)
    run = paused(client, json.dumps(SCHEMA), run_input_keyset=KEYSET)
    number = {"__prefect_kind": "workspace_variable", "variable_name": "v"}
    text = {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}
    assert resume(client, run, n=number, s=text)["status"] == "ACCEPT"
    assert response(client, run) == {"n": 5, "s": "2"}


def test_input_of_a_run_that_may_not_go_on_is_not_stored(client: TestClient) -> None:
    run = paused(client, json.dumps(SCHEMA), run_input_keyset=KEYSET, pause_timeout="2020-01-01T00:00:00Z")
    answer = client.post(f"/flow_runs/{run}/resume", json={"run_input": {"n": 1}})
    assert (answer.status, answer.json["status"], answer.json["state"]["type"]) == (201, "REJECT", "FAILED")
    assert response(client, run) is None


def test_an_answer_that_is_there_already_undoes_the_resume(client: TestClient, db: Database) -> None:
    run = paused(client, json.dumps(SCHEMA), run_input_keyset=KEYSET)
    client.post(f"/flow_runs/{run}/input", json={"key": "k-response", "value": "{}"})
    answer = client.post(f"/flow_runs/{run}/resume", json={"run_input": {"n": 1}})
    assert answer.status == 409
    assert http.history(client, run) == ["Running", "Paused"]
    assert [one.event for one in http.events(db, run)] == ["prefect.flow-run.Running", "prefect.flow-run.Paused"]


def test_a_new_pause_forgets_the_answers_of_the_last(client: TestClient) -> None:
    run = paused(client, json.dumps(SCHEMA), run_input_keyset=KEYSET)
    resume(client, run, n=1)
    details = {"pause_key": "second", "run_input_keyset": KEYSET}
    assert http.set_state(client, run, "PAUSED", state_details=details)["status"] == "ACCEPT"
    assert response(client, run) is None
