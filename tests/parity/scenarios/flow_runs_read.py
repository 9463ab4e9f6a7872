"""Flow runs: inputs, history, graphs, log download, states."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import NOT_IDS, OWN, ZERO, flow, later, past, run, task


@scenario
def inputs(s: Session) -> None:
    run(s)
    path = "/flow_runs/{run.id}/input"
    s.post(path, {"key": "k", "value": "v"})
    s.post(path, {"key": "k", "value": "other"})
    s.post(path, {"key": "json", "value": '{"a": 1}', "sender": "prefect.flow-run.x"})
    s.post(path, {"key": "empty", "value": ""})
    s.post(path, {"key": "with space/slash", "value": "é👋"})
    for key in ("k", "json", "empty", "none", "with%20space", "with/slash", "with%2Fslash"):
        s.get(f"{path}/{key}")
    s.delete(f"{path}/k")
    s.delete(f"{path}/k")
    s.get(f"{path}/k")
    s.post(path, {"key": "k", "value": "again"})


@scenario
def inputs_filter(s: Session) -> None:
    run(s)
    path = "/flow_runs/{run.id}/input"
    for key in ("a-1", "a-2", "b-1", "a3", "b-a-4"):
        s.post(path, {"key": key, "value": f"value of {key}"}, only="status")
    for body in (
        {"prefix": "a-"},
        {"prefix": "a-", "limit": 10},
        {"prefix": "a-", "limit": 10, "exclude_keys": ["a-1"]},
        {"prefix": "a-", "limit": 10, "exclude_keys": []},
        {"prefix": "a%", "limit": 10},
        {"prefix": "a_", "limit": 10},
        {"prefix": "", "limit": 10},
        {"prefix": "none", "limit": 10},
        {"prefix": "a-", "limit": 0},
        {"prefix": "a-", "limit": "2"},
        {"prefix": "a-", "limit": None, "exclude_keys": None},
    ):
        s.post(f"{path}/filter", body, pick="key")
    s.post(f"{path}/filter", {"prefix": "a-", "limit": 2})


@scenario
def inputs_badly(s: Session) -> None:
    run(s)
    path = "/flow_runs/{run.id}/input"
    for body in (
        {},
        {"key": "k"},
        {"value": "v"},
        {"key": None, "value": None},
        {"key": 1, "value": 2},
        {"key": "k", "value": {"a": 1}},
        {"key": "k", "value": "v", "sender": 1},
        {"key": "k2", "value": "v", "unknown": 1},
        {"key": "k3", "value": "v", "sender": None},
        {"key": "", "value": "v"},
        [],
    ):
        s.post(path, body)
    for body in (
        {},
        {"prefix": None},
        {"prefix": 1},
        {"prefix": "a", "limit": "x"},
        {"prefix": "a", "exclude_keys": "x"},
    ):
        s.post(f"{path}/filter", body)
    s.post(f"{path}/filter")
    s.post(f"/flow_runs/{ZERO}/input", {"key": "k", "value": "v"})
    s.post(f"/flow_runs/{ZERO}/input/filter", {"prefix": "k"})


@scenario
def history(s: Session) -> None:
    flow(s)
    for number, time in enumerate(
        ("2020-01-01T00:00:00Z", "2020-01-01T00:59:58Z", "2020-01-01T01:00:00Z", "2020-01-01T02:30:00Z")
    ):
        state = {"type": "SCHEDULED", "name": "Late" if number % 2 else None, "state_details": {"scheduled_time": time}}
        run(s, save=f"r{number}", state={key: value for key, value in state.items() if value is not None})
    s.post("/flow_runs/{r0.id}/set_state", {"state": {"type": "CANCELLED"}}, only="status")
    span = {"history_start": "2020-01-01T00:00:00Z", "history_end": "2020-01-01T03:00:00Z"}
    masked = ("sum_estimated_lateness",)
    s.post("/flow_runs/history", {**span, "history_interval_seconds": 3600, **OWN}, masked=masked)
    s.post("/flow_runs/history", {**span, "history_interval_seconds": 4000.5, **OWN}, masked=masked)
    s.post("/flow_runs/history", {**span, "history_interval_seconds": 86400, **OWN}, masked=masked)
    for more in (
        {"flow_runs": {"state": {"type": {"any_": ["CANCELLED"]}}}},
        {"flow_runs": {"name": {"any_": ["nobody"]}}},
        {"task_runs": {"name": {"like_": "x"}}},
        {"deployments": {"name": {"like_": "x"}}},
        {"work_pools": {"name": {"any_": ["x"]}}},
        {"work_queues": {"name": {"any_": ["x"]}}},
        {"flows": None, "flow_runs": {"id": {"any_": []}}, "work_queues": None},
    ):
        s.post("/flow_runs/history", {**span, "history_interval_seconds": 5400, **OWN, **more}, masked=masked)
    offset = {"history_start": "2020-01-01T02:00:00+02:00", "history_end": "2020-01-01T05:00:00+02:00"}
    s.post("/flow_runs/history", {**offset, "history_interval_seconds": 3600, **OWN}, masked=masked)


@scenario
def history_of_times(s: Session) -> None:
    run(s, "d", state=past(7200))
    run(s, "r", state=past(10800))
    s.post("/flow_runs/{r.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    span = {"history_start": "$now-14400", "history_end": "$now", "history_interval_seconds": 3600}
    s.post("/flow_runs/history", {**span, **OWN}, masked=("sum_estimated_run_time",))


@scenario
def history_has_500_buckets(s: Session) -> None:
    body = {
        "history_start": "2020-01-01T00:00:00Z",
        "history_end": "2021-01-01T00:00:00Z",
        "history_interval_seconds": 60,
    }
    answer = s.request("POST", "/flow_runs/history", {**body, "flow_runs": {"id": {"any_": []}}})
    told = {"count": len(answer.body), "first": answer.body[0], "last": answer.body[-1]}
    s.steps.append({"step": "01 POST /flow_runs/history", "status": answer.status, "body": s.masks.body(told)})


def edge(*tasks: str) -> list[dict[str, Any]]:
    return [{"input_type": "task_run", "id": f"{{{name}.id}}"} for name in tasks]


@scenario
def graph(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, "a", state={"type": "RUNNING"})
    task(s, "b", state={"type": "RUNNING"}, task_inputs={"x": edge("a"), "y": []})
    inputs = {
        "x": edge("a", "b"),
        "p": [{"input_type": "parameter", "name": "n"}],
        "c": [{"input_type": "constant", "type": "int"}],
    }
    task(s, "c", task_inputs=inputs)
    task(s, "d", task_inputs={"__parents__": edge("c"), "x": edge("b")})
    s.post("/task_runs/{a.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    s.get("/flow_runs/{run.id}/graph", unordered=("$", "upstream_dependencies"))
    s.get("/flow_runs/{run.id}/graph-v2", unordered=("parents", "children", "encapsulating", "root_node_ids", "nodes"))


@scenario
def graph_of_nothing(s: Session) -> None:
    run(s)
    s.get("/flow_runs/{run.id}/graph")
    s.get("/flow_runs/{run.id}/graph-v2")
    s.get(f"/flow_runs/{ZERO}/graph")
    s.get(f"/flow_runs/{ZERO}/graph-v2")


@scenario
def graph_with_subflow(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, "first", state={"type": "RUNNING"})
    task(s, "parent", task_inputs={"x": edge("first")})
    flow(s, "inner_flow", "$uniq-inner")
    body = {"flow_id": "{inner_flow.id}", "name": "$uniq-inner", "parent_task_run_id": "{parent.id}"}
    s.post("/flow_runs/", {**body, "state": {"type": "RUNNING"}}, save="inner", only="status")
    task(s, "after", task_inputs={"x": edge("parent")})
    unordered = ("parents", "children", "encapsulating", "root_node_ids", "nodes", "upstream_dependencies", "$")
    s.get("/flow_runs/{run.id}/graph-v2", unordered=unordered)
    s.get("/flow_runs/{run.id}/graph", unordered=unordered)
    s.get("/flow_runs/{inner.id}/graph-v2")
    s.get("/task_runs/{parent.id}")


@scenario
def graph_since(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, "done", state={"type": "RUNNING"})
    s.post("/task_runs/{done.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    task(s, "open", state={"type": "RUNNING"})
    nodes = ("root_node_ids", "nodes")
    for since in ("$now+3600", "$now-3600", "0001-01-01T00:00:00Z", "2024-01-01T00:00:00", "x", ""):
        s.get(f"/flow_runs/{{run.id}}/graph-v2?since={since}".replace("+", "%2B"), unordered=nodes, only=None)


@scenario
def graph_of_scheduled_tasks(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, "soon", state=later(7200))
    task(s, "gone", state={"type": "CANCELLED"})
    s.get("/flow_runs/{run.id}/graph-v2", unordered=("root_node_ids", "nodes"))


@scenario
def log_download(s: Session) -> None:
    run(s, name="$uniq run")
    s.get("/flow_runs/{run.id}/logs/download")
    task(s)
    logs = [
        {"name": "p", "level": 20, "message": "first", "timestamp": "2024-01-01T00:00:00Z", "flow_run_id": "{run.id}"},
        {"name": "p", "level": 30, "message": 'with "quotes", comma', "timestamp": "2024-01-01T00:00:01.5Z"},
        {"name": "p", "level": 40, "message": "two\nlines é👋", "timestamp": "2024-01-01T00:00:02.000001+02:00"},
        {"name": "p", "level": 5, "message": "=1+1", "timestamp": "2024-01-01T00:00:03Z", "task_run_id": "{task.id}"},
        {"name": "p", "level": 60, "message": "", "timestamp": "2024-01-01T00:00:04Z"},
    ]
    s.post("/logs/", [{"flow_run_id": "{run.id}", **log} for log in logs], only="status")
    s.get("/flow_runs/{run.id}/logs/download")
    s.get(f"/flow_runs/{ZERO}/logs/download")


@scenario
def log_download_names(s: Session) -> None:
    flow(s)
    for number, name in enumerate(("é 👋", 'a"b;c', "a/b", "plain")):
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": f"$uniq {name}"}, save=f"r{number}", only="status")
        s.get(f"/flow_runs/{{r{number}.id}}/logs/download")


@scenario
def states_of_a_run(s: Session) -> None:
    run(s)
    for type in ("RUNNING", "COMPLETED"):
        s.post("/flow_runs/{run.id}/set_state", {"state": {"type": type, "message": f"m {type}"}}, only="status")
    s.get("/flow_run_states/?flow_run_id={run.id}")
    s.get("/flow_run_states/{run.state_id}")
    s.get("/flow_run_states/{run.state_id}/")


@scenario
def states_badly(s: Session) -> None:
    for kind in ("flow", "task"):
        s.get(f"/{kind}_run_states/{ZERO}")
        s.get(f"/{kind}_run_states/x")
        s.get(f"/{kind}_run_states/")
        s.get(f"/{kind}_run_states/?{kind}_run_id=x")
        s.get(f"/{kind}_run_states/?{kind}_run_id=")
        s.get(f"/{kind}_run_states/?{kind}_run_id={ZERO}")
        s.get(f"/{kind}_run_states/?{kind}_run_id={ZERO}&{kind}_run_id=x")
        s.get(f"/{kind}_run_states/?{kind}_run_id={ZERO}&unknown=1")
    for bad in NOT_IDS[:2]:
        s.get(f"/flow_run_states/{bad}")
