"""Flows: create, read, change, delete."""

from __future__ import annotations

from ..scenario import Session, scenario


@scenario
def create_and_read(s: Session) -> None:
    s.post(
        "/flows/", {"name": "$uniq", "tags": ["b", "a"], "labels": {"x": 1, "y": 1.5, "z": True, "w": "v"}}, save="flow"
    )
    s.get("/flows/{flow.id}")
    s.get("/flows/name/$uniq")
