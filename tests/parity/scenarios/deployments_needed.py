"""What the groups of flows and runs show of deployments: replayed once deployments can be made."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import flow


def deployment(s: Session, save: str = "deployment", **more: Any) -> None:
    if "flow" not in s.saved:
        flow(s)
    s.post("/deployments/", {"name": f"$uniq-{save}", "flow_id": "{flow.id}", **more}, save=save, only="status")


def deployed(s: Session, save: str = "run", of: str = "deployment", state: Any = None, **more: Any) -> None:
    body = {"name": f"$uniq-{save}", **more, **({"state": state} if state else {})}
    s.post(f"/deployments/{{{of}.id}}/create_flow_run", body, save=save, only="status")


def set_state(s: Session, type: str, name: str | None = None, *, of: str = "run", **more: Any) -> None:
    state = {"type": type, **({"name": name} if name else {}), **more}
    s.post(f"/flow_runs/{{{of}.id}}/set_state", {"state": state})


@scenario
def suspend_and_resume(s: Session) -> None:
    deployment(s)
    deployed(s, state={"type": "RUNNING"})
    details = {"pause_timeout": "$now+7200", "pause_key": "first", "pause_reschedule": True}
    set_state(s, "PAUSED", "Suspended", state_details=details)
    s.get("/flow_runs/{run.id}")
    s.post("/flow_runs/{run.id}/resume")
    s.get("/flow_runs/{run.id}")
    set_state(s, "CANCELLING")
    s.get("/flow_runs/{run.id}")


@scenario
def rescheduled_after_the_end(s: Session) -> None:
    deployment(s)
    for type in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        deployed(s, type.lower(), state={"type": "RUNNING"})
        set_state(s, type, of=type.lower())
        set_state(s, "SCHEDULED", "AwaitingRetry", of=type.lower())
        s.get(f"/flow_runs/{{{type.lower()}.id}}")


@scenario
def slots_of_a_limit(s: Session) -> None:
    deployment(s, concurrency_limit=1)
    deployed(s, "first")
    deployed(s, "second")
    set_state(s, "PENDING", of="first")
    set_state(s, "PENDING", of="second")
    s.get("/flow_runs/{second.id}")
    set_state(s, "RUNNING", of="first")
    set_state(s, "COMPLETED", of="first")
    set_state(s, "PENDING", of="second")
    s.get("/flow_runs/{second.id}")


@scenario
def new_runs_are_cancelled(s: Session) -> None:
    deployment(s, concurrency_limit=1, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    deployed(s, "first")
    deployed(s, "second")
    set_state(s, "PENDING", of="first")
    set_state(s, "PENDING", of="second")
    s.get("/flow_runs/{second.id}")


@scenario
def filters(s: Session) -> None:
    deployment(s, tags=["d"])
    deployed(s, "of_it", tags=["r"])
    s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq-free"}, save="free", only="status")
    own = {"flows": {"id": {"any_": ["{flow.id}"]}}}
    for one in (
        {"flow_runs": {"deployment_id": {"any_": ["{deployment.id}"]}}},
        {"flow_runs": {"deployment_id": {"is_null_": True}}},
        {"flow_runs": {"deployment_id": {"is_null_": False}}},
        {"flow_runs": {"created_by": {"type_": ["DEPLOYMENT"]}}},
        {"deployments": {"id": {"any_": ["{deployment.id}"]}}},
        {"deployments": {"id": {"not_any_": ["{deployment.id}"]}}},
        {"deployments": {"name": {"like_": "$uniq"}}},
        {"deployments": {"tags": {"all_": ["d"]}}},
        {"deployments": {"tags": {"any_": ["d", "e"]}}},
        {"deployments": {"paused": {"eq_": False}}},
        {"deployments": {"flow_or_deployment_name": {"like_": "$uniq"}}},
        {"deployments": {}},
    ):
        s.post("/flow_runs/filter", {**own, **one, "sort": "NAME_ASC"}, pick="name")
        s.post("/flow_runs/count", {**own, **one})
    for one in ({"deployment": {"is_null_": True}}, {"deployment": {"is_null_": False}}):
        s.post("/flows/filter", {"flows": {"id": {"any_": ["{flow.id}"]}, **one}}, pick="name")


@scenario
def deployed_run(s: Session) -> None:
    deployment(s, labels={"of": "deployment"}, parameters={"a": 1, "b": 2}, tags=["d"], job_variables={"image": "x"})
    s.post(
        "/deployments/{deployment.id}/create_flow_run",
        {"name": "$uniq", "tags": ["r"], "parameters": {"b": 3}},
        save="run",
        unordered=("tags",),
    )
    s.get("/flow_runs/{run.id}", unordered=("tags",))
    s.patch("/flow_runs/{run.id}", {"job_variables": {"image": "y"}})
    s.get("/flow_runs/{run.id}", unordered=("tags",))
    s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "PENDING"}}, only="status")
    s.patch("/flow_runs/{run.id}", {"job_variables": {"image": "z"}})
    s.delete("/flows/{flow.id}")
    s.get("/flow_runs/{run.id}")


@scenario
def count_of_a_flow_with_deployments(s: Session) -> None:
    deployment(s)
    deployment(s, "second")
    s.post("/flows/bulk_delete", {"flows": {"id": {"any_": ["{flow.id}"]}}})
    s.get("/deployments/{deployment.id}")
