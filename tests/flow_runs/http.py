"""What the tests of the flow runs' routes share: a client, runs made over HTTP, and what is in the database then."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from tests import calls
from tests.web.client import TestClient

from lictor import flow_run_states, flows, task_run_states
from lictor.db import Database, sql
from lictor.flow_runs import list_routes, routes
from lictor.flow_runs.transitions import Orchestration
from lictor.settings import Settings
from lictor.task_runs import routes as task_run_routes
from lictor.task_runs.transitions import TaskOrchestration


class Told(Struct):
    """An event as it was written."""

    id: str
    event: str
    resource: dict[str, str]
    related: list[dict[str, str]]
    payload: dict[str, Any]
    follows: str | None


EVENTS = sql(
    "test.flow_runs.events",
    Told,
    "select id, event, resource, related, payload, follows from events order by position",
)


def client(db: Database, orchestration: Orchestration | None = None, settings: Settings | None = None) -> TestClient:
    routers = (
        flows.router,
        routes.router,
        list_routes.router,
        flow_run_states.router,
        task_run_routes.router,
        task_run_states.router,
    )
    services = {"orchestration": orchestration or Orchestration(), "tasks": TaskOrchestration()}
    return calls.client(db, *routers, settings=settings, **services)


def a_flow(client: TestClient, name: str = "flow", **more: Any) -> str:
    return str(client.post("/flows/", json={"name": name, **more}).json["id"])


def a_run(client: TestClient, state: str | dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A new run, of the flow called "flow" unless said otherwise."""
    body = {"flow_id": more.pop("flow_id", None) or a_flow(client), **more}
    if state is not None:
        body["state"] = {"type": state} if isinstance(state, str) else state
    answer = client.post("/flow_runs/", json=body)
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.json
    return found


def a_task(client: TestClient, flow_run_id: str, key: str = "child", **more: Any) -> str:
    """The task run that stands for a subflow."""
    body = {"flow_run_id": flow_run_id, "task_key": key, "dynamic_key": "0", "name": key, **more}
    return str(client.post("/task_runs/", json=body).json["id"])


def set_state(client: TestClient, run_id: str, type: str, *, force: bool = False, **more: Any) -> dict[str, Any]:
    answer = client.post(f"/flow_runs/{run_id}/set_state", json={"state": {"type": type, **more}, "force": force})
    assert answer.status in (200, 201), answer
    found: dict[str, Any] = answer.json
    return found


def read(client: TestClient, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/flow_runs/{run_id}").json
    return found


def history(client: TestClient, run_id: str) -> list[str]:
    """The names of the states that the run was in."""
    return [state["name"] for state in client.get(f"/flow_run_states/?flow_run_id={run_id}").json]


def events(db: Database, run_id: str | None = None) -> list[Told]:
    """The events of flow runs' states, of one run or of all."""
    told: list[Told] = db.read_now(lambda tx: tx.all(EVENTS))
    prefix = f"prefect.flow-run.{run_id or ''}"
    return [one for one in told if one.resource["prefect.resource.id"].startswith(prefix)]


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
