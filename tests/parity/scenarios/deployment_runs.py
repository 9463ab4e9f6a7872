"""Runs of deployments: made one by one and in bulk, polled by runners, planned for schedules."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO
from .deployments import SCHEMA, make, pool


@scenario
def create(s: Session) -> None:
    make(
        s,
        parameters={"a": 1, "b": "x"},
        tags=["d"],
        labels={"of": "deployment"},
        version="7",
        parameter_openapi_schema=SCHEMA,
    )
    s.post("/deployments/{d.id}/create_flow_run", {"name": "$uniq"}, save="run")
    s.get("/flow_runs/{run.id}")
    for body in (
        {"name": "n", "parameters": {"a": 2}, "context": {"c": 1}, "labels": {"of": "run"}},
        {"name": "n", "state": {"type": "PENDING"}},
        {"name": "n", "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "$now+60"}}},
        {"name": "n", "parameters": {"a": "x"}},
        {"name": "n", "parameters": {"a": "x"}, "enforce_parameter_schema": False},
        {"name": "n", "parameters": {"a": {"__prefect_kind": "json", "value": "7"}}},
        {"name": "n", "parameters": {"a": {"__prefect_kind": "json", "value": "["}}},
        {"name": "n", "parameters": {"a": {"__prefect_kind": "workspace_variable", "variable_name": "$uniq-none"}}},
        {"name": "n", "job_variables": None},
        {"name": "n", "job_variables": {"x": 1}, "empirical_policy": {"retries": 2}},
        {"name": "n", "work_queue_name": "q"},
        {"name": "n", "infrastructure_document_id": None, "parent_task_run_id": None},
    ):
        s.post("/deployments/{d.id}/create_flow_run", body)


@scenario
def of_another_flow(s: Session) -> None:
    make(s, labels={"of": "deployment"})
    s.post("/flows/", {"name": "$uniq-other", "labels": {"of": "flow"}}, save="other")
    s.post("/flow_runs/", {"flow_id": "{other.id}", "deployment_id": "{d.id}", "labels": {"own": 1}}, save="run")
    s.get("/flow_runs/{run.id}")


@scenario
def create_badly(s: Session) -> None:
    make(s)
    path = "/deployments/{d.id}/create_flow_run"
    s.post(path)
    for body in (
        [],
        {"parameters": None},
        {"tags": "x"},
        {"state": {"type": "NOPE"}},
        {"flow_id": ZERO},
        {"unknown": 1},
        {"parent_task_run_id": ZERO},
    ):
        s.post(path, body)
    s.post(f"/deployments/{ZERO}/create_flow_run", {})


@scenario
def without_a_schema(s: Session) -> None:
    make(s, parameter_openapi_schema=None)
    s.post("/deployments/{d.id}/create_flow_run", {"parameters": {"a": 1}})
    s.post("/deployments/{d.id}/create_flow_run", {"enforce_parameter_schema": False}, only="status")
    s.post("/deployments/{d.id}/create_flow_run/bulk", [{}])
    s.patch("/deployments/{d.id}", {"parameters": {"a": 1}})


@scenario
def required_parameters(s: Session) -> None:
    make(s, parameter_openapi_schema=SCHEMA)
    s.post("/deployments/{d.id}/create_flow_run", {})
    s.post("/deployments/{d.id}/create_flow_run", {"parameters": {"a": None}})
    s.post("/deployments/{d.id}/create_flow_run", {"parameters": {"a": 1, "b": None}}, only="status")


@scenario
def idempotency(s: Session) -> None:
    make(s)
    body = {"name": "first", "idempotency_key": "$uniq"}
    s.post("/deployments/{d.id}/create_flow_run", body, save="run")
    s.post("/deployments/{d.id}/create_flow_run", {**body, "name": "second"})
    s.post("/deployments/{d.id}/create_flow_run/bulk", [{**body, "name": "third"}])


@scenario
def of_a_pool(s: Session) -> None:
    pool(s)
    make(s, work_pool_name="$uniq-pool")
    s.post("/deployments/{d.id}/create_flow_run", {"name": "n"})
    s.post("/deployments/{d.id}/create_flow_run", {"name": "n", "work_queue_name": "new"})
    s.get("/work_pools/$uniq-pool/queues/new", only="status")


@scenario
def bulk(s: Session) -> None:
    make(s, parameter_openapi_schema=SCHEMA, parameters={"a": 1})
    path = "/deployments/{d.id}/create_flow_run/bulk"
    s.post(path, [{"name": "x"}, {"parameters": {"a": "x"}}, {"work_queue_name": "q"}, {"name": "y", "tags": ["t"]}])
    s.post(path, [])
    s.post(path, [{} for _ in range(101)])
    s.post(f"/deployments/{ZERO}/create_flow_run/bulk", [])
    s.post(path, {})
    s.post(path, [{"unknown": 1}])
    s.post("/flow_runs/count", {"deployments": {"id": {"any_": ["{d.id}"]}}})


@scenario
def polled(s: Session) -> None:
    make(s)
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "$now+600"}}
    s.post("/deployments/{d.id}/create_flow_run", {"name": "now"}, save="now", only="status")
    s.post("/deployments/{d.id}/create_flow_run", {"name": "later", "state": later}, only="status")
    s.post("/deployments/{d.id}/create_flow_run", {"name": "runs", "state": {"type": "RUNNING"}}, only="status")
    path = "/deployments/get_scheduled_flow_runs"
    for more in ({"scheduled_before": "$now+30"}, {"scheduled_before": "$now+900"}, {}, {"limit": 1}, {"limit": 0}):
        s.post(path, {"deployment_ids": ["{d.id}"], **more}, pick="name")
    s.poll("/deployments/{d.id}", lambda answer: answer.body["status"] == "READY", masked=("last_polled",))
    s.post(path, {"deployment_ids": ["{d.id}"], "scheduled_before": "$now+30"})
    s.post(path, {"deployment_ids": []})
    s.post(path, {"deployment_ids": [ZERO]})
    s.post(path, {"deployment_ids": ["x"]})
    s.post(path, {})
    s.post(path, {"deployment_ids": ["{d.id}"], "scheduled_before": "x"})


OWN = {"deployments": {"id": {"any_": ["{d.id}"]}}, "sort": "EXPECTED_START_TIME_ASC"}
DAILY = {"schedule": {"cron": "0 9 * * *", "timezone": "America/New_York"}, "slug": "daily"}


@scenario
def scheduled_by_hand(s: Session) -> None:
    make(s, schedules=[DAILY], tags=["d"], parameters={"a": 1, "b": 1}, labels={"l": 1}, version="3")
    path = "/deployments/{d.id}/schedule"
    fall = {"start_time": "2026-10-30T00:00:00-04:00", "end_time": "2026-11-03T00:00:00-05:00"}
    s.post(path, {**fall, "min_time": 86400 * 30})
    s.post("/flow_runs/filter", OWN, masked=("name", "estimated_start_time_delta"))
    s.post(path, {**fall, "min_time": 86400 * 30})
    s.post("/flow_runs/count", {"deployments": {"id": {"any_": ["{d.id}"]}}})
    s.post(path, {"start_time": "2026-09-01T00:00:00Z", "max_runs": 2})
    s.post(path, {"start_time": "2026-08-01T00:00:00Z", "min_runs": 5, "min_time": 0})
    s.post("/flow_runs/filter", OWN, pick="expected_start_time")
    s.post(f"/deployments/{ZERO}/schedule")
    for bad in ({"start_time": "x"}, {"min_time": "x"}, {"min_runs": 1.5}):
        s.post(path, bad)


@scenario
def schedules_of_all_kinds(s: Session) -> None:
    make(
        s,
        schedules=[
            {"schedule": {"interval": 21600, "anchor_date": "2026-01-01T03:00:00Z"}, "parameters": {"a": 2}},
            {"schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "slug": "cron", "active": False},
            {"schedule": {"rrule": "FREQ=DAILY;BYHOUR=7", "timezone": "Asia/Kolkata"}, "slug": "rule"},
        ],
    )
    s.post("/deployments/{d.id}/schedule", {"start_time": "2026-10-24T00:00:00Z", "end_time": "2026-10-26T00:00:00Z"})
    s.post("/flow_runs/filter", OWN, pick="expected_start_time")


@scenario
def what_a_change_leaves(s: Session) -> None:
    """Past runs of schedules stay unless the deployment is paused; future ones go."""
    make(s, schedules=[DAILY])
    past = {"start_time": "2026-10-01T00:00:00Z", "max_runs": 2}
    future = {"start_time": "$now+86400", "max_runs": 2}
    for verb, path, body in (
        ("PATCH", "/deployments/{d.id}", {"tags": ["x"]}),
        ("POST", "/deployments/", {"name": "$uniq-d", "flow_id": "{flow.id}", "schedules": [DAILY]}),
        ("POST", "/deployments/{d.id}/pause_deployment", {}),
        ("POST", "/deployments/{d.id}/resume_deployment", {}),
    ):
        s.post("/deployments/{d.id}/schedule", past)
        s.post("/deployments/{d.id}/schedule", future)
        s.post("/flow_runs/count", {"deployments": {"id": {"any_": ["{d.id}"]}}})
        s.send(verb, path, body, only="status")
        s.post("/flow_runs/count", {"deployments": {"id": {"any_": ["{d.id}"]}}})
