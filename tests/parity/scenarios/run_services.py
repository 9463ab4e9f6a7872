"""What the services do to runs: late ones, expired pauses, slow cancellations, and what cancelled runs leave."""

from __future__ import annotations

from typing import Any

from ..scenario import Answer, Session, scenario
from .common import past, run, set_state, task

ENV = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "2",
}


def until(s: Session, name: str, of: str = "run", kind: str = "flow_runs") -> None:
    """Reads the run once it is in the state of this name."""

    def is_so(answer: Answer) -> bool:
        return isinstance(answer.body, dict) and answer.body.get("state_name") == name

    s.poll(f"/{kind}/{{{of}.id}}", is_so)


def history(s: Session, of: str = "run") -> None:
    s.get(f"/flow_run_states/?flow_run_id={{{of}.id}}", pick="name")


@scenario
def a_late_run(s: Session) -> None:
    run(s, state=past(60))
    until(s, "Late")
    history(s)
    set_state(s, "PENDING")


@scenario
def runs_that_are_not_late(s: Session) -> None:
    for name in ("AwaitingRetry", "AwaitingConcurrencySlot", "Resuming"):
        run(s, save=name.lower(), state={**past(60), "name": name})
    run(s, state=past(30))
    until(s, "Late")
    for name in ("AwaitingRetry", "AwaitingConcurrencySlot", "Resuming"):
        history(s, name.lower())


@scenario
def an_expired_pause(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "PAUSED", state_details={"pause_timeout": "$now-5"})
    until(s, "Failed")
    history(s)


@scenario
def a_pause_without_end(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "PAUSED")
    run(s, save="other", state=past(30))
    until(s, "Late", of="other")
    history(s)


@scenario
def cancelling_for_too_long(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "CANCELLING")
    until(s, "Cancelled")
    history(s)


@scenario
def what_a_cancelled_run_leaves(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, state={"type": "RUNNING"})
    task(s, save="done", state={"type": "COMPLETED"})
    task(s, save="parent", state={"type": "RUNNING"})
    child: dict[str, Any] = {"parent_task_run_id": "{parent.id}", "state": {"type": "RUNNING"}}
    run(s, save="child", **child)
    set_state(s, "CANCELLED")
    until(s, "Cancelled", of="child")
    until(s, "Cancelled", of="task", kind="task_runs")
    s.get("/task_runs/{done.id}")
