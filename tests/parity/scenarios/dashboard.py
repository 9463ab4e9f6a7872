"""The requests that the pages of the dashboards make, with the bodies that they send.

What a body asks of everything there is (`{}`, a page without filters) is recorded by its status alone.
"""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import flow, past, run, set_state, task
from .deployments_needed import deployed, deployment

AND = {"operator": "and_"}
WEEK = {"after_": "$now-604800", "before_": "$now+60"}
CHANGING = ("estimated_run_time", "estimated_start_time_delta", "total_run_time")
ENDED = ["COMPLETED", "FAILED", "CRASHED"]


def _statuses(s: Session, path: str, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        s.post(path, body, only="status")


def _own_flow() -> dict[str, Any]:
    return {"flows": {**AND, "id": {"any_": ["{flow.id}"]}}}


def _three_runs(s: Session) -> None:
    run(s, "done", {"type": "RUNNING"})
    task(s, "one", "done", {"type": "RUNNING"})
    task(s, "two", "done", {"type": "FAILED"})
    set_state(s, "COMPLETED", of="done")
    run(s, "failed", {"type": "FAILED"})
    run(s, "late", past(120))


@scenario
def front_page(s: Session) -> None:
    _three_runs(s)
    period = {**AND, "expected_start_time": WEEK}
    for types in (["FAILED", "CRASHED"], ["RUNNING", "PENDING", "CANCELLING"], ["COMPLETED"], ["SCHEDULED", "PAUSED"]):
        state = {**AND, "type": {"any_": types}}
        page = {"sort": "START_TIME_DESC", "offset": 0}
        body = {**page, **_own_flow(), "flow_runs": {**period, "state": state}}
        s.post("/flow_runs/filter", body, pick="name")
        s.post("/flow_runs/count", {**body, "work_pools": {**AND, "id": {"any_": []}}})
        s.post("/flow_runs/count", {**_own_flow(), "flow_runs": {**AND, "state": state}})
        of_flows = {**_own_flow(), "flow_runs": {"state": {"type": {"any_": types}}}, "sort": "UPDATED_DESC"}
        s.post("/flows/paginate", of_flows, pick="name")
    s.post("/flow_runs/lateness", {"sort": "ID_DESC", "offset": 0, **_own_flow(), "flow_runs": period}, only="status")
    for types in (ENDED, ["COMPLETED"], ["FAILED", "CRASHED"], ["RUNNING"]):
        runs = {**AND, "subflow_runs": {"exists_": False}, "state": {**AND, "type": {"any_": types}}}
        s.post("/task_runs/count", {"task_runs": runs, **_own_flow()})
    span = {"history_start": "$now-86400", "history_end": "$now", "history_interval_seconds": 8640}
    _statuses(
        s,
        "/task_runs/history",
        {**span, **_own_flow(), "task_runs": {**AND, "start_time": WEEK}},
        {**span, "flow_runs": {}, "task_runs": {"start_time": WEEK}},
    )
    for path in ("/health", "/admin/version"):
        s.get(path)


@scenario
def runs(s: Session) -> None:
    _three_runs(s)
    period = {**AND, "name": {"like_": "$uniq"}, "expected_start_time": WEEK}
    s.post("/flow_runs/paginate", {"page": 1, "limit": 2, "sort": "NAME_ASC", "flow_runs": period}, pick="name")
    s.post("/flow_runs/paginate", {"page": 2, "limit": 2, "sort": "NAME_ASC", "flow_runs": period}, pick="name")
    s.post("/flow_runs/count", {"flow_runs": period})
    history = {"sort": "EXPECTED_START_TIME_DESC", "limit": 1000, "offset": 0, "flow_runs": period}
    s.post("/ui/flow_runs/history", history, pick="state_type")
    s.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": ["{done.id}", "{failed.id}", "{late.id}"]})
    mine = {"flow_runs": {**AND, "id": {"any_": ["{done.id}"]}}}
    paged = {"page": 1, "limit": 50, "sort": "EXPECTED_START_TIME_DESC", **mine}
    s.post("/task_runs/paginate", paged, pick="task_key", unordered=("results",))
    s.post("/task_runs/count", {"task_runs": {**AND, "name": {"like_": "$uniq"}}})
    s.post("/flows/filter", {"flows": {**AND, "id": {"any_": ["{flow.id}"]}}, "offset": 0, "sort": "NAME_ASC"})
    _statuses(
        s, "/flows/filter", {"limit": 100, "offset": 0, "sort": "NAME_ASC"}, {"offset": 0, "sort": "CREATED_DESC"}
    )
    _statuses(s, "/flow_runs/count", {})
    _statuses(s, "/task_runs/count", {})
    _statuses(s, "/flow_runs/filter", {}, {"sort": "ID_DESC", "offset": 0, "limit": 1})
    _statuses(s, "/saved_searches/filter", {})


@scenario
def one_run(s: Session) -> None:
    _three_runs(s)
    task(s, "parent", "done", {"type": "RUNNING"})
    run(s, "child", {"type": "RUNNING"}, parent_task_run_id="{parent.id}")
    s.get("/flow_runs/{done.id}", masked=CHANGING)
    logs = {"limit": 200, "sort": "TIMESTAMP_ASC", "offset": 0}
    s.post("/logs/filter", {**logs, "logs": {**AND, "level": {"ge_": 0}, "flow_run_id": {"any_": ["{done.id}"]}}})
    s.post("/logs/filter", {**logs, "logs": {**AND, "level": {"ge_": 0}, "task_run_id": {"any_": ["{one.id}"]}}})
    ours = {**AND, "any_": ["{done.id}"]}
    subflows = {**AND, "parent_flow_run_id": ours}
    s.post("/flow_runs/count", {"flow_runs": subflows})
    s.post(
        "/flow_runs/paginate", {"page": 1, "limit": 10, "sort": "START_TIME_DESC", "flow_runs": subflows}, pick="name"
    )
    active = {"state": {"type": {"any_": ["RUNNING", "SCHEDULED", "PENDING", "PAUSED"]}}}
    s.post("/flow_runs/filter", {"flow_runs": {**active, "parent_flow_run_id": {"any_": ["{done.id}"]}}}, pick="name")
    inside = {**ours, "is_null_": False}
    s.post("/task_runs/count", {"task_runs": {**AND, "flow_run_id": inside}})
    s.post("/task_runs/count", {"task_runs": {**AND, "flow_run_id": inside, "subflow_runs": {"exists_": False}}})
    alone = {**AND, "flow_run_id": inside, "subflow_runs": {"exists_": False}}
    s.post("/task_runs/paginate", {"task_runs": alone, "sort": "NAME_ASC", "page": 1, "limit": 20}, pick="task_key")
    found = {"flow_runs": {"id": {"any_": ["{done.id}"]}}, "task_runs": {"subflow_runs": {"exists_": False}}}
    s.post("/ui/task_runs/count", found)
    s.post("/task_runs/filter", {**found, "sort": "NAME_ASC"}, pick="task_key")
    s.post("/task_runs/filter", {"task_runs": {**AND, "id": {"any_": []}}, "sort": "ID_DESC", "offset": 0})
    either = {"id": {"any_": ["{one.id}"]}, "operator": "or_"}
    s.post("/task_runs/filter", {"task_runs": either, "sort": "NAME_DESC"}, pick="task_key")
    s.get("/flow_runs/{done.id}/graph-v2", only="status")
    s.get("/ui/task_runs/{two.id}", masked=CHANGING)


@scenario
def changes_of_a_run(s: Session) -> None:
    run(s, "going", {"type": "RUNNING"})
    s.post("/flow_runs/{going.id}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True})
    s.post("/flow_runs/{going.id}/set_state", {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True})
    s.delete("/flow_runs/{going.id}")
    s.delete("/flow_runs/{going.id}")


@scenario
def flows(s: Session) -> None:
    flow(s)
    run(s, "done", {"type": "COMPLETED"})
    s.post("/flows/paginate", {"page": 1, "limit": 10, "sort": "NAME_ASC", **_own_flow()}, pick="name")
    s.get("/flows/{flow.id}")
    started = {**AND, "start_time": {"is_null_": False}}
    latest = {"flow_runs": started, "offset": 0, "limit": 60, "sort": "START_TIME_DESC"}
    s.post("/flow_runs/filter", {**_own_flow(), **latest}, pick="name")
    s.post("/flow_runs/count", {**_own_flow(), "flow_runs": started})
    s.post("/flow_runs/paginate", {"page": 1, "limit": 10, "sort": "START_TIME_DESC", **_own_flow()}, pick="name")
    _statuses(s, "/flows/count", {"offset": 0, "sort": "NAME_ASC"}, {})


@scenario
def lists_of_everything(s: Session) -> None:
    for path, bodies in {
        "/artifacts/latest/filter": (
            {"artifacts": {**AND, "type": {}, "key": {"exists_": True, "like_": ""}}, "sort": "ID_DESC", "offset": 0},
            {"artifacts": {"key": {"exists_": True}, "type": {}}},
        ),
        "/artifacts/latest/count": ({"artifacts": {"key": {"exists_": True}, "type": {}}},),
        "/automations/filter": ({"sort": "CREATED_DESC", "offset": 0}, {}),
        "/block_documents/count": (
            {
                "block_types": {"slug": {}},
                "block_documents": {"is_anonymous": {"eq_": False}, **AND, "name": {}},
                "offset": 0,
                "include_secrets": False,
                "sort": "NAME_ASC",
            },
            {"limit": 1},
        ),
        "/block_documents/filter": (
            {"offset": 0, "sort": "BLOCK_TYPE_AND_NAME_ASC", "include_secrets": False},
            {
                "offset": 0,
                "sort": "BLOCK_TYPE_AND_NAME_ASC",
                "include_secrets": False,
                "block_documents": {**AND, "is_anonymous": {"eq_": False}},
                "block_schemas": {**AND, "block_capabilities": {"all_": ["write-path"]}},
                "limit": 200,
            },
            {"block_documents": {"id": {"any_": []}, "is_anonymous": {"eq_": None}}},
        ),
        "/block_types/filter": ({"offset": 0}, {"block_types": {"name": {}}, "offset": 0}),
        "/concurrency_limits/filter": ({"offset": 0},),
        "/v2/concurrency_limits/filter": ({"offset": 0},),
        "/variables/filter": (
            {"offset": 0, "limit": 10, "sort": "CREATED_DESC", "variables": {**AND}},
            {"variables": {"name": {}, "tags": {}}, "sort": "NAME_ASC", "offset": 0},
        ),
        "/variables/count": ({"offset": 0, "limit": 10, "sort": "CREATED_DESC", "variables": {**AND}},),
        "/work_pools/filter": ({"offset": 0}, {"limit": 200, "offset": 0}),
        "/work_pools/count": ({},),
        "/work_queues/filter": ({"offset": 0},),
    }.items():
        _statuses(s, path, *bodies)
    s.get("/admin/settings", only="status")
    s.get("/admin/storage", only="status")
    s.get("/block_types/slug/secret", only="status")


@scenario
def kinds_of_pools(s: Session) -> None:
    s.get("/collections/views/aggregate-worker-metadata", only="status")


@scenario
def events(s: Session) -> None:
    flow(s)
    day = {"occurred": {"since": "$now-3600", "until": "$now+60"}, "order": "DESC"}
    mine = {
        **day,
        "any_resource": {"id": ["prefect.flow.{flow.id}"]},
        "event": {"exclude_prefix": ["prefect.log.write"]},
    }
    s.post("/events/filter", {"filter": mine, "limit": 100}, only="status")
    s.post("/events/count-by/time", {"filter": mine, "time_unit": "minute", "time_interval": 30}, only="status")
    s.post(
        "/events/count-by/event", {"filter": {**day, "event": {"exclude_name": ["prefect.log.write"]}}}, only="status"
    )
    without = {**day, "any_resource": {"id_prefix": []}, "event": {"prefix": [], "name": [], "exclude_name": ["x"]}}
    s.post("/events/filter", {"filter": without, "limit": 1}, only="status")


@scenario
def deployments(s: Session) -> None:
    deployment(s, parameter_openapi_schema={"type": "object", "properties": {"factor": {"type": "integer"}}})
    deployed(s, "first", state={"type": "COMPLETED"})
    mine = {"deployments": {**AND, "id": {"any_": ["{deployment.id}"]}}}
    named = {"deployments": {**AND, "flow_or_deployment_name": {"like_": "$uniq"}, "tags": {**AND, "all_": []}}}
    s.post("/deployments/filter", {**mine, "offset": 0, "sort": "CREATED_DESC"}, pick="name")
    s.post("/deployments/filter", {"offset": 0, "sort": "NAME_ASC", **named, "limit": 10}, pick="name")
    s.post("/deployments/count", {"offset": 0, "sort": "NAME_ASC", **named})
    s.post("/deployments/paginate", {"sort": "NAME_ASC", "page": 1, "limit": 10, **_own_flow(), **named}, pick="name")
    by = {"sort": "START_TIME_DESC", "limit": 10, "offset": 0}
    s.post("/flow_runs/filter", {**mine, **by}, pick="name")
    paged = {"limit": 10, "page": 1, "sort": "START_TIME_DESC"}
    s.post("/flow_runs/paginate", {**mine, "flow_runs": {"name": {}, **AND}, **paged}, pick="name")
    s.get("/deployments/{deployment.id}", only="status")
    s.get("/automations/related-to/prefect.deployment.{deployment.id}")
    quick = {"type": "SCHEDULED", "message": "Run from the Prefect UI with defaults"}
    details = {"deferred": False, "untrackable_result": False, "pause_reschedule": False}
    s.post(
        "/deployments/{deployment.id}/create_flow_run", {"state": {**quick, "state_details": details}}, only="status"
    )
    custom = {
        "name": "$uniq-custom",
        "empirical_policy": {
            "resuming": False,
            "max_retries": 0,
            "retry_delay_seconds": 0,
            "retries": 2,
            "retry_delay": 5,
        },
        "state": {**quick, "state_details": {**details, "scheduled_time": None}},
        "tags": ["demo"],
        "job_variables": {"env": {"A": "b"}},
        "enforce_parameter_schema": True,
        "parameters": {"factor": 3},
    }
    s.post("/deployments/{deployment.id}/create_flow_run", custom, only="status")
    s.patch("/deployments/{deployment.id}", {"paused": True}, only="status")
    s.delete("/deployments/{deployment.id}")


@scenario
def work_pools(s: Session) -> None:
    pool = {"name": "$uniq", "type": "process", "description": None, "is_paused": False, "concurrency_limit": None}
    s.post("/work_pools/", {**pool, "base_job_template": {}}, only="status", save="pool")
    s.patch("/work_pools/$uniq", {"is_paused": True})
    s.patch("/work_pools/$uniq", {"is_paused": False})
    s.post("/work_pools/$uniq/queues/filter", {"offset": 0}, pick="name")
    s.post("/work_pools/$uniq/workers/filter", {"offset": 0})
    mine = {"work_pools": {**AND, "name": {"any_": ["$uniq"]}}}
    late = {"flow_runs": {**AND, "state": {**AND, "name": {"any_": ["Late"]}}}}
    queues = {"work_pool_queues": {**AND, "name": {"any_": ["default"]}}}
    s.post("/flow_runs/count", {**mine, **queues, **late})
    s.post("/flow_runs/paginate", {"page": 1, "limit": 10, "sort": "START_TIME_DESC", **mine})
    s.post("/deployments/paginate", {"page": 1, "limit": 10, "sort": "CREATED_DESC", **mine})
    s.post("/deployments/count", {"offset": 0, "sort": "CREATED_DESC", **mine})
    s.get("/work_pools/$uniq/queues/default", only="status")
    s.delete("/work_pools/$uniq")
    s.get("/work_pools/$uniq")


@scenario
def forms(s: Session) -> None:
    s.post("/variables/", {"name": "$uniq", "value": {"a": 1}, "tags": []}, save="variable")
    s.patch("/variables/{variable.id}", {"name": "$uniq_b", "value": [1], "tags": ["x"]})
    s.delete("/variables/{variable.id}")
    limit = {
        "active": True,
        "denied_slots": 0,
        "limit": 2,
        "name": "$uniq",
        "slot_decay_per_second": 0,
        "active_slots": 0,
    }
    s.post("/v2/concurrency_limits/", limit, save="limit", only="status")
    s.patch("/v2/concurrency_limits/{limit.id}", {"active": False})
    s.delete("/v2/concurrency_limits/{limit.id}")
    s.post("/ui/schemas/validate", {"schema": {"value": "x"}, "values": {"value": "y"}})
