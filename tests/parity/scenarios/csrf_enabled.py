"""CSRF protection switched on."""

from __future__ import annotations

from ..scenario import Session, scenario

ENV = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}


@scenario
def token(s: Session) -> None:
    s.get("/csrf-token?client=$uniq", save="csrf")
    s.post("/flows/", {"name": "$uniq"})
    s.post("/flows/", {"name": "$uniq"}, headers={"Prefect-Csrf-Token": "wrong"})
    s.post("/flows/", {"name": "$uniq"}, headers={"Prefect-Csrf-Client": "$uniq"})
    s.get("/csrf-token")
    s.get("/csrf-token?client=")


@scenario
def right_and_wrong(s: Session) -> None:
    first = s.get("/csrf-token?client=$uniq").body["token"]
    right = {"Prefect-Csrf-Token": first, "Prefect-Csrf-Client": s.unique}
    _quiet_post(s, right)
    _quiet_post(s, {**right, "Prefect-Csrf-Client": "somebody-else"})
    _quiet_post(s, {**right, "Prefect-Csrf-Token": "0" * 64})
    second = s.get("/csrf-token?client=$uniq").body["token"]
    _quiet_post(s, {**right, "Prefect-Csrf-Token": second})
    _quiet_post(s, right)


def _quiet_post(s: Session, headers: dict[str, str]) -> None:
    """The tokens must not stand in the recording: what is sent is told by the scenario alone."""
    answer = s.request("POST", "/flows/", {"name": "$uniq"}, headers=headers)
    body = s.masks.body(answer.body)
    s.steps.append({"step": f"{len(s.steps) + 1:02d} POST /flows/", "status": answer.status, "body": body})


@scenario
def what_needs_a_token(s: Session) -> None:
    s.get("/health")
    s.get("/flows/name/$uniq")
    s.send("HEAD", "/health")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        s.send(method, "/flows/00000000-0000-0000-0000-000000000000", {})
    s.post("/flows/filter", {"flows": {"id": {"any_": []}}})
    s.post("/no-such-route", {})
    s.send("OPTIONS", "/flows/")
