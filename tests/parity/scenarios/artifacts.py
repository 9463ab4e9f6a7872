"""Artifacts and their collections."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies, flow, run, task

OWN = {"artifacts": {"key": {"like_": "$uniq"}}}


def make(s: Session, save: str = "a", key: str | None = "$uniq-a", **more: Any) -> None:
    s.post("/artifacts/", {"key": key, "type": "markdown", "data": save, **more}, save=save, only="status")


@scenario
def create_and_read(s: Session) -> None:
    s.post(
        "/artifacts/",
        {
            "key": "$uniq-a",
            "type": "table",
            "description": "what it is",
            "data": [{"z": 1, "a": None}],
            "metadata_": {"k": "v", "long": "x" * 501, "edge": "y" * 500},
            "flow_run_id": ZERO,
        },
        save="a",
    )
    s.get("/artifacts/{a.id}")
    s.get("/artifacts/$uniq-a/latest", save="latest")
    s.get("/artifacts/{latest.id}")
    s.post("/artifacts/", {}, save="empty")
    s.get("/artifacts/{empty.id}")
    s.post("/artifacts/", {"key": "", "data": 1})


@scenario
def values(s: Session) -> None:
    for number, data in enumerate(("x", "", 0, -1.5, True, None, [], {}, [None], {"a": {"b": "é👋"}}, 10**18, "<b>")):
        s.post("/artifacts/", {"data": data}, save=f"a{number}")
        s.get(f"/artifacts/{{a{number}.id}}")


@scenario
def create_badly(s: Session) -> None:
    for body in (
        {"key": "Upper"},
        {"key": "a_b"},
        {"key": "a b"},
        {"key": 1},
        {"type": 1},
        {"description": []},
        {"metadata_": {"k": 1}},
        {"metadata_": {"k": None}},
        {"metadata_": []},
        {"metadata_": "x"},
        {"flow_run_id": "x"},
        {"task_run_id": 1},
        {"unknown": 1},
        {"id": ZERO},
        [],
    ):
        s.post("/artifacts/", body)
    bad_bodies(s, "POST", "/artifacts/")


@scenario
def the_latest_of_a_key(s: Session) -> None:
    make(s, "a", flow_run_id=ZERO, description="d", metadata_={"k": "v"})
    s.get("/artifacts/$uniq-a/latest", save="first")
    make(s, "b", type="table")
    s.get("/artifacts/$uniq-a/latest")
    s.post("/artifacts/latest/filter", OWN)
    s.get("/artifacts/$uniq-none/latest")
    s.get("/artifacts/a%2Fb/latest")


@scenario
def change(s: Session) -> None:
    make(s, "a", description="d", metadata_={"k": "v"})
    make(s, "b")
    make(s, "c", None)
    s.patch("/artifacts/{b.id}", {"data": {"new": 1}, "description": "new", "metadata_": {"m": "z" * 600}})
    s.get("/artifacts/{b.id}")
    s.get("/artifacts/$uniq-a/latest")
    s.patch("/artifacts/{a.id}", {"data": "older"})
    s.get("/artifacts/{a.id}")
    s.get("/artifacts/$uniq-a/latest")
    s.patch("/artifacts/{a.id}", {"data": None, "description": None, "metadata_": None})
    s.get("/artifacts/{a.id}")
    s.patch("/artifacts/{c.id}", {})
    s.get("/artifacts/{c.id}")
    s.patch(f"/artifacts/{ZERO}", {"data": 1})
    s.patch("/artifacts/x", {"data": 1})


@scenario
def change_badly(s: Session) -> None:
    make(s)
    for body in ({"key": "x"}, {"type": "x"}, {"description": 1}, {"metadata_": {"k": 1}}, {"unknown": 1}, []):
        s.patch("/artifacts/{a.id}", body)
    bad_bodies(s, "PATCH", "/artifacts/{a.id}")
    s.get("/artifacts/{a.id}")


@scenario
def delete(s: Session) -> None:
    for name in "abc":
        make(s, name, description=name)
    s.delete("/artifacts/{b.id}")
    s.get("/artifacts/$uniq-a/latest")
    s.delete("/artifacts/{c.id}")
    s.get("/artifacts/{c.id}")
    s.get("/artifacts/$uniq-a/latest")
    s.post("/artifacts/latest/filter", OWN)
    s.delete("/artifacts/{c.id}")
    s.delete("/artifacts/{a.id}")
    s.get("/artifacts/$uniq-a/latest")
    s.post("/artifacts/latest/count", OWN)
    s.post("/artifacts/count", OWN)
    make(s, "d", None)
    s.delete("/artifacts/{d.id}")
    s.delete(f"/artifacts/{ZERO}")
    s.delete("/artifacts/x")


@scenario
def filters(s: Session) -> None:
    make(s, "a", "$uniq-a", flow_run_id="$id:run")
    make(s, "b", "$uniq-b", type="table", task_run_id="$id:task")
    make(s, "c", "$uniq-b", type=None)
    make(s, "d", None, flow_run_id="$id:run")
    for one in (
        {"key": {"like_": "$uniq"}},
        {"id": {"any_": ["{a.id}", ZERO]}},
        {"id": {"any_": []}},
        {"key": {"any_": ["$uniq-a"]}},
        {"key": {"any_": []}},
        {"key": {"like_": "$uniq", "exists_": True}},
        {"key": {"like_": "$uniq", "exists_": False}},
        {"key": {"exists_": False}, "flow_run_id": {"any_": ["$id:run"]}},
        {"flow_run_id": {"any_": ["$id:run"]}},
        {"task_run_id": {"any_": ["$id:task"]}},
        {"key": {"like_": "$uniq"}, "type": {"any_": ["table"]}},
        {"key": {"like_": "$uniq"}, "type": {"not_any_": ["table"]}},
        {"key": {"like_": "$uniq"}, "type": {"not_any_": []}},
        {"operator": "or_", "id": {"any_": ["{d.id}"]}, "key": {"any_": ["$uniq-a"]}},
    ):
        asked = {"artifacts": one, "sort": "CREATED_DESC"}
        s.post("/artifacts/filter", asked, pick="data")
        s.post("/artifacts/count", asked)
        if "id" not in one:
            s.post("/artifacts/latest/filter", asked, pick="data")
    for one in ({"latest_id": {"any_": ["{c.id}", "{a.id}"]}}, {"latest_id": {"any_": ["{b.id}"]}}):
        s.post("/artifacts/latest/filter", {"artifacts": one, "sort": "KEY_ASC"}, pick="data")
        s.post("/artifacts/latest/count", {"artifacts": one})


@scenario
def of_runs(s: Session) -> None:
    flow(s)
    run(s)
    task(s)
    make(s, "a", flow_run_id="{run.id}")
    make(s, "b", "$uniq-b", flow_run_id="{run.id}", task_run_id="{task.id}")
    make(s, "c", "$uniq-c")
    for other in (
        {"flows": {"name": {"any_": ["$uniq"]}}},
        {"flows": {}},
        {"flow_runs": {"id": {"any_": ["{run.id}"]}}},
        {"flow_runs": {}},
        {"flow_runs": {"name": {"any_": ["nobody"]}}},
        {"task_runs": {"id": {"any_": ["{task.id}"]}}},
        {"task_runs": {}},
        {"deployments": {"name": {"any_": ["nobody"]}}},
        {"deployments": {}},
        {"flows": {"name": {"any_": ["$uniq"]}}, "task_runs": {"name": {"like_": "$uniq"}}},
    ):
        for place in ("artifacts", "artifacts/latest"):
            s.post(f"/{place}/filter", {**OWN, **other, "sort": "KEY_ASC"}, pick="key")
            s.post(f"/{place}/count", {**OWN, **other})
    s.delete("/flow_runs/{run.id}")
    s.get("/artifacts/{a.id}")
    s.post("/artifacts/filter", {**OWN, "flow_runs": {}}, pick="key")
    s.delete("/flows/{flow.id}")
    s.post("/artifacts/count", OWN)


@scenario
def sorts_and_limits(s: Session) -> None:
    for name in "acb":
        make(s, name, f"$uniq-{name}")
    s.patch("/artifacts/{a.id}", {"data": "changed"})
    for place in ("artifacts", "artifacts/latest"):
        for sort in ("CREATED_DESC", "UPDATED_DESC", "KEY_DESC", "KEY_ASC", "NAME_ASC", 1):
            s.post(f"/{place}/filter", {**OWN, "sort": sort}, pick="key")
        own = {**OWN, "sort": "KEY_ASC"}
        for limit in (0, 1, 200, 201, -1, "2", None, "x"):
            s.post(f"/{place}/filter", {**own, "limit": limit}, pick="key")
        for offset in (0, 2, 9, -1, None, "x"):
            s.post(f"/{place}/filter", {**own, "offset": offset}, pick="key")
    s.post("/artifacts/filter", OWN | {"limit": 1, "sort": "KEY_ASC"})
    s.post("/artifacts/latest/filter", OWN | {"limit": 1, "sort": "KEY_ASC"})


@scenario
def filter_badly(s: Session) -> None:
    for place in ("artifacts", "artifacts/latest"):
        for one in (
            1,
            {"unknown": 1},
            {"id": {"any_": ["x"]}},
            {"latest_id": {"any_": ["x"]}},
            {"key": {"any_": [1]}},
            {"key": {"exists_": "x"}},
            {"type": {"is_null_": True}},
            {"flow_run_id": {"not_any_": []}},
        ):
            s.post(f"/{place}/filter", {"artifacts": one})
            s.post(f"/{place}/count", {"artifacts": one})
        s.post(f"/{place}/filter", {"flow_runs": 1, "sort": None, "limit": 0})
