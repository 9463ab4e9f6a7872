"""Variables."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies


def make(s: Session, save: str = "a", name: str = "$uniq-a", value: Any = 1, **more: Any) -> None:
    s.post("/variables/", {"name": name, "value": value, **more}, save=save, only="status")


@scenario
def create_and_read(s: Session) -> None:
    s.post("/variables/", {"name": "$uniq-a", "value": {"k": [1, 2.5, None]}, "tags": ["b", "a", "b"]}, save="a")
    s.get("/variables/{a.id}")
    s.get("/variables/name/$uniq-a")
    s.post("/variables/", {"name": "$uniq-a", "value": 2})
    s.get("/variables/{a.id}")


@scenario
def values(s: Session) -> None:
    for number, value in enumerate(
        ("x", "", 0, 1, -1.5, 1.0, True, False, None, [], {}, [None], {"a": {"b": "é👋"}}, "5", 10**20)
    ):
        s.post("/variables/", {"name": f"$uniq-{number}", "value": value}, save=f"v{number}")
        s.get(f"/variables/name/$uniq-{number}")


@scenario
def value_sizes(s: Session) -> None:
    for about, value in (
        ("4998 characters", "x" * 4998),
        ("4999 characters", "x" * 4999),
        ("5000 characters", "x" * 5000),
        ("2500 two-byte characters", "é" * 2500),
        ("1000 four-byte characters", "👋" * 1000),
        ("a list", ["x" * 10] * 400),
    ):
        name = f"$uniq-{len(s.steps)}"
        answer = s.request("POST", "/variables/", {"name": name, "value": value})
        errors = answer.body["exception_detail"] if answer.status == 422 else []
        told = [{key: error[key] for key in ("type", "loc", "msg")} for error in errors]
        s.steps.append(
            {"step": f"{len(s.steps) + 1:02d} POST /variables/, {about}", "status": answer.status, "body": told}
        )


@scenario
def names(s: Session) -> None:
    for name in ("Upper", "a b", "a.b", "a/b", "é", "", "a\n", "-", "_", 1, None, []):
        s.post("/variables/", {"name": name, "value": 1}, only="status" if name in ("", "-", "_") else None)
    s.post("/variables/", {"name": "$uniq-_0", "value": 1})
    s.post("/variables/", {"name": "x" * 256, "value": 1})


@scenario
def create_badly(s: Session) -> None:
    for body in (
        {},
        {"name": "$uniq"},
        {"value": 1},
        {"name": "$uniq", "value": 1, "tags": None},
        {"name": "$uniq", "value": 1, "tags": "x"},
        {"name": "$uniq", "value": 1, "tags": [1]},
        {"name": "$uniq", "value": 1, "id": ZERO},
        {"name": "$uniq", "value": 1, "unknown": 1},
    ):
        s.post("/variables/", body)
    bad_bodies(s, "POST", "/variables/")


@scenario
def change_by_id(s: Session) -> None:
    make(s, tags=["a"])
    make(s, "b", "$uniq-b")
    for body in ({"value": 2}, {"tags": ["x"]}, {"name": "$uniq-new"}, {}, {"value": None}, {"tags": []}):
        s.patch("/variables/{a.id}", body)
        s.get("/variables/{a.id}")
    s.patch("/variables/{a.id}", {"name": "$uniq-b"})
    s.patch("/variables/{a.id}", {"name": "$uniq-new"})


@scenario
def change_by_name(s: Session) -> None:
    make(s, tags=["a"])
    make(s, "b", "$uniq-b")
    for body in ({"value": 2}, {"tags": ["x"]}, {}, {"value": None}, {"name": "$uniq-a"}):
        s.patch("/variables/name/$uniq-a", body)
        s.get("/variables/name/$uniq-a")
    s.patch("/variables/name/$uniq-a", {"name": "$uniq-b"})
    s.patch("/variables/name/$uniq-a", {"name": "$uniq-c"})
    s.get("/variables/name/$uniq-a")
    s.get("/variables/name/$uniq-c")


@scenario
def change_badly(s: Session) -> None:
    make(s)
    for path in ("/variables/{a.id}", "/variables/name/$uniq-a"):
        for body in (
            {"name": None},
            {"name": "Upper"},
            {"name": 1},
            {"tags": None},
            {"tags": "x"},
            {"value": "x" * 5001, "tags": 1},
            {"unknown": 1},
            [],
        ):
            s.patch(path, body, only="status" if body == {"value": "x" * 5001, "tags": 1} else None)
    s.get("/variables/{a.id}")
    bad_bodies(s, "PATCH", "/variables/{a.id}")


@scenario
def missing(s: Session) -> None:
    for path in (f"/variables/{ZERO}", "/variables/name/$uniq", "/variables/x", "/variables/name/a%2Fb"):
        s.get(path)
        s.patch(path, {"value": 1})
        s.patch(path, {"value": 1, "unknown": 1})
        s.delete(path)


@scenario
def delete(s: Session) -> None:
    make(s)
    make(s, "b", "$uniq-b")
    s.delete("/variables/{a.id}")
    s.get("/variables/{a.id}")
    s.delete("/variables/{a.id}")
    s.delete("/variables/name/$uniq-b")
    s.delete("/variables/name/$uniq-b")
    s.post("/variables/", {"name": "$uniq-a", "value": 2}, only="status")


@scenario
def filters(s: Session) -> None:
    make(s, "a", "$uniq-a", tags=["x", "y"])
    make(s, "b", "$uniq-b", tags=["x"])
    make(s, "c", "$uniq_c")
    own = {"name": {"like_": "$uniq"}}
    for one in (
        {},
        {"id": {"any_": ["{a.id}", ZERO]}},
        {"id": {"any_": []}},
        {"name": {"any_": ["$uniq-a"]}},
        {"name": {"like_": "$uniq-"}},
        {"name": {"like_": "$uniq_"}},
        {"name": {"any_": ["$uniq-a"], "like_": "b"}},
        {"tags": {"all_": ["x"]}},
        {"tags": {"all_": ["y", "x"]}},
        {"tags": {"all_": []}},
        {"tags": {"is_null_": True}},
        {"tags": {"is_null_": False}},
        {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
        {"operator": "or_", "id": {"any_": ["{a.id}"]}, "name": {"any_": ["$uniq-b"]}},
    ):
        s.post("/variables/filter", {"variables": {**own, **one}}, pick="name")
        s.post("/variables/count", {"variables": {**own, **one}})
    s.post("/variables/filter", {"variables": own})


@scenario
def sorts_and_limits(s: Session) -> None:
    for name in "acb":
        make(s, name, f"$uniq-{name}")
    s.patch("/variables/{a.id}", {"value": 5})
    own = {"variables": {"name": {"like_": "$uniq"}}}
    for sort in ("CREATED_DESC", "UPDATED_DESC", "NAME_DESC", "NAME_ASC", None, "ID_DESC", 1):
        s.post("/variables/filter", {**own, "sort": sort}, pick="name")
    for limit in (0, 1, 200, 201, -1, "2", None, "x"):
        s.post("/variables/filter", {**own, "limit": limit}, pick="name")
    for offset in (0, 2, 9, -1, None, "x"):
        s.post("/variables/filter", {**own, "offset": offset}, pick="name")


@scenario
def filter_badly(s: Session) -> None:
    for one in (
        1,
        {"unknown": 1},
        {"id": {"any_": ["x"]}},
        {"name": {"any_": [1]}},
        {"name": {"like_": 1}},
        {"tags": {"any_": ["x"]}},
        {"value": {"any_": [1]}},
    ):
        s.post("/variables/filter", {"variables": one})
        s.post("/variables/count", {"variables": one})
