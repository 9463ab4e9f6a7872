"""Observed states: which types and names of states there are."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import run, task


@scenario
def by_name(s: Session) -> None:
    run(s, "a", state={"type": "RUNNING", "name": "$uniq B"})
    run(s, "b", state={"type": "RUNNING", "name": "$uniq B"})
    run(s, "c", state={"type": "PENDING", "name": "$uniq A"})
    task(s, "t", flow_run="a", state={"type": "COMPLETED", "name": "$uniq C"})
    s.post("/flow_runs/{a.id}/set_state", {"state": {"type": "FAILED", "name": "$uniq B"}}, only="status")
    for order in ("", "&order_by=LAST_SEEN_DESC", "&order_by=NAME_ASC"):
        s.get(f"/observed-states?query=$uniq{order}")
    s.get("/observed-states?query=$uniq&order_by=NAME_ASC&limit=2")
    s.saved["upper"] = s.unique.upper()
    s.get("/observed-states?query={upper}&order_by=NAME_ASC")
    s.get("/observed-states?query=B")
    s.get("/observed-states?query=$uniq%20b")
    s.get("/observed-states?query=$uniq_")
    s.get("/observed-states?query=%25$uniq")


@scenario
def by_type(s: Session) -> None:
    run(s, "a", state={"type": "CRASHED", "name": "$uniq"})
    found = s.request("GET", "/observed-states?query=crash").body
    own = [one for one in found if one["state_name"] == s.unique]
    s.steps.append(
        {"step": f"{len(s.steps) + 1:02d} GET /observed-states?query=crash", "status": 200, "body": s.masks.body(own)}
    )


@scenario
def badly(s: Session) -> None:
    for query in (
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "limit=",
        "order_by=X",
        "order_by=",
        "query=" + "q" * 101,
        "query=" + "q" * 100,
        "query=nothing-like-it",
        "query=nothing-like-it&unknown=1",
        "query=nothing-like-it&limit=200",
        "limit=0&order_by=X",
    ):
        s.get(f"/observed-states?{query}")
    s.get("/observed-states", only="status")
    s.get("/observed-states?query=", only="status")
