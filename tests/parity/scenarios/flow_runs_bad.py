"""Flow runs: input that is refused."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import NOT_IDS, ZERO, bad_bodies, flow, run


@scenario
def create_wrong_types(s: Session) -> None:
    flow(s)
    for more in (
        {"flow_id": None},
        {"flow_id": "x"},
        {"flow_id": 1},
        {"flow_id": ZERO},
        {"name": 1},
        {"parameters": None},
        {"parameters": []},
        {"parameters": "x"},
        {"context": None},
        {"context": []},
        {"tags": None},
        {"tags": "x"},
        {"tags": [1, None]},
        {"labels": []},
        {"labels": {"a": None}},
        {"labels": {"a": []}},
        {"labels": None},
        {"parent_task_run_id": "x"},
        {"parent_task_run_id": ZERO},
        {"infrastructure_document_id": "x"},
        {"infrastructure_document_id": ZERO},
        {"idempotency_key": 1},
        {"flow_version": 1},
        {"job_variables": []},
        {"job_variables": None},
        {"work_pool_name": "$uniq-none"},
        {"work_queue_name": "$uniq-none"},
        {"work_pool_name": 1},
        {"deployment_id": "x"},
        {"deployment_id": None},
        {"id": ZERO},
        {"created": "2024-01-01T00:00:00Z"},
        {"unknown": 1},
        {"state_type": "RUNNING"},
        {"name": 1, "tags": 1, "unknown": 1, "state": {"type": 1}},
    ):
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", **more})
    s.post("/flow_runs/", {"name": "$uniq"})


@scenario
def create_bad_bodies(s: Session) -> None:
    bad_bodies(s, "POST", "/flow_runs/")


STATES = (
    None,
    {},
    [],
    "RUNNING",
    {"type": None},
    {"type": "running"},
    {"type": "UNKNOWN"},
    {"type": 1},
    {"type": "RUNNING", "name": 1},
    {"type": "RUNNING", "name": None},
    {"type": "RUNNING", "name": ""},
    {"type": "RUNNING", "message": 1},
    {"type": "RUNNING", "message": None},
    {"type": "RUNNING", "id": ZERO},
    {"type": "RUNNING", "timestamp": "2024-01-01T00:00:00Z"},
    {"type": "RUNNING", "unknown": 1},
    {"type": "RUNNING", "state_details": None},
    {"type": "RUNNING", "state_details": []},
    {"type": "RUNNING", "state_details": {"unknown": 1}},
    {"type": "RUNNING", "state_details": {"flow_run_id": "x"}},
    {"type": "RUNNING", "state_details": {"deferred": None}},
    {"type": "RUNNING", "state_details": {"deferred": "maybe"}},
    {"type": "RUNNING", "state_details": {"untrackable_result": None}},
    {"type": "RUNNING", "state_details": {"pause_reschedule": None}},
    {"type": "RUNNING", "state_details": {"run_input_keyset": {"a": 1}}},
    {"type": "RUNNING", "state_details": {"run_input_keyset": []}},
    {"type": "RUNNING", "state_details": {"transition_id": 1}},
    {"type": "RUNNING", "state_details": {"scheduled_time": "soon", "pause_timeout": [], "cache_expiration": {}}},
    {"type": "SCHEDULED", "state_details": {"scheduled_time": None}},
)


@scenario
def create_with_bad_states(s: Session) -> None:
    flow(s)
    for state in STATES:
        s.post(
            "/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": state}, only=None if state else "status"
        )


@scenario
def set_bad_states(s: Session) -> None:
    run(s)
    for state in STATES:
        s.post("/flow_runs/{run.id}/set_state", {"state": state, "force": True})


@scenario
def set_state_bodies(s: Session) -> None:
    run(s)
    good = {"type": "RUNNING"}
    for body in (
        {},
        {"force": True},
        {"state": good, "force": None},
        {"state": good, "force": "true"},
        {"state": good, "force": "no"},
        {"state": good, "force": 2},
        {"state": good, "force": []},
        {"state": good, "unknown": 1},
        good,
    ):
        s.post("/flow_runs/{run.id}/set_state", body)
    bad_bodies(s, "POST", "/flow_runs/{run.id}/set_state")


@scenario
def missing_runs(s: Session) -> None:
    state = {"state": {"type": "RUNNING"}}
    for id in (ZERO, *NOT_IDS[:2]):
        s.get(f"/flow_runs/{id}")
        s.delete(f"/flow_runs/{id}")
        s.post(f"/flow_runs/{id}/set_state", state)
        s.post(f"/flow_runs/{id}/set_state", {**state, "force": True})
        s.post(f"/flow_runs/{id}/resume")
        s.get(f"/flow_runs/{id}/graph")
        s.get(f"/flow_runs/{id}/graph-v2")
        s.post(f"/flow_runs/{id}/input", {"key": "k", "value": "v"})
        s.post(f"/flow_runs/{id}/input/filter", {"prefix": "k"})
        s.get(f"/flow_runs/{id}/input/k")
        s.delete(f"/flow_runs/{id}/input/k")
        s.get(f"/flow_runs/{id}/logs/download")


@scenario
def large_parameters(s: Session) -> None:
    flow(s)
    for size in (524_000, 524_288):
        body = {"flow_id": "{flow.id}", "name": "$uniq", "parameters": {"a": "x" * size}}
        answer = s.request("POST", "/flow_runs/", body)
        detail = answer.body.get("exception_detail", [{}])[0] if answer.status == 422 else {}
        told = {"status": answer.status, "type": detail.get("type"), "loc": detail.get("loc"), "msg": detail.get("msg")}
        s.steps.append(
            {
                "step": f"{len(s.steps) + 1:02d} POST /flow_runs/ with {size} bytes",
                "status": answer.status,
                "body": told,
            }
        )


@scenario
def bulk_bodies(s: Session) -> None:
    nothing = {"flow_runs": {"id": {"any_": []}}}
    state = {"state": {"type": "CANCELLED"}}
    for body in (
        {"limit": 0},
        {"limit": 51},
        {"limit": "x"},
        {"limit": None},
        {"limit": 50},
        {"flow_runs": {"unknown": 1}},
        {"flow_runs": 1},
        {"unknown": 1},
    ):
        s.post("/flow_runs/bulk_delete", {**nothing, **body})
        s.post("/flow_runs/bulk_set_state", {**nothing, **state, **body})
    s.post("/flow_runs/bulk_set_state", nothing)
    s.post("/flow_runs/bulk_set_state", {**nothing, "state": {"type": "X"}})
    s.post("/flow_runs/bulk_set_state", {**nothing, **state, "force": "maybe"})


@scenario
def history_bodies(s: Session) -> None:
    good = {
        "history_start": "2020-01-01T00:00:00Z",
        "history_end": "2020-01-01T01:00:00Z",
        "history_interval_seconds": 3600,
    }
    for path in ("/flow_runs/history", "/task_runs/history"):
        for more in (
            {},
            {"history_interval_seconds": 0.5},
            {"history_interval_seconds": 1},
            {"history_interval_seconds": 0},
            {"history_interval_seconds": -1},
            {"history_interval_seconds": "PT30M"},
            {"history_interval_seconds": "00:20:00"},
            {"history_interval_seconds": "1800"},
            {"history_interval_seconds": "x"},
            {"history_interval_seconds": None},
            {"history_start": "x"},
            {"history_start": None},
            {"history_end": "2019-01-01T00:00:00Z"},
            {"history_end": "2020-01-01T00:00:00Z"},
            {"history_start": "2020-01-01T00:30:00+00:30"},
            {"history_start": 1577836800},
            {"flow_runs": {"unknown": 1}},
            {"work_queues": {"unknown": 1}},
            {"work_pool_queues": {"unknown": 1}},
            {"unknown": 1},
        ):
            s.post(path, {**good, "flows": {"id": {"any_": []}}, **more})
        s.post(path, {})
        s.post(path)
