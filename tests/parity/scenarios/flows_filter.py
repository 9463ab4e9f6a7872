"""Flows: filter, count, paginate."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, flow, run, task


def ask(s: Session, *filters: dict[str, Any]) -> None:
    """Each filter of flows, by name and by count, of the scenario's own flows alone."""
    for one in filters:
        own = {"name": {"like_": "$uniq"}} if "name" not in one else {}
        s.post("/flows/filter", {"flows": {**one, **own}}, pick="name")


def three(s: Session) -> None:
    flow(s, "a", "$uniq-a", tags=["x", "y"])
    flow(s, "b", "$uniq-b", tags=["x", "$uniq"])
    flow(s, "c", "$uniq-c_")


@scenario
def whole_rows(s: Session) -> None:
    three(s)
    s.post("/flows/filter", {"flows": {"name": {"like_": "$uniq"}}})
    s.post("/flows/paginate", {"flows": {"name": {"like_": "$uniq"}}, "limit": 2})


@scenario
def ids(s: Session) -> None:
    three(s)
    ask(
        s,
        {"id": {"any_": ["{a.id}", "{c.id}", ZERO]}},
        {"id": {"any_": []}},
        {"id": {"not_any_": ["{a.id}"]}},
        {"id": {"not_any_": []}},
        {"id": {"any_": ["{a.id}", "{b.id}"], "not_any_": ["{a.id}"]}},
        {"id": {"any_": None}},
        {"id": {}},
        {"id": None},
        {},
    )


@scenario
def names(s: Session) -> None:
    three(s)
    ask(
        s,
        {"name": {"any_": ["$uniq-a", "$uniq-b"]}},
        {"name": {"like_": "$uniq-B"}},
        {"name": {"like_": "uniq"}, "id": {"any_": ["{a.id}"]}},
        {"name": {"like_": "$uniq-_"}},
        {"name": {"like_": "$uniq%c"}},
        {"name": {"like_": ""}, "id": {"any_": ["{a.id}"]}},
        {"name": {"any_": ["$uniq-a"], "like_": "B"}},
        {"name": {"any_": []}},
    )


@scenario
def tags(s: Session) -> None:
    three(s)
    ask(
        s,
        {"tags": {"all_": ["x"]}},
        {"tags": {"all_": ["x", "y"]}},
        {"tags": {"all_": ["y", "x", "x"]}},
        {"tags": {"all_": ["z"]}},
        {"tags": {"all_": []}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"all_": ["x"], "is_null_": True}},
        {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
        {"tags": {}},
    )


@scenario
def operators(s: Session) -> None:
    three(s)
    own = {"any_": ["{a.id}", "{b.id}", "{c.id}"]}
    for one in (
        {"operator": "or_", "name": {"any_": ["$uniq-a"]}, "tags": {"all_": ["$uniq"]}},
        {"operator": "and_", "name": {"any_": ["$uniq-a"]}, "tags": {"is_null_": True}},
        {"operator": "or_", "id": own, "tags": {"all_": ["nothing"]}},
        {"deployment": {"is_null_": True}, "id": own},
        {"deployment": {"is_null_": False}, "id": own},
        {"deployment": {"operator": "or_", "is_null_": True}, "id": own},
        {"deployment": {}, "id": own},
    ):
        s.post("/flows/filter", {"flows": one}, pick="name")
        s.post("/flows/count", {"flows": one})


@scenario
def of_other_entities(s: Session) -> None:
    three(s)
    s.post("/flow_runs/", {"flow_id": "{a.id}", "name": "$uniq-run", "tags": ["t"]}, save="run", only="status")
    task(s, tags=["u"])
    own = {"name": {"like_": "$uniq"}}
    for others in (
        {"flow_runs": {}},
        {"flow_runs": {"tags": {"all_": ["t"]}}},
        {"flow_runs": {"tags": {"all_": ["other"]}}},
        {"flow_runs": {"id": {"any_": ["{run.id}"]}}},
        {"flow_runs": {"id": {"not_any_": ["{run.id}"]}}},
        {"task_runs": {"id": {"any_": ["{task.id}"]}}},
        {"task_runs": {"tags": {"all_": ["u"]}}},
        {"task_runs": {}},
        {"flow_runs": {"tags": {"all_": ["t"]}}, "task_runs": {"tags": {"all_": ["other"]}}},
        {"deployments": {"name": {"any_": ["none"]}}},
        {"deployments": {}},
        {"work_pools": {"name": {"any_": ["none"]}}},
        {"work_pools": {}},
        {"flow_runs": None, "task_runs": None, "deployments": None, "work_pools": None},
    ):
        s.post("/flows/filter", {"flows": own, **others}, pick="name")
        s.post("/flows/count", {"flows": own, **others})


@scenario
def sorts(s: Session) -> None:
    three(s)
    s.patch("/flows/{b.id}", {"tags": ["new"]})
    own = {"flows": {"name": {"like_": "$uniq"}}}
    for sort in ("CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC", None, "name_asc", "ID_DESC", "", 1):
        s.post("/flows/filter", {**own, "sort": sort}, pick="name")
        s.post("/flows/paginate", {**own, "sort": sort}, pick="name")


@scenario
def limits_and_offsets(s: Session) -> None:
    three(s)
    own = {"flows": {"name": {"like_": "$uniq"}}}
    for limit in (0, 1, 2, 200, 201, -1, "2", "x", 1.5, 2.0, True, None, [], 10**20):
        s.post("/flows/filter", {**own, "limit": limit}, pick="name")
    for offset in (0, 1, 3, 100, -1, "1", "x", 1.5, None, 10**20):
        s.post("/flows/filter", {**own, "offset": offset}, pick="name")
    s.post("/flows/filter", {**own, "limit": 1, "offset": 1}, pick="name")


@scenario
def pages(s: Session) -> None:
    three(s)
    own = {"flows": {"name": {"like_": "$uniq"}}}
    for page in (
        {},
        {"page": 1, "limit": 2},
        {"page": 2, "limit": 2},
        {"page": 3, "limit": 2},
        {"page": 0},
        {"page": -1},
        {"page": "2", "limit": "1"},
        {"page": "x"},
        {"page": None, "limit": None},
        {"limit": 0},
        {"limit": 201},
        {"limit": -1},
    ):
        s.post("/flows/paginate", {**own, **page}, pick="name")


@scenario
def bad_filters(s: Session) -> None:
    for path in ("/flows/filter", "/flows/count", "/flows/paginate"):
        for body in (
            {"flows": 1},
            {"flows": []},
            {"flows": {"unknown": 1}},
            {"flows": {"operator": "xor_"}},
            {"flows": {"operator": None}},
            {"flows": {"id": 1}},
            {"flows": {"id": {"any_": "x"}}},
            {"flows": {"id": {"any_": ["x", 1, None]}}},
            {"flows": {"id": {"all_": []}}},
            {"flows": {"name": {"any_": [1]}}},
            {"flows": {"name": {"like_": 1}}},
            {"flows": {"name": "x"}},
            {"flows": {"tags": {"all_": "x"}}},
            {"flows": {"tags": {"any_": ["x"]}}},
            {"flows": {"tags": {"is_null_": "maybe"}}},
            {"flows": {"deployment": {"is_null_": 2}}},
            {"flow_runs": {"id": {"any_": ["x"]}}, "task_runs": {"unknown": 1}, "deployments": 1, "work_pools": []},
        ):
            s.post(path, body)


@scenario
def coerced_filters(s: Session) -> None:
    three(s)
    own = {"name": {"like_": "$uniq"}}
    for value in ("true", "false", 1, 0, "1", "yes", "off", 1.0, "TRUE"):
        s.post("/flows/filter", {"flows": {"tags": {"is_null_": value}, **own}}, pick="name")
    s.post("/flows/filter", {"flows": own, "unknown": 1, "work_queues": {"x": 1}}, pick="name")
    s.saved["upper"] = s.saved["a"]["id"].upper()
    s.saved["plain"] = s.saved["a"]["id"].replace("-", "")
    s.post("/flows/filter", {"flows": {"id": {"any_": ["{upper}"]}}}, pick="name")
    s.post("/flows/filter", {"flows": {"id": {"any_": ["{plain}"]}}}, pick="name")
    s.post("/flows/filter", {"flows": {"id": {"any_": ["urn:uuid:{a.id}"]}}}, pick="name")


@scenario
def runs_of_flows(s: Session) -> None:
    """A flow stands once in the list however many runs of it match."""
    three(s)
    for name in ("r1", "r2"):
        s.post("/flow_runs/", {"flow_id": "{b.id}", "name": f"$uniq-{name}"}, only="status")
    s.post("/flows/filter", {"flow_runs": {"name": {"like_": "$uniq"}}}, pick="name")
    s.post("/flows/count", {"flow_runs": {"name": {"like_": "$uniq"}}})
    run(s)
