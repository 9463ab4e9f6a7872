"""What many scenarios begin with."""

from __future__ import annotations

from typing import Any

from ..scenario import Session

ZERO = "00000000-0000-0000-0000-000000000000"
NOT_IDS = ("not-an-id", "1", "00000000-0000-0000-0000-00000000000", "%20", "{flow.id}x")
PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
OWN: dict[str, Any] = {"flows": {"id": {"any_": ["{flow.id}"]}}}

RESULT = {"type": "result", "storage_key": "/results/1"}


def flow(s: Session, save: str = "flow", name: str = "$uniq", **more: Any) -> None:
    s.post("/flows/", {"name": name, **more}, save=save, only="status")


def run(s: Session, save: str = "run", state: Any = None, **more: Any) -> None:
    """A flow run of `{flow.id}`, made unless it is there."""
    if "flow" not in s.saved:
        flow(s)
    body = {"flow_id": "{flow.id}", "name": f"$uniq-{save}", **more}
    if state is not None:
        body["state"] = state
    s.post("/flow_runs/", body, save=save, only="status")


def task(s: Session, save: str = "task", flow_run: str | None = "run", state: Any = None, **more: Any) -> None:
    """A task run of `{run.id}`, or of none."""
    if flow_run is not None and flow_run not in s.saved:
        run(s, save=flow_run)
    body = {
        "name": f"$uniq-{save}",
        "flow_run_id": None if flow_run is None else f"{{{flow_run}.id}}",
        "task_key": f"$uniq-{save}",
        "dynamic_key": "0",
        **more,
    }
    if state is not None:
        body["state"] = state
    s.post("/task_runs/", body, save=save, only="status")


def set_state(
    s: Session, type: str, name: str | None = None, *, of: str = "run", force: bool = False, **more: Any
) -> None:
    """Sets the state of the flow run saved as `of`; `more` are other keys of the state."""
    state = {"type": type, **({"name": name} if name else {}), **more}
    s.post(f"/flow_runs/{{{of}.id}}/set_state", {"state": state, "force": force})


def past(seconds: int) -> dict[str, Any]:
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": f"$now{-seconds:+d}"}}


def later(seconds: int) -> dict[str, Any]:
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": f"$now{seconds:+d}"}}


def bad_bodies(s: Session, method: str, path: str) -> None:
    """Bodies that no route takes."""
    for raw in (b"", b"{", b"[]", b"null", b'"text"', b"1", b"true", b"{'a': 1}", b'{"a": 1,}', b'{"a": "\xff"}'):
        s.send(method, path, raw=raw, headers=JSON)
    s.send(method, path, raw=b"{}", headers=PLAIN)
    s.send(method, path)
