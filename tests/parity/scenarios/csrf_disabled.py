"""The CSRF token route while protection is off, which is the default."""

from __future__ import annotations

from ..scenario import Session, scenario


@scenario
def ask(s: Session) -> None:
    s.get("/csrf-token?client=$uniq")
    s.get("/csrf-token")
    s.get("/csrf-token?client=")
    s.get("/csrf-token/?client=$uniq")
    s.post("/csrf-token?client=$uniq", {})
    s.send("HEAD", "/csrf-token?client=$uniq")


@scenario
def headers_are_ignored(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq"}, headers={"Prefect-Csrf-Token": "x", "Prefect-Csrf-Client": "y"})
