"""Saved searches."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies

FILTER = {"object": "flow_run", "property": "name", "type": "string", "operation": "equals", "value": "x"}


@scenario
def put_and_read(s: Session) -> None:
    s.put("/saved_searches/", {"name": "$uniq", "filters": [FILTER]}, save="search")
    s.get("/saved_searches/{search.id}")
    s.put("/saved_searches/", {"name": "$uniq", "filters": [{**FILTER, "value": [1, None, {"a": 1}]}]})
    s.get("/saved_searches/{search.id}")
    s.put("/saved_searches/", {"name": "$uniq"})
    s.get("/saved_searches/{search.id}")
    s.delete("/saved_searches/{search.id}")
    s.delete("/saved_searches/{search.id}")
    s.get("/saved_searches/{search.id}")


@scenario
def put_badly(s: Session) -> None:
    for body in (
        {},
        {"name": None},
        {"name": 1},
        {"name": ""},
        {"name": "$uniq", "filters": None},
        {"name": "$uniq", "filters": {}},
        {"name": "$uniq", "filters": [1]},
        {"name": "$uniq", "filters": [{}]},
        {"name": "$uniq", "filters": [{**FILTER, "unknown": 1}]},
        {"name": "$uniq", "filters": [{**FILTER, "object": 1, "property": None}]},
        {"name": "$uniq", "unknown": 1},
        {"name": "$uniq", "id": ZERO},
    ):
        s.put("/saved_searches/", body)
    bad_bodies(s, "PUT", "/saved_searches/")


@scenario
def missing(s: Session) -> None:
    for id in (ZERO, "x"):
        s.get(f"/saved_searches/{id}")
        s.delete(f"/saved_searches/{id}")


@scenario
def filter(s: Session) -> None:
    for limit in (0, 201, -1, "0", "x"):
        s.post("/saved_searches/filter", {"limit": limit})
    for offset in (10**6, -1, "x"):
        s.post("/saved_searches/filter", {"offset": offset})
    s.post("/saved_searches/filter", {"limit": 0, "unknown": 1})
    for name in "ba":
        s.put("/saved_searches/", {"name": f"$uniq-{name}"}, only="status")
    found = s.request("POST", "/saved_searches/filter").body
    own = [one["name"] for one in found if s.unique in one["name"]]
    s.steps.append(
        {"step": f"{len(s.steps) + 1:02d} POST /saved_searches/filter", "status": 200, "body": s.masks.body(own)}
    )
