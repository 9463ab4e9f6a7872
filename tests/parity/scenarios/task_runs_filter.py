"""Task runs: filter, count, paginate, history; every key of the filter."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import OWN, ZERO, flow, later, run, task


def four(s: Session) -> None:
    """a: completed, tags x y · b: running, tag x · c: scheduled in two hours · d: scheduled three hours ago."""
    run(s, state={"type": "RUNNING"})
    task(s, "a", tags=["x", "y"], state={"type": "RUNNING"})
    s.post("/task_runs/{a.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    task(s, "b", tags=["x"], state={"type": "RUNNING"})
    task(s, "c", state=later(7200))
    task(s, "d", state={"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": "$now-10800"}})


def ask(s: Session, *filters: dict[str, Any]) -> None:
    for one in filters:
        s.post("/task_runs/filter", {**OWN, "task_runs": one, "sort": "NAME_ASC"}, pick="name")
        s.post("/task_runs/count", {**OWN, "task_runs": one})


@scenario
def whole_rows(s: Session) -> None:
    four(s)
    s.post("/task_runs/filter", {**OWN, "sort": "NAME_ASC"})
    s.post("/task_runs/paginate", {**OWN, "sort": "NAME_ASC", "limit": 1})


@scenario
def ids_and_names(s: Session) -> None:
    four(s)
    ask(
        s,
        {"id": {"any_": ["{a.id}", ZERO]}},
        {"id": {"any_": []}},
        {"id": {}},
        {"name": {"any_": ["$uniq-a"]}},
        {"name": {"like_": "-B"}},
        {"name": {"like_": "$uniq%c"}},
        {},
    )


@scenario
def tags(s: Session) -> None:
    four(s)
    ask(
        s,
        {"tags": {"all_": ["x"]}},
        {"tags": {"all_": ["y", "x"]}},
        {"tags": {"all_": []}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
    )


@scenario
def states(s: Session) -> None:
    four(s)
    ask(
        s,
        {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}},
        {"state": {"type": {"any_": []}}},
        {"state": {"name": {"any_": ["Late", "Running"]}}},
        {"state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Late"]}}},
        {"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}}},
        {"state": {}},
        {"state": {"type": None}},
    )


@scenario
def times(s: Session) -> None:
    four(s)
    for key in ("start_time", "end_time", "expected_start_time"):
        ask(
            s,
            {key: {"after_": "$now-3600"}},
            {key: {"before_": "$now-3600"}},
            {key: {"after_": "$now-7200", "before_": "$now+3600"}},
            {key: {"before_": "$now+7200"}},
            {key: {}},
        )
    for key in ("start_time", "end_time"):
        ask(s, {key: {"is_null_": True}}, {key: {"is_null_": False}})


@scenario
def flow_runs_and_subflows(s: Session) -> None:
    run(s)
    task(s, "plain")
    task(s, "parent")
    run(s, "child", parent_task_run_id="{parent.id}")
    task(s, "free", flow_run=None)
    own = {"name": {"like_": "$uniq"}}
    for one in (
        {"flow_run_id": {"any_": ["{run.id}"]}},
        {"flow_run_id": {"any_": []}},
        {"flow_run_id": {"is_null_": True}},
        {"flow_run_id": {"is_null_": False}},
        {"flow_run_id": {}},
        {"flow_run_id": {"operator": "or_", "any_": ["{run.id}"], "is_null_": True}},
        {"flow_run_id": {"any_": ["{run.id}"], "is_null_": True}},
        {"flow_run_id": {"any_": ["{run.id}"], "is_null_": None}},
        {"flow_run_id": None},
        {"subflow_runs": {"exists_": True}},
        {"subflow_runs": {"exists_": False}},
        {"subflow_runs": {}},
        {"operator": "or_", "tags": {"all_": ["$uniq"]}, "id": {"any_": ["{plain.id}"]}},
    ):
        s.post("/task_runs/filter", {"task_runs": {**own, **one}, "sort": "NAME_ASC"}, pick="name")
        s.post("/task_runs/count", {"task_runs": {**own, **one}})


@scenario
def of_other_entities(s: Session) -> None:
    four(s)
    own = {"task_runs": {"name": {"like_": "$uniq"}}}
    for others in (
        {"flows": {"id": {"any_": ["{flow.id}"]}}},
        {"flows": {"name": {"any_": ["other"]}}},
        {"flows": {}},
        {"flow_runs": {"id": {"any_": ["{run.id}"]}}},
        {"flow_runs": {"id": {"not_any_": ["{run.id}"]}}},
        {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
        {"flow_runs": {}},
        {"deployments": {"name": {"any_": ["x"]}}},
        {"deployments": {}},
        {"work_pools": {"name": {"any_": ["x"]}}},
        {"flows": None, "flow_runs": None, "deployments": None},
    ):
        s.post("/task_runs/filter", {**own, **others, "sort": "NAME_ASC"}, pick="name")
        s.post("/task_runs/count", {**own, **others})


@scenario
def sorts(s: Session) -> None:
    four(s)
    for sort in ("EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC", "NAME_ASC", "NAME_DESC"):
        s.post("/task_runs/filter", {**OWN, "sort": sort}, pick="name")
        s.post("/task_runs/paginate", {**OWN, "sort": sort}, pick="name")
    for sort in ("ID_DESC", None):
        s.post("/task_runs/filter", {**OWN, "sort": sort}, pick="name", unordered=("$",))
    ended, scheduled = {"end_time": {"is_null_": False}}, {"state": {"type": {"any_": ["SCHEDULED"]}}}
    s.post("/task_runs/filter", {**OWN, "task_runs": ended, "sort": "END_TIME_DESC"}, pick="name")
    s.post("/task_runs/filter", {**OWN, "task_runs": scheduled, "sort": "NEXT_SCHEDULED_START_TIME_ASC"}, pick="name")
    for sort in ("DURATION_ASC", "DURATION_DESC", "", "START_TIME_ASC", 1):
        s.post("/task_runs/filter", {**OWN, "sort": sort}, pick="name", unordered=("$",))


@scenario
def limits_and_pages(s: Session) -> None:
    four(s)
    own = {**OWN, "sort": "NAME_ASC"}
    for limit in (0, 1, 3, 200, 201, -1, "2", "x", None):
        s.post("/task_runs/filter", {**own, "limit": limit}, pick="name")
        s.post("/task_runs/paginate", {**own, "limit": limit}, pick="name")
    for offset in (0, 2, 9, -1, "1", None):
        s.post("/task_runs/filter", {**own, "offset": offset}, pick="name")
    for page in (1, 2, 0, "2", None):
        s.post("/task_runs/paginate", {**own, "limit": 3, "page": page}, pick="name")


@scenario
def bad_filters(s: Session) -> None:
    for one in (
        1,
        [],
        {"unknown": 1},
        {"operator": "not_"},
        {"id": {"any_": ["x"]}},
        {"id": {"not_any_": [ZERO]}},
        {"name": {"any_": [1]}},
        {"tags": {"any_": ["x"]}},
        {"state": {"type": {"any_": ["running"]}}},
        {"state": {"type": {"not_any_": ["RUNNING"]}}},
        {"state": {"name": {"not_any_": ["x"]}}},
        {"start_time": {"after_": "x"}},
        {"expected_start_time": {"is_null_": True}},
        {"next_scheduled_start_time": {"before_": "2024-01-01T00:00:00Z"}},
        {"subflow_runs": {"exists_": "x"}},
        {"flow_run_id": {"any_": ["x"], "is_null_": "x"}},
        {"deployment_id": {"any_": [ZERO]}},
    ):
        s.post("/task_runs/filter", {"task_runs": one})
    s.post("/task_runs/count", {"task_runs": {"unknown": 1}, "flow_runs": {"unknown": 1}})
    s.post("/task_runs/paginate", {"task_runs": 1, "flows": {"unknown": 1}})


@scenario
def history(s: Session) -> None:
    flow(s)
    run(s)
    for number, time in enumerate(("2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "2020-01-01T02:30:00Z")):
        task(s, f"t{number}", state={"type": "SCHEDULED", "state_details": {"scheduled_time": time}})
    s.post("/task_runs/{t0.id}/set_state", {"state": {"type": "CANCELLED"}}, only="status")
    span = {"history_start": "2020-01-01T00:00:00Z", "history_end": "2020-01-01T03:00:00Z"}
    masked = ("sum_estimated_lateness",)
    for more in (
        {},
        {"task_runs": {"state": {"type": {"any_": ["CANCELLED"]}}}},
        {"flow_runs": {"name": {"any_": ["x"]}}},
    ):
        s.post("/task_runs/history", {**span, "history_interval_seconds": 5400, **OWN, **more}, masked=masked)
