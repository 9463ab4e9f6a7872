"""What only the dashboards ask: /ui."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import JSON, NOT_IDS, OWN, ZERO, bad_bodies, flow, later, past, run, task
from .deployments_needed import deployed, deployment

VALIDATE = "/ui/schemas/validate"


@scenario
def next_runs(s: Session) -> None:
    flow(s)
    flow(s, "empty", "$uniq-empty")
    run(s, "late", past(60))
    run(s, "soon", later(60))
    run(s, "ended", {"type": "COMPLETED"})
    s.post("/ui/flows/next-runs", {"flow_ids": ["{flow.id}", "{empty.id}", ZERO]})
    s.post("/ui/flows/count-deployments", {"flow_ids": ["{flow.id}", ZERO]})


@scenario
def ids_badly(s: Session) -> None:
    for path, key in (
        ("/ui/flows/next-runs", "flow_ids"),
        ("/ui/flows/count-deployments", "flow_ids"),
        ("/ui/flow_runs/count-task-runs", "flow_run_ids"),
    ):
        s.post(path, {key: []})
        s.post(path, {key: [ZERO, ZERO]})
        s.post(path, {key: [ZERO.upper(), ZERO.replace("-", "")]})
        s.post(path, {key: [ZERO] * 200})
        s.post(path, {key: [ZERO] * 201}, only="status")
        for given in (None, "x", ["x"], [1], [None], {}, [ZERO, "y"]):
            s.post(path, {key: given})
        s.post(path, {"other": 1})
        s.post(path, {key: [ZERO], "other": 1})
        bad_bodies(s, "POST", path)
        s.get(path)


@scenario
def task_runs_of_flow_runs(s: Session) -> None:
    run(s)
    run(s, "none")
    task(s, "one")
    task(s, "two")
    task(s, "parent")
    run(s, "child", parent_task_run_id="{parent.id}")
    task(s, "inside", "child")
    ids = ["{run.id}", "{none.id}", "{child.id}", ZERO]
    s.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": ids})


@scenario
def history(s: Session) -> None:
    path = "/ui/flow_runs/history"
    run(s, "late", past(100))
    run(s, "soon", later(100))
    run(s, "done", past(300))
    s.post("/flow_runs/{done.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    s.post("/flow_runs/{done.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    changing = ("lateness", "duration")
    s.post(path, OWN, masked=changing)
    for sort in ("EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC", "START_TIME_DESC", "NAME_ASC"):
        s.post(path, {**OWN, "sort": sort, "limit": 2, "offset": 1}, masked=changing, pick="state_type")
    for more in (
        {"limit": 0},
        {"limit": 1000},
        {"limit": "1"},
        {"limit": None, "offset": None, "sort": None},
        {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}},
        {"task_runs": {"name": {"like_": "x"}}},
        {"work_pools": {"name": {"any_": ["none"]}}},
        {"deployments": {"id": {"any_": [ZERO]}}},
        {"work_pool_queues": {"name": {"any_": ["none"]}}},
    ):
        s.post(path, {**OWN, **more}, pick="state_type")
    for bad in ({"limit": 1001}, {"limit": "x"}, {"offset": -1}, {"sort": "UP"}, {"sort": 1}, {"flows": {"no": 1}}):
        s.post(path, {**OWN, **bad})
    for raw in (b"{", b"[]", b'"text"', b"1"):
        s.post(path, raw=raw, headers=JSON)


@scenario
def one_task_run(s: Session) -> None:
    run(s)
    task(s, state={"type": "RUNNING"})
    task(s, "alone", None)
    changing = ("estimated_run_time", "estimated_start_time_delta")
    s.get("/ui/task_runs/{task.id}", masked=changing)
    s.get("/ui/task_runs/{alone.id}", masked=changing)
    s.get(f"/ui/task_runs/{ZERO}")
    for id in NOT_IDS:
        s.get(f"/ui/task_runs/{id}")
    s.delete("/ui/task_runs/{task.id}")


@scenario
def task_runs_by_state(s: Session) -> None:
    run(s)
    for index, type in enumerate(("RUNNING", "RUNNING", "PENDING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")):
        task(s, f"t{index}", state={"type": type})
    task(s, "parent", state={"type": "COMPLETED"})
    run(s, "child", parent_task_run_id="{parent.id}")
    own = {"flow_runs": {"id": {"any_": ["{run.id}"]}}}
    path = "/ui/task_runs/count"
    s.post(path, own)
    s.post(path, {**own, "task_runs": {"subflow_runs": {"exists_": False}}})
    s.post(path, {**own, "task_runs": {"state": {"type": {"any_": ["RUNNING", "FAILED"]}}}})
    s.post(path, {**own, "flows": {"id": {"any_": ["{flow.id}"]}}})
    s.post(path, {**own, "deployments": {"id": {"any_": [ZERO]}}})
    s.post(path, {"task_runs": {"id": {"any_": [ZERO]}}})
    s.post(path, {"task_runs": {"no": 1}})
    s.post(path, {"task_runs": []})


def _ended(s: Session, name: str, type: str, start: str) -> None:
    """A task run that started then, told by the states that it went through."""
    task(s, name)
    path = f"/task_runs/{{{name}.id}}/set_state"
    s.post(path, {"state": {"type": "RUNNING", "timestamp": start}, "force": True}, only="status")
    s.post(path, {"state": {"type": type}, "force": True}, only="status")


@scenario
def ended_task_runs(s: Session) -> None:
    run(s)
    _ended(s, "done", "COMPLETED", "2026-01-02T03:10:30Z")
    _ended(s, "edge", "COMPLETED", "2026-01-02T03:04:00Z")
    _ended(s, "failed", "FAILED", "2026-01-02T03:10:31.5Z")
    _ended(s, "crashed", "CRASHED", "2026-01-02T03:23:59Z")
    _ended(s, "cancelled", "CANCELLED", "2026-01-02T03:23:58Z")
    path = "/ui/task_runs/dashboard/counts"
    own: dict[str, Any] = {"flow_runs": {"id": {"any_": ["{run.id}"]}}}
    day = {"after_": "2026-01-02T03:04:05Z", "before_": "2026-01-02T03:23:30Z"}
    s.post(path, {**own, "task_runs": {"start_time": day}})
    s.post(path, {**own, "task_runs": {"start_time": {**day, "before_": "2026-01-02T03:30:00+00:00"}}})
    s.post(path, {**own, "task_runs": {"start_time": {**day, "after_": "2026-01-02T04:04:05+01:00"}}})
    s.post(path, {**own, "task_runs": {"start_time": {**day, "before_": "2026-01-02T03:00:00Z"}}})
    only_failed = {"start_time": day, "state": {"type": {"any_": ["FAILED"]}}}
    s.post(path, {**own, "task_runs": only_failed})
    s.post(path, {**own, "task_runs": {"start_time": {"after_": "2025-01-01T00:00:00Z"}}})
    s.post(path, {**own, "task_runs": {"start_time": day}, "work_queues": {"name": {"any_": ["none"]}}})
    s.post(path, {**own, "task_runs": {"start_time": day}, "work_pools": {"name": {"any_": ["none"]}}})
    for bad in ({}, None, {"start_time": None}, {"start_time": {}}, {"start_time": {"before_": "$now"}}, {"no": 1}):
        s.post(path, {**own, "task_runs": bad})
    s.post(path, {})
    bad_bodies(s, "POST", path)


SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "count": {"type": "integer", "position": 0},
        "when": {"type": "string", "format": "date-time"},
        "names": {"type": "array", "items": {"type": "string"}},
        "window": {"$ref": "#/definitions/Window"},
        "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]},
        "maybe": {"type": "string", "default": "x"},
    },
    "required": ["count"],
    "definitions": {
        "Window": {
            "title": "Window",
            "type": "object",
            "properties": {"days": {"type": "integer", "minimum": 1}, "mode": {"enum": ["a", "b"]}},
            "required": ["days"],
        }
    },
}


@scenario
def forms(s: Session) -> None:
    for values in (
        {"count": 1},
        {},
        {"count": "x"},
        {"count": None},
        {"count": 1, "when": "yesterday"},
        {"count": 1, "when": "2026-01-02T03:04:05Z"},
        {"count": 1, "when": None},
        {"count": 1, "names": ["a", 2, "b", 3]},
        {"count": 1, "names": "a"},
        {"count": 1, "window": {"days": 0, "mode": "c"}},
        {"count": 1, "window": {}},
        {"count": 1, "window": {"days": "x"}, "names": [1], "maybe": None},
        {"count": 1, "pair": ["x", 1]},
        {"count": 1, "more": True},
    ):
        s.post(VALIDATE, {"schema": SCHEMA, "values": values})


@scenario
def forms_to_fill_in(s: Session) -> None:
    s.post("/variables/", {"name": "$uniq", "value": 3}, only="status")
    kinds: tuple[dict[str, Any], ...] = (
        {"__prefect_kind": "none", "value": 1},
        {"__prefect_kind": "none"},
        {"__prefect_kind": "json", "value": "1"},
        {"__prefect_kind": "json", "value": "["},
        {"__prefect_kind": "json"},
        {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja"}},
        {"__prefect_kind": "jinja", "template": "{{ 1 }}"},
        {"__prefect_kind": "jinja", "template": "{{ 1"},
        {"__prefect_kind": "jinja"},
        {"__prefect_kind": "jinja", "template": {"__prefect_kind": "json", "value": "["}},
        {"__prefect_kind": "workspace_variable", "variable_name": "$uniq"},
        {"__prefect_kind": "workspace_variable", "variable_name": "no-such"},
        {"__prefect_kind": "workspace_variable"},
        {"__prefect_kind": "other", "value": 2},
        {"__prefect_kind": "other"},
        {"__prefect_kind": None, "value": 2},
    )
    for kind in kinds:
        s.post(VALIDATE, {"schema": SCHEMA, "values": {"count": kind}})
    s.post(VALIDATE, {"schema": SCHEMA, "values": {"count": 1, "names": list(kinds[:6])}})
    s.post(VALIDATE, {"schema": SCHEMA, "values": {"__prefect_kind": "json", "value": '{"count": "x"}'}})
    s.post(VALIDATE, {"schema": SCHEMA, "values": {"__prefect_kind": "json"}})
    s.post(VALIDATE, {"schema": SCHEMA, "values": {"__prefect_kind": "none"}})


@scenario
def forms_badly(s: Session) -> None:
    for schema in (
        {},
        {"type": "no-such-type"},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/schema"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
        {"$ref": "#"},
        {"properties": {"a": {"minimum": "x"}}},
    ):
        s.post(VALIDATE, {"schema": schema, "values": {"a": "x"}})
    for body in ({}, {"schema": {}}, {"values": {}}, {"schema": [], "values": []}, {"schema": None, "values": None}):
        s.post(VALIDATE, body)
    bad_bodies(s, "POST", VALIDATE)


@scenario
def with_deployments(s: Session) -> None:
    deployment(s)
    deployment(s, "second")
    flow(s, "empty", "$uniq-empty")
    deployed(s, "of_it", state={"type": "COMPLETED"})
    s.post("/ui/flows/count-deployments", {"flow_ids": ["{flow.id}", "{empty.id}"]})
    of = {"deployments": {"id": {"any_": ["{deployment.id}"]}}}
    s.post("/ui/flow_runs/history", of, pick="state_type")
    s.post("/ui/task_runs/count", of)
