"""Flows: create, read, change, delete."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies, flow, run, task

LABELS = {"number": 1, "fraction": 1.5, "truth": True, "text": "v"}


@scenario
def create_and_read(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq", "tags": ["b", "a", "b"], "labels": LABELS}, save="flow")
    s.get("/flows/{flow.id}")
    s.get("/flows/name/$uniq")


@scenario
def create_with_the_name_alone(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq"}, save="flow")
    s.get("/flows/{flow.id}")


@scenario
def create_again_changes_nothing(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq", "tags": ["a"], "labels": {"x": "1"}}, save="flow")
    s.post("/flows/", {"name": "$uniq", "tags": ["b"], "labels": {"y": "2"}})
    s.post("/flows/", {"name": "$uniq"})
    s.get("/flows/{flow.id}")


@scenario
def create_nulls(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq", "labels": None})
    s.post("/flows/", {"name": "$uniq-2", "tags": None})
    s.post("/flows/", {"name": None})


@scenario
def create_names(s: Session) -> None:
    for bad in ("", "a/b", "a%b", "a&b", "a<b", "a>b", "/", 1, True, 1.5, [], {}):
        s.post("/flows/", {"name": bad})
    for good in ("$uniq with spaces", "$uniq-é", "$uniq-👋", "$uniq-a.b:c;d'e\"f", "$uniq-" + "x" * 300, "$uniq\n"):
        s.post("/flows/", {"name": good})
    s.get("/flows/name/$uniq%20with%20spaces")
    s.get("/flows/name/$uniq-%C3%A9")
    s.get("/flows/name/$uniq-%F0%9F%91%8B")
    s.get("/flows/name/$UNIQ")


@scenario
def create_wrong_types(s: Session) -> None:
    for more in (
        {"tags": "a"},
        {"tags": [1]},
        {"tags": {"a": 1}},
        {"tags": [None]},
        {"tags": [["a"]]},
        {"labels": []},
        {"labels": "x"},
        {"labels": {"a": None}},
        {"labels": {"a": []}},
        {"labels": {"a": {}}},
        {"labels": {"a": [1], "b": {}}},
        {"id": ZERO},
        {"created": "2024-01-01T00:00:00Z"},
        {"unknown": 1, "other": 2},
        {"tags": 1, "labels": 1, "unknown": 1},
    ):
        s.post("/flows/", {"name": "$uniq", **more})
    s.post("/flows/", {})
    s.post("/flows/", {"tags": ["a"]})


@scenario
def labels(s: Session) -> None:
    s.post(
        "/flows/",
        {"name": "$uniq", "labels": {"a": 0, "b": 1.0, "c": False, "d": "", "e.f/g": "x", "": "y"}},
        save="flow",
    )
    s.get("/flows/{flow.id}")


@scenario
def change(s: Session) -> None:
    flow(s, tags=["a"])
    s.patch("/flows/{flow.id}", {"tags": ["x", "y"]})
    s.get("/flows/{flow.id}")
    s.patch("/flows/{flow.id}", {})
    s.get("/flows/{flow.id}")
    s.patch("/flows/{flow.id}", {"tags": []})
    s.get("/flows/{flow.id}")


@scenario
def change_badly(s: Session) -> None:
    flow(s)
    for body in (
        {"tags": None},
        {"tags": "x"},
        {"tags": [1]},
        {"name": "new"},
        {"labels": {}},
        {"tags": ["a"], "x": 1},
    ):
        s.patch("/flows/{flow.id}", body)
    s.get("/flows/{flow.id}")
    s.patch(f"/flows/{ZERO}", {"tags": ["a"]})
    s.patch(f"/flows/{ZERO}", {"tags": 1})
    s.patch("/flows/not-an-id", {})


@scenario
def change_bad_bodies(s: Session) -> None:
    flow(s)
    bad_bodies(s, "PATCH", "/flows/{flow.id}")


@scenario
def missing(s: Session) -> None:
    s.get(f"/flows/{ZERO}")
    s.get("/flows/name/$uniq")
    s.delete(f"/flows/{ZERO}")
    s.get("/flows/name/a%2Fb")


@scenario
def delete(s: Session) -> None:
    run(s)
    task(s)
    s.delete("/flows/{flow.id}")
    s.get("/flows/{flow.id}")
    s.get("/flow_runs/{run.id}")
    s.get("/task_runs/{task.id}")
    s.get("/flow_run_states/?flow_run_id={run.id}")
    s.get("/task_run_states/?task_run_id={task.id}")
    s.delete("/flows/{flow.id}")


@scenario
def bulk_delete(s: Session) -> None:
    for name in ("a", "b", "c"):
        flow(s, save=name, name=f"$uniq-{name}")
    s.post("/flows/bulk_delete", {"flows": {"name": {"like_": "$uniq-"}}, "limit": 2}, unordered=("deleted",))
    s.post("/flows/count", {"flows": {"name": {"like_": "$uniq"}}})
    s.post("/flows/bulk_delete", {"flows": {"id": {"any_": ["{c.id}"]}}})
    s.post("/flows/bulk_delete", {"flows": {"id": {"any_": ["{c.id}"]}}})
    s.get("/flows/{c.id}")


@scenario
def bulk_delete_limits(s: Session) -> None:
    nothing = {"flows": {"id": {"any_": []}}}
    for limit in (1, 50, 51, 0, -1, "5", "x", 1.5, 2.0, None, True, [], {}):
        s.post("/flows/bulk_delete", {**nothing, "limit": limit})
    s.post("/flows/bulk_delete", {"flows": 1})
    s.post("/flows/bulk_delete", {**nothing, "unknown": 1})
    s.post("/flows/bulk_delete", {"flows": {"unknown": 1}})
