"""Events that the server makes of changes: names, resources, what is related, payloads, what they follow."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import flow, run, set_state, task
from .events import ENV as ENV
from .events import stored

EVER = {"since": "2020-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}


def told(s: Session, count: int, *resources: str) -> None:
    """Read back what was told of these resources, in the order in which it happened."""
    wanted: dict[str, Any] = {"occurred": EVER, "resource": {"id": list(resources)}, "order": "ASC"}
    stored(s, count, wanted)
    s.post("/events/filter", {"filter": wanted})


@scenario
def flows(s: Session) -> None:
    flow(s, tags=["b", "a"], labels={"x": 1, "y": "z"})
    flow(s)
    s.patch("/flows/{flow.id}", {"tags": ["c"]}, only="status")
    s.patch("/flows/{flow.id}", {"tags": ["c"]}, only="status")
    s.delete("/flows/{flow.id}", only="status")
    told(s, 3, "prefect.flow.{flow.id}")


@scenario
def variables(s: Session) -> None:
    s.post("/variables/", {"name": "$uniq", "value": {"a": [1]}, "tags": ["t"]}, save="variable", only="status")
    s.patch("/variables/{variable.id}", {"value": 2}, only="status")
    s.patch("/variables/name/$uniq", {"tags": []}, only="status")
    s.patch("/variables/{variable.id}", {"name": "$uniq-2"}, only="status")
    s.delete("/variables/{variable.id}", only="status")
    told(s, 5, "prefect.variable.{variable.id}")


@scenario
def variables_by_name(s: Session) -> None:
    s.post("/variables/", {"name": "$uniq", "value": None}, save="variable", only="status")
    s.delete("/variables/name/$uniq", only="status")
    told(s, 2, "prefect.variable.{variable.id}")


@scenario
def limits(s: Session) -> None:
    body = {"name": "$uniq", "limit": 2, "slot_decay_per_second": 0.5}
    s.post("/v2/concurrency_limits/", body, save="limit", only="status")
    s.patch("/v2/concurrency_limits/{limit.id}", {"limit": 3}, only="status")
    s.patch("/v2/concurrency_limits/{limit.id}", {"active": False}, only="status")
    s.post("/v2/concurrency_limits/increment", {"names": ["$uniq"], "slots": 1}, only="status")
    s.delete("/v2/concurrency_limits/{limit.id}", only="status")
    told(s, 4, "prefect.concurrency-limit.{limit.id}")


@scenario
def tag_limits(s: Session) -> None:
    s.post("/concurrency_limits/", {"tag": "$uniq", "concurrency_limit": 2}, save="limit", only="status")
    s.post("/concurrency_limits/", {"tag": "$uniq", "concurrency_limit": 3}, only="status")
    s.delete("/concurrency_limits/{limit.id}", only="status")
    told(s, 2, "prefect.concurrency-limit.{limit.id}")


@scenario
def flow_run_states(s: Session) -> None:
    flow(s, tags=["of-flow", "both"])
    run(s, state={"type": "PENDING", "message": "soon"}, tags=["of-run", "both"])
    set_state(s, "RUNNING")
    set_state(s, "PAUSED", message="m", state_details={"pause_timeout": "$now+600", "pause_reschedule": True})
    set_state(s, "RUNNING", name="Resuming", force=True)
    set_state(s, "FAILED", message="x" * 200)
    s.delete("/flow_runs/{run.id}", only="status")
    told(s, 4, "prefect.flow-run.{run.id}")


@scenario
def a_run_without_a_state(s: Session) -> None:
    run(s)
    set_state(s, "SCHEDULED")
    told(s, 1, "prefect.flow-run.{run.id}")


@scenario
def subflow_runs(s: Session) -> None:
    task(s)
    run(s, save="child", state={"type": "PENDING"}, parent_task_run_id="{task.id}", tags=["own"])
    set_state(s, "RUNNING", of="child")
    set_state(s, "COMPLETED", of="child")
    told(s, 3, "prefect.flow-run.{child.id}")


@scenario
def task_run_states(s: Session) -> None:
    """The server itself says nothing of task runs."""
    task(s, state={"type": "PENDING"})
    s.post("/task_runs/{task.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    told(s, 0, "prefect.task-run.{task.id}")
