"""Flow runs: filter, count, paginate, lateness; every key of every filter."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import OWN, RESULT, ZERO, flow, later, past, run, task


def four(s: Session) -> None:
    """a: completed, tags x y · b: running, tag x · c: scheduled in two hours · d: late since three hours."""
    run(s, "a", tags=["x", "y"], flow_version="v1", idempotency_key="$uniq-a", state={"type": "RUNNING"})
    s.post("/flow_runs/{a.id}/set_state", {"state": {"type": "COMPLETED", "data": RESULT}}, only="status")
    run(s, "b", tags=["x"], flow_version="v2", state={"type": "RUNNING"})
    run(s, "c", state=later(7200), idempotency_key="$uniq-c")
    late = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": "$now-10800"}}
    run(s, "d", state=late)


def ask(s: Session, *filters: dict[str, Any]) -> None:
    for one in filters:
        s.post("/flow_runs/filter", {**OWN, "flow_runs": one, "sort": "NAME_ASC"}, pick="name")
        s.post("/flow_runs/count", {**OWN, "flow_runs": one})


@scenario
def whole_rows(s: Session) -> None:
    four(s)
    s.post("/flow_runs/filter", {**OWN, "sort": "NAME_ASC"})
    s.post("/flow_runs/paginate", {**OWN, "sort": "NAME_ASC", "limit": 1})


@scenario
def ids(s: Session) -> None:
    four(s)
    ask(
        s,
        {"id": {"any_": ["{a.id}", "{c.id}", ZERO]}},
        {"id": {"any_": []}},
        {"id": {"not_any_": ["{a.id}"]}},
        {"id": {"not_any_": []}},
        {"id": {"any_": ["{a.id}", "{b.id}"], "not_any_": ["{b.id}"]}},
        {"id": {}},
        {},
    )


@scenario
def names(s: Session) -> None:
    four(s)
    ask(
        s,
        {"name": {"any_": ["$uniq-a", "nobody"]}},
        {"name": {"like_": "-A"}},
        {"name": {"like_": "$uniq%a"}},
        {"name": {"like_": ""}},
        {"name": {"any_": ["$uniq-a", "$uniq-b"], "like_": "b"}},
    )


@scenario
def tags(s: Session) -> None:
    four(s)
    ask(
        s,
        {"tags": {"all_": ["x"]}},
        {"tags": {"all_": ["x", "y"]}},
        {"tags": {"all_": []}},
        {"tags": {"any_": ["y", "z"]}},
        {"tags": {"any_": []}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
        {"tags": {"operator": "or_", "all_": ["y"], "any_": ["x"]}},
        {"tags": {"all_": ["x"], "any_": ["y"]}},
    )


@scenario
def states(s: Session) -> None:
    four(s)
    ask(
        s,
        {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}},
        {"state": {"type": {"any_": []}}},
        {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        {"state": {"type": {"not_any_": []}}},
        {"state": {"name": {"any_": ["Late", "Running"]}}},
        {"state": {"name": {"any_": ["late"]}}},
        {"state": {"name": {"not_any_": ["Late"]}}},
        {"state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Late"]}}},
        {"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}}},
        {"state": {"type": {"any_": ["SCHEDULED"], "not_any_": ["SCHEDULED"]}}},
        {"state": {}},
        {"state": {"type": None, "name": None}},
    )


@scenario
def times(s: Session) -> None:
    four(s)
    for key in ("start_time", "end_time", "expected_start_time", "next_scheduled_start_time"):
        ask(
            s,
            {key: {"after_": "$now-3600"}},
            {key: {"before_": "$now-3600"}},
            {key: {"after_": "$now-7200", "before_": "$now+3600"}},
            {key: {"before_": "$now+7200"}},
            {key: {"after_": "$now+7200"}},
            {key: {}},
        )
    for key in ("start_time", "end_time"):
        ask(s, {key: {"is_null_": True}}, {key: {"is_null_": False}}, {key: {"is_null_": True, "after_": "$now-3600"}})


@scenario
def forms_of_times(s: Session) -> None:
    run(s, "early", state={"type": "SCHEDULED", "state_details": {"scheduled_time": "2024-01-01T10:00:00Z"}})
    run(s, "late", state={"type": "SCHEDULED", "state_details": {"scheduled_time": "2024-01-01T10:00:00.000001Z"}})
    for time in (
        "2024-01-01T10:00:00Z",
        "2024-01-01T10:00:00.0Z",
        "2024-01-01T10:00:00.000001Z",
        "2024-01-01T10:00:00.0000009Z",
        "2024-01-01 10:00:00+00:00",
        "2024-01-01T12:00:00+02:00",
        "2024-01-01T10:00:00",
        "2024-01-01",
        1704103200,
        "1704103200",
    ):
        ask(s, {"expected_start_time": {"after_": time}}, {"expected_start_time": {"before_": time}})


@scenario
def versions_and_keys(s: Session) -> None:
    four(s)
    ask(
        s,
        {"flow_version": {"any_": ["v1", "v3"]}},
        {"flow_version": {"any_": []}},
        {"idempotency_key": {"any_": ["$uniq-a"]}},
        {"idempotency_key": {"not_any_": ["$uniq-a"]}},
        {"idempotency_key": {"any_": []}},
        {"idempotency_key": {"not_any_": []}},
        {"deployment_id": {"any_": [ZERO]}},
        {"deployment_id": {"is_null_": True}},
        {"deployment_id": {"is_null_": False}},
        {"deployment_id": {"operator": "or_", "any_": [ZERO], "is_null_": True}},
        {"work_queue_name": {"any_": ["q"]}},
        {"work_queue_name": {"is_null_": True}},
        {"work_queue_name": {"is_null_": False}},
        {"work_queue_name": {"operator": "or_", "any_": ["q"], "is_null_": True}},
    )


@scenario
def parents(s: Session) -> None:
    run(s, "outer", tags=["outer"])
    task(s, "parent", flow_run="outer")
    run(s, "inner", parent_task_run_id="{parent.id}")
    task(s, "alone", flow_run=None)
    run(s, "orphan", parent_task_run_id="{alone.id}")
    ask(
        s,
        {"parent_flow_run_id": {"any_": ["{outer.id}"]}},
        {"parent_flow_run_id": {"any_": ["{inner.id}"]}},
        {"parent_flow_run_id": {"any_": []}},
        {"parent_flow_run_id": {"operator": "or_", "any_": ["{outer.id}"]}},
        {"parent_flow_run_id": {}},
        {"parent_task_run_id": {"any_": ["{parent.id}"]}},
        {"parent_task_run_id": {"any_": []}},
        {"parent_task_run_id": {"is_null_": True}},
        {"parent_task_run_id": {"is_null_": False}},
        {"parent_task_run_id": {"operator": "or_", "any_": ["{parent.id}"], "is_null_": True}},
    )


@scenario
def creators(s: Session) -> None:
    flow(s)
    body = {"flow_id": "{flow.id}", "name": "$uniq-a"}
    headers = {"Prefect-Automation-ID": "11111111-1111-4111-8111-111111111111", "Prefect-Automation-Name": "bQ=="}
    s.post("/flow_runs/", body, headers=headers, save="a", only="status")
    run(s, "b")
    ask(
        s,
        {"created_by": {"id_": ["11111111-1111-4111-8111-111111111111"]}},
        {"created_by": {"id_": [ZERO]}},
        {"created_by": {"type_": ["AUTOMATION"]}},
        {"created_by": {"type_": ["DEPLOYMENT"]}},
        {"created_by": {"type_": []}},
        {"created_by": {"is_null_": True}},
        {"created_by": {"is_null_": False}},
        {"created_by": {"operator": "or_", "type_": ["AUTOMATION"], "is_null_": True}},
        {"created_by": {}},
    )


@scenario
def operators(s: Session) -> None:
    four(s)
    ask(
        s,
        {"operator": "or_", "name": {"any_": ["$uniq-a"]}, "tags": {"is_null_": True}},
        {"operator": "and_", "name": {"any_": ["$uniq-a"]}, "tags": {"is_null_": True}},
        {"operator": "or_", "id": {"any_": ["{a.id}"]}, "state": {"type": {"any_": ["RUNNING"]}}},
        {"operator": "or_"},
    )


@scenario
def of_other_entities(s: Session) -> None:
    four(s)
    task(s, "t", flow_run="a", tags=["u"], state={"type": "RUNNING"})
    own = {"flow_runs": {"name": {"like_": "$uniq"}}}
    for others in (
        {"flows": {"id": {"any_": ["{flow.id}"]}}},
        {"flows": {"name": {"any_": ["$uniq"]}}},
        {"flows": {"name": {"any_": ["other"]}}},
        {"flows": {"tags": {"all_": ["none"]}}},
        {"flows": {}},
        {"task_runs": {"id": {"any_": ["{t.id}"]}}},
        {"task_runs": {"tags": {"all_": ["u"]}}},
        {"task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
        {"task_runs": {"flow_run_id": {"any_": ["{a.id}"]}}},
        {"task_runs": {}},
        {"deployments": {"id": {"any_": [ZERO]}}},
        {"deployments": {"name": {"like_": "x"}}},
        {"deployments": {"tags": {"any_": ["x"]}}},
        {"deployments": {"paused": {"eq_": True}}},
        {"deployments": {"work_queue_name": {"any_": ["q"]}}},
        {"deployments": {"flow_or_deployment_name": {"like_": "$uniq"}}},
        {"deployments": {"concurrency_limit": {"ge_": 1}}},
        {"deployments": {}},
        {"work_pools": {"id": {"any_": [ZERO]}}},
        {"work_pools": {"name": {"any_": ["x"]}}},
        {"work_pools": {"type": {"any_": ["process"]}}},
        {"work_pools": {}},
        {"work_pool_queues": {"id": {"any_": [ZERO]}}},
        {"work_pool_queues": {"name": {"any_": ["q"]}}},
        {"work_pool_queues": {"name": {"startswith_": ["q"]}}},
        {"work_pool_queues": {}},
        {"work_queues": {"unknown": 1}},
        {"flows": None, "task_runs": None, "deployments": None, "work_pools": None, "work_pool_queues": None},
    ):
        s.post("/flow_runs/filter", {**own, **others, "sort": "NAME_ASC"}, pick="name")
        s.post("/flow_runs/count", {**own, **others})


@scenario
def sorts(s: Session) -> None:
    four(s)
    for sort in (
        "START_TIME_ASC",
        "START_TIME_DESC",
        "EXPECTED_START_TIME_ASC",
        "EXPECTED_START_TIME_DESC",
        "NAME_ASC",
        "NAME_DESC",
    ):
        s.post("/flow_runs/filter", {**OWN, "sort": sort}, pick="name")
        s.post("/flow_runs/paginate", {**OWN, "sort": sort}, pick="name")
    for sort in ("ID_DESC", None):
        s.post("/flow_runs/filter", {**OWN, "sort": sort}, pick="name", unordered=("$",))
    # Where nulls stand is the database's own, so only rows that have the value are asked for.
    ended, scheduled = {"end_time": {"is_null_": False}}, {"state": {"type": {"any_": ["SCHEDULED"]}}}
    s.post("/flow_runs/filter", {**OWN, "flow_runs": ended, "sort": "END_TIME_DESC"}, pick="name")
    s.post("/flow_runs/filter", {**OWN, "flow_runs": scheduled, "sort": "NEXT_SCHEDULED_START_TIME_ASC"}, pick="name")
    for sort in ("", "name_asc", "END_TIME_ASC", 1, []):
        s.post("/flow_runs/filter", {**OWN, "sort": sort})


@scenario
def limits_and_pages(s: Session) -> None:
    four(s)
    own = {**OWN, "sort": "NAME_ASC"}
    for limit in (0, 1, 3, 200, 201, -1, "2", "x", 1.5, None):
        s.post("/flow_runs/filter", {**own, "limit": limit}, pick="name")
        s.post("/flow_runs/paginate", {**own, "limit": limit}, pick="name")
    for offset in (0, 2, 9, -1, "1", None, "x"):
        s.post("/flow_runs/filter", {**own, "offset": offset}, pick="name")
    for page in (1, 2, 3, 0, "2", None, "x"):
        s.post("/flow_runs/paginate", {**own, "limit": 3, "page": page}, pick="name")


@scenario
def bad_filters(s: Session) -> None:
    for one in (
        1,
        [],
        {"unknown": 1},
        {"operator": "not_"},
        {"id": {"any_": ["x"]}},
        {"id": {"any_": None, "x": 1}},
        {"name": {"any_": [1]}},
        {"tags": {"all_": [1]}},
        {"state": {"type": {"any_": ["running"]}}},
        {"state": {"type": {"any_": "RUNNING"}}},
        {"state": {"type": ["RUNNING"]}},
        {"state": {"name": {"any_": [1]}}},
        {"start_time": {"after_": "x"}},
        {"start_time": {"is_null_": "x"}},
        {"expected_start_time": {"is_null_": True}},
        {"end_time": 1},
        {"next_scheduled_start_time": {"before_": []}},
        {"deployment_id": {"any_": ["x"]}},
        {"parent_flow_run_id": {"is_null_": True}},
        {"parent_task_run_id": {"any_": "x"}},
        {"idempotency_key": {"any_": [1]}},
        {"work_queue_name": {"any_": [1]}},
        {"flow_version": {"any_": [1]}},
        {"created_by": {"id_": ["x"], "type_": [1]}},
        {"created_by": {"any_": []}},
    ):
        s.post("/flow_runs/filter", {"flow_runs": one})
    s.post("/flow_runs/count", {"flow_runs": {"unknown": 1}, "work_pool_queues": {"unknown": 1}})
    s.post("/flow_runs/lateness", {"flow_runs": {"unknown": 1}, "work_pools": {"unknown": 1}})
    s.post("/flow_runs/paginate", {"flow_runs": 1, "deployments": {"paused": {"eq_": "x"}}})


@scenario
def lateness(s: Session) -> None:
    s.post("/flow_runs/lateness", {"flow_runs": {"id": {"any_": []}}})
    run(s, "d", state=past(7200))
    s.post("/flow_runs/lateness", OWN, masked=("$",))
    run(s, "c", state=later(7200))
    s.post("/flow_runs/lateness", {"flow_runs": {"id": {"any_": ["{c.id}"]}}})
    s.post("/flow_runs/lateness", {"flow_runs": {"name": {"any_": ["nobody"]}}})
    s.post("/flow_runs/lateness", {**OWN, "unknown": 1}, masked=("$",))


@scenario
def coerced_booleans(s: Session) -> None:
    run(s, "a", state={"type": "RUNNING"})
    run(s, "b")
    for value in ("true", "False", 1, 0, "1", "0", "yes", "no", "on", "off", "t", "F", "y", "n", 1.0, 2, "2", "", 0.5):
        s.post("/flow_runs/filter", {**OWN, "flow_runs": {"start_time": {"is_null_": value}}}, pick="name")
