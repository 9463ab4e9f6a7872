"""Deployments: making, reading, changing, listing and deleting them."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, flow, run

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}
TEMPLATE = {
    "job_configuration": {"image": "{{ image }}", "cpu": "{{ cpu }}"},
    "variables": {
        "type": "object",
        "properties": {"image": {"type": "string", "default": "x"}, "cpu": {"type": "integer"}},
        "required": ["cpu"],
    },
}


def make(s: Session, save: str = "d", **more: Any) -> None:
    if "flow" not in s.saved:
        flow(s)
    s.post("/deployments/", {"name": f"$uniq-{save}", "flow_id": "{flow.id}", **more}, save=save, only="status")


def pool(s: Session, save: str = "pool", **more: Any) -> None:
    body = {"name": f"$uniq-{save}", "type": "process", **more}
    s.post("/work_pools/", body, save=save, only="status")


@scenario
def create_and_read(s: Session) -> None:
    flow(s, labels={"of": "flow"})
    s.post("/deployments/", {"name": "$uniq", "flow_id": "{flow.id}"}, save="d")
    s.get("/deployments/{d.id}")
    s.get("/deployments/name/$uniq/$uniq")
    body = {
        "name": "$uniq-full",
        "flow_id": "{flow.id}",
        "paused": True,
        "description": "about it",
        "version": "1",
        "tags": ["b", "a"],
        "labels": {"of": "deployment", "n": 1},
        "parameters": {"a": 1, "b": None},
        "parameter_openapi_schema": SCHEMA,
        "job_variables": {"env": {"A": "1"}},
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/"}}],
        "path": "/",
        "entrypoint": "flow.py:f",
        "concurrency_limit": 2,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 90},
        "version_info": {"type": "x", "version": "1", "more": 1},
        "schedules": [{"schedule": {"cron": "0 0 1 1 *"}, "slug": "yearly", "parameters": {"a": 2}}],
    }
    s.post("/deployments/", body, save="full")
    s.get("/deployments/{full.id}")


@scenario
def create_again(s: Session) -> None:
    make(s, description="one", parameters={"a": 1}, tags=["x"], labels={"l": 1}, version="1", job_variables={"v": 1})
    for more in (
        {},
        {"description": "two"},
        {"paused": True, "tags": ["y"]},
        {"parameters": {"b": 2}, "labels": {"m": 2}},
        {"job_variables": {}},
        {"parameter_openapi_schema": {}, "enforce_parameter_schema": False},
        {"parameter_openapi_schema": None, "pull_steps": None, "concurrency_options": None, "labels": None},
        {"schedules": [{"schedule": {"interval": 600, "anchor_date": "2026-01-01T00:00:00Z"}}]},
        {"concurrency_limit": 1},
        {"concurrency_limit": 3},
        {"version": None},
        {"concurrency_limit": None},
    ):
        s.post("/deployments/", {"name": "$uniq-d", "flow_id": "{flow.id}", **more})


@scenario
def names(s: Session) -> None:
    flow(s)
    for name in ("", " ", "é", "a.b"):
        s.post("/deployments/", {"name": name + "$uniq" if name else "", "flow_id": "{flow.id}"}, only="status")
    for name in (1, None, []):
        s.post("/deployments/", {"name": name, "flow_id": "{flow.id}"})
    s.post("/deployments/", {"name": "$uniq"})
    s.post("/deployments/", {"name": "$uniq", "flow_id": ZERO})
    s.get("/deployments/name/$uniq/missing")


@scenario
def parameters_and_schemas(s: Session) -> None:
    flow(s)
    own = {"name": "$uniq", "flow_id": "{flow.id}"}
    for more in (
        {"enforce_parameter_schema": True, "parameters": {"a": 1}},
        {"enforce_parameter_schema": True, "parameters": {"a": "x"}, "parameter_openapi_schema": SCHEMA},
        {"enforce_parameter_schema": True, "parameters": {"b": "x"}, "parameter_openapi_schema": SCHEMA},
        {"enforce_parameter_schema": True, "parameter_openapi_schema": {"type": "nope"}},
        {"enforce_parameter_schema": False, "parameters": {"a": "x"}, "parameter_openapi_schema": SCHEMA},
        {"parameters": {"a": "x"}, "parameter_openapi_schema": SCHEMA},
    ):
        s.post("/deployments/", {**own, **more})


@scenario
def concurrency_limits(s: Session) -> None:
    make(s, concurrency_limit=2)
    s.post("/v2/concurrency_limits/", {"name": "$uniq-shared", "limit": 5}, save="shared", only="status")
    s.get("/v2/concurrency_limits/deployment:{d.id}")
    s.patch("/deployments/{d.id}", {"concurrency_limit": 4})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"concurrency_limit": None})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"global_concurrency_limit_id": "{shared.id}"})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"global_concurrency_limit_id": None})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"global_concurrency_limit_id": ZERO})
    s.patch("/deployments/{d.id}", {"global_concurrency_limit_id": ZERO, "concurrency_limit": 1})
    s.patch("/deployments/{d.id}", {"concurrency_options": {"collision_strategy": "ENQUEUE"}})
    s.get("/deployments/{d.id}")
    for options in ({"collision_strategy": "NONE"}, {}, {"collision_strategy": "ENQUEUE", "grace_period_seconds": 1}):
        s.patch("/deployments/{d.id}", {"concurrency_options": options})
    own = {"name": "$uniq-d", "flow_id": "{flow.id}"}
    s.post("/deployments/", {**own, "concurrency_limit": 1, "global_concurrency_limit_id": "{shared.id}"})
    s.post("/deployments/", {**own, "global_concurrency_limit_id": ZERO})
    s.post("/deployments/", {**own, "global_concurrency_limit_id": "{shared.id}"})
    s.post("/deployments/", {**own, "concurrency_limit": 0})


@scenario
def limit_goes_with_it(s: Session) -> None:
    make(s, concurrency_limit=2)
    s.delete("/deployments/{d.id}")
    s.get("/v2/concurrency_limits/deployment:{d.id}")


@scenario
def pools_and_queues(s: Session) -> None:
    pool(s)
    pool(s, "other")
    make(s, work_pool_name="$uniq-pool")
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"work_queue_name": "fast", "work_pool_name": "$uniq-pool"})
    s.get("/deployments/{d.id}")
    s.get("/work_pools/$uniq-pool/queues/fast", only="status")
    s.patch("/deployments/{d.id}", {"work_pool_name": "$uniq-other"})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"work_pool_name": None})
    s.get("/deployments/{d.id}")
    s.patch("/deployments/{d.id}", {"work_queue_name": "$uniq-agents"})
    s.get("/deployments/{d.id}")
    own = {"name": "$uniq-e", "flow_id": "{flow.id}"}
    s.post("/deployments/", {**own, "work_pool_name": "$uniq-missing"})
    s.post("/deployments/", {**own, "work_pool_name": "$uniq-pool", "work_queue_name": "new"}, save="e")
    s.post("/deployments/", {**own})
    s.get("/work_pools/$uniq-pool/queues/new", only="status")
    s.get("/deployments/{d.id}/work_queue_check", only="status")
    s.get(f"/deployments/{ZERO}/work_queue_check")


@scenario
def job_variables(s: Session) -> None:
    pool(s, base_job_template=TEMPLATE)
    flow(s)
    own = {"name": "$uniq-d", "flow_id": "{flow.id}", "work_pool_name": "$uniq-pool"}
    s.post("/deployments/", {**own, "job_variables": {"cpu": "x"}})
    s.post("/deployments/", {**own, "job_variables": {"image": "y", "more": 1}}, save="d")
    s.post("/deployments/{d.id}/create_flow_run", {})
    s.post("/deployments/{d.id}/create_flow_run", {"job_variables": {"cpu": "x"}})
    s.post("/deployments/{d.id}/create_flow_run", {"job_variables": {"cpu": 1}}, only="status")
    s.patch("/deployments/{d.id}", {"work_pool_name": "$uniq-pool", "job_variables": {"cpu": "x"}})
    s.patch("/deployments/{d.id}", {"job_variables": {"cpu": 2}})
    s.patch("/deployments/{d.id}", {"job_variables": None})
    s.get("/deployments/{d.id}")
    s.post("/deployments/{d.id}/create_flow_run", {}, only="status")


@scenario
def blocks(s: Session) -> None:
    flow(s)
    own = {"name": "$uniq-d", "flow_id": "{flow.id}"}
    s.post("/deployments/", {**own, "infrastructure_document_id": ZERO})
    s.post("/deployments/", {**own, "storage_document_id": ZERO})
    s.post("/deployments/", {**own, "storage_document_id": None}, only="status")


@scenario
def old_names(s: Session) -> None:
    flow(s)
    old = {
        "worker_pool_queue_id": ZERO,
        "worker_pool_name": "x",
        "worker_pool_queue_name": 1,
        "work_pool_queue_name": "z",
    }
    s.post("/deployments/", {"name": "$uniq", "flow_id": "{flow.id}", **old}, save="d", only="status")
    s.patch("/deployments/{d.id}", old)
    s.post("/deployments/", {"name": "$uniq", "flow_id": "{flow.id}", "unknown": 1}, only="status")
    s.patch("/deployments/{d.id}", {"unknown": 1})


@scenario
def change(s: Session) -> None:
    make(s, parameters={"a": 1}, parameter_openapi_schema=SCHEMA, tags=["x"])
    for body in (
        {},
        {"description": "d", "version": "2", "path": "/p", "entrypoint": "e"},
        {"description": None, "version": None},
        {"tags": ["y", "z"]},
        {"parameters": {"a": 2}},
        {"parameters": {"a": "x"}},
        {"parameters": {"b": "x"}},
        {"parameters": {"a": {"__prefect_kind": "json", "value": "5"}}},
        {"parameters": {"a": {"__prefect_kind": "json", "value": "{"}}},
        {"enforce_parameter_schema": False, "parameters": {"a": "x"}},
        {"enforce_parameter_schema": True},
        {"parameter_openapi_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"enforce_parameter_schema": True},
        {"paused": True},
        {"pull_steps": [{"step": {}}]},
        {"pull_steps": None},
    ):
        s.patch("/deployments/{d.id}", body)
        s.get("/deployments/{d.id}")


@scenario
def change_badly(s: Session) -> None:
    make(s)
    for body in (
        {"paused": None},
        {"tags": None},
        {"tags": "x"},
        {"parameters": None},
        {"parameters": []},
        {"enforce_parameter_schema": None},
        {"concurrency_limit": 0},
        {"concurrency_limit": "x"},
        {"schedules": None},
        {"schedules": [{}]},
        {"name": "x"},
        {"labels": {}},
        {"version_info": {}},
        {"job_variables": []},
    ):
        s.patch("/deployments/{d.id}", body)
    s.patch(f"/deployments/{ZERO}", {})
    s.patch("/deployments/x", {})
    s.patch("/deployments/{d.id}")


@scenario
def pause_and_resume(s: Session) -> None:
    make(s)
    for verb in ("pause", "pause", "resume", "resume"):
        s.post(f"/deployments/{{d.id}}/{verb}_deployment")
        s.get("/deployments/{d.id}")
        s.post(f"/deployments/{ZERO}/{verb}_deployment")


@scenario
def delete(s: Session) -> None:
    make(s)
    s.post("/deployments/{d.id}/create_flow_run", {"name": "waits"}, save="waits", only="status")
    s.post("/deployments/{d.id}/create_flow_run", {"state": {"type": "RUNNING"}}, save="runs", only="status")
    s.delete("/deployments/{d.id}")
    s.delete("/deployments/{d.id}")
    s.get("/deployments/{d.id}")
    s.get("/flow_runs/{waits.id}")
    s.get("/flow_runs/{runs.id}", only="status")


@scenario
def delete_many(s: Session) -> None:
    for name in "abc":
        make(s, name)
    for one in (
        {"deployments": {"id": {"any_": ["{b.id}", ZERO]}}},
        {"deployments": {"name": {"like_": "$uniq"}}, "limit": 1},
        {"deployments": {"name": {"like_": "$uniq"}}},
        {"deployments": {"name": {"like_": "$uniq"}}},
        {"limit": 0, "deployments": {"id": {"any_": []}}},
        {"limit": 51, "deployments": {"id": {"any_": []}}},
    ):
        s.post("/deployments/bulk_delete", one)


@scenario
def filters(s: Session) -> None:
    pool(s)
    make(s, "a", tags=["x", "y"], work_pool_name="$uniq-pool", work_queue_name="q")
    make(s, "b", tags=["x"], paused=True)
    make(s, "c", concurrency_limit=1)
    s.post("/deployments/{a.id}/create_flow_run", {"name": "$uniq-run"}, only="status")
    own = {"flows": {"id": {"any_": ["{flow.id}"]}}}
    for one in (
        {},
        {"deployments": {}},
        {"deployments": {"id": {"any_": ["{a.id}", ZERO]}}},
        {"deployments": {"id": {"not_any_": ["{a.id}"]}}},
        {"deployments": {"name": {"any_": ["$uniq-b"]}}},
        {"deployments": {"name": {"like_": "$uniq-c"}}},
        {"deployments": {"flow_or_deployment_name": {"like_": "$uniq-b"}}},
        {"deployments": {"paused": {"eq_": True}}},
        {"deployments": {"tags": {"all_": ["x"]}}},
        {"deployments": {"tags": {"any_": ["y", "z"]}}},
        {"deployments": {"tags": {"is_null_": True}}},
        {"deployments": {"work_queue_name": {"any_": ["q"]}}},
        {"deployments": {"concurrency_limit": {"is_null_": True}}},
        {"deployments": {"operator": "or_", "paused": {"eq_": True}, "name": {"any_": ["$uniq-a"]}}},
        {"flow_runs": {"name": {"any_": ["$uniq-run"]}}},
        {"task_runs": {"name": {"any_": ["$uniq"]}}},
        {"work_pools": {"name": {"any_": ["$uniq-pool"]}}},
        {"work_pool_queues": {"name": {"any_": ["q"]}}},
    ):
        s.post("/deployments/filter", {**own, **one}, pick="name")
        s.post("/deployments/count", {**own, **one})
    for bad in ({"deployments": {"x": 1}}, {"deployments": {"id": 1}}, {"sort": "ID_DESC"}, {"limit": 201}):
        s.post("/deployments/filter", {**own, **bad})
    for bad in ({"deployments": {"id": 1}}, {"flows": {"id": {"any_": ["x"]}}}, {"work_pools": []}):
        s.post("/deployments/count", bad)


@scenario
def pages(s: Session) -> None:
    for name in "acb":
        make(s, name)
    own = {"flows": {"id": {"any_": ["{flow.id}"]}}}
    for sort in ("CREATED_DESC", "NAME_ASC", "NAME_DESC", None):
        s.post("/deployments/filter", {**own, "sort": sort}, pick="name")
    for more in ({"limit": 2}, {"limit": 2, "page": 2}, {"limit": 0}, {"page": 0}, {"limit": 2, "page": 3}):
        s.post("/deployments/paginate", {**own, **more}, pick="name")
    s.post("/deployments/filter", {**own, "limit": 1, "offset": 1})


@scenario
def bodies(s: Session) -> None:
    run(s)
    for raw in (b"", b"{", b"null", b"{}"):
        s.send("POST", "/deployments/", raw=raw, headers={"Content-Type": "application/json"})
