"""What the tests of the task runs' routes share: a client, and task runs made over HTTP."""

from __future__ import annotations

from typing import Any

from tests import calls
from tests.web.client import TestClient

from lictor import flow_run_states, flows, task_run_states
from lictor.db import Database
from lictor.flow_runs import list_routes
from lictor.flow_runs import routes as flow_run_routes
from lictor.flow_runs.transitions import Orchestration
from lictor.task_runs import routes
from lictor.task_runs.transitions import TaskOrchestration


def client(db: Database, orchestration: TaskOrchestration | None = None) -> TestClient:
    routers = (
        flows.router,
        flow_run_routes.router,
        list_routes.router,
        flow_run_states.router,
        routes.router,
        task_run_states.router,
    )
    return calls.client(db, *routers, tasks=orchestration or TaskOrchestration(), flows=Orchestration())


def a_flow_run(client: TestClient, state: str = "RUNNING", **more: Any) -> str:
    flow = client.post("/flows/", json={"name": "flow"}).json["id"]
    answer = client.post("/flow_runs/", json={"flow_id": flow, "state": {"type": state}, **more})
    assert answer.status == 201, answer
    return str(answer.json["id"])


def body(key: str = "task", dynamic_key: str = "0", **more: Any) -> dict[str, Any]:
    return {"task_key": key, "dynamic_key": dynamic_key, **more}


def a_task_run(client: TestClient, key: str = "task", dynamic_key: str = "0", **more: Any) -> dict[str, Any]:
    answer = client.post("/task_runs/", json=body(key, dynamic_key, **more))
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.json
    return found


def set_state(client: TestClient, run_id: str, type: str, *, force: bool = False, **more: Any) -> dict[str, Any]:
    answer = client.post(f"/task_runs/{run_id}/set_state", json={"state": {"type": type, **more}, "force": force})
    assert answer.status in (200, 201), answer
    found: dict[str, Any] = answer.json
    return found


def read(client: TestClient, run_id: str) -> dict[str, Any]:
    answer = client.get(f"/task_runs/{run_id}")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    return found


def history(client: TestClient, run_id: str) -> list[str]:
    """The names of the states that the task run was in."""
    return [state["name"] for state in client.get(f"/task_run_states/?task_run_id={run_id}").json]
