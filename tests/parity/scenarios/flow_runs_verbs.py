"""Flow runs: transitions one after another, resume, bulk, what rules leave behind."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import OWN, RESULT, ZERO, flow, later, run, set_state, task


def read(s: Session, of: str = "run") -> None:
    s.get(f"/flow_runs/{{{of}.id}}", unordered=("pause_keys",))


@scenario
def retries(s: Session) -> None:
    """Two retries: rejected twice into AwaitingRetry, then failed for good."""
    run(s, empirical_policy={"retries": 2, "retry_delay": 7200})
    for _ in range(3):
        set_state(s, "RUNNING", force=True)
        set_state(s, "FAILED", message="it broke", data=RESULT)
        read(s)
    s.get("/flow_run_states/?flow_run_id={run.id}")


@scenario
def retries_without_delay(s: Session) -> None:
    run(s, empirical_policy={"retries": 1})
    set_state(s, "RUNNING")
    set_state(s, "FAILED", "Anything", message="m")
    set_state(s, "RUNNING")
    read(s)
    set_state(s, "FAILED")
    set_state(s, "RUNNING")
    read(s)


@scenario
def retries_of_old_clients_rerun_their_tasks(s: Session) -> None:
    run(s, empirical_policy={"retries": 1, "retry_delay": 7200}, state={"type": "RUNNING"})
    task(s, "failed", state={"type": "RUNNING"})
    task(s, "completed", state={"type": "RUNNING"})
    s.post("/task_runs/{failed.id}/set_state", {"state": {"type": "FAILED"}}, only="status")
    s.post("/task_runs/{completed.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    old = {"X-PREFECT-API-VERSION": "0.8.2"}
    s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "FAILED"}}, headers=old)
    s.get("/task_runs/{failed.id}")
    s.get("/task_runs/{completed.id}")
    read(s)


@scenario
def wait_for_the_scheduled_time(s: Session) -> None:
    run(s, state=later(7200))
    answer = s.request("POST", "/flow_runs/{run.id}/set_state", {"state": {"type": "RUNNING"}})
    seconds = answer.body["details"].pop("delay_seconds")
    told = {"near": 7100 < seconds <= 7200, "whole": isinstance(seconds, int), "answer": s.masks.body(answer.body)}
    s.steps.append({"step": f"{len(s.steps) + 1:02d} POST set_state RUNNING", "status": answer.status, "body": told})
    set_state(s, "PENDING")
    read(s)
    set_state(s, "RUNNING", force=True)
    read(s)


@scenario
def late_only_once(s: Session) -> None:
    run(s, state={"type": "SCHEDULED", "state_details": {"scheduled_time": "$now-3600"}})
    for _ in range(2):
        set_state(s, "SCHEDULED", "Late", state_details={"scheduled_time": "$now-3600"})
    set_state(s, "PENDING")
    set_state(s, "SCHEDULED", "Late")
    read(s)


@scenario
def only_one_takes_a_run(s: Session) -> None:
    run(s, state={"type": "SCHEDULED"})
    set_state(s, "PENDING")
    set_state(s, "PENDING")
    set_state(s, "PENDING", "Submitting")
    set_state(s, "PENDING", "Submitting")
    set_state(s, "PENDING", "InfrastructurePending")
    set_state(s, "RUNNING")
    set_state(s, "PENDING")
    read(s)


@scenario
def same_transition_twice(s: Session) -> None:
    run(s)
    for _ in range(2):
        set_state(s, "RUNNING", state_details={"transition_id": "$id:transition"})
    set_state(s, "COMPLETED", state_details={"transition_id": "$id:transition"})
    set_state(s, "COMPLETED", state_details={"transition_id": "$id:another"})


PAUSE = {"pause_timeout": "$now+7200", "pause_key": "first"}


@scenario
def pause_and_resume(s: Session) -> None:
    run(s)
    set_state(s, "PAUSED", state_details=PAUSE)
    set_state(s, "RUNNING")
    set_state(s, "PAUSED", state_details=PAUSE)
    read(s)
    s.post("/flow_runs/{run.id}/resume")
    read(s)
    set_state(s, "PAUSED", state_details=PAUSE)
    set_state(s, "PAUSED", state_details={**PAUSE, "pause_key": "second"})
    s.post("/flow_runs/{run.id}/resume", {})
    set_state(s, "COMPLETED")
    s.get("/flow_runs/{run.id}", unordered=("pause_keys",))
    s.post("/flow_runs/{run.id}/resume")


@scenario
def pause_expires(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "PAUSED", state_details={"pause_timeout": "$now-3600", "pause_key": "k"})
    s.post("/flow_runs/{run.id}/resume")
    read(s)


@scenario
def suspend_without_deployment(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "PAUSED", "Suspended", state_details={**PAUSE, "pause_reschedule": True})
    set_state(s, "PAUSED", "Suspended", state_details={**PAUSE, "pause_reschedule": True}, force=True)
    s.post("/flow_runs/{run.id}/resume")
    read(s)
    set_state(s, "CANCELLING")
    read(s)


@scenario
def subflows_cannot_suspend(s: Session) -> None:
    task(s, "parent")
    run(s, "child", parent_task_run_id="{parent.id}", state={"type": "RUNNING"})
    set_state(s, "PAUSED", of="child", state_details={**PAUSE, "pause_reschedule": True})
    set_state(s, "PAUSED", of="child", state_details=PAUSE)
    s.get("/task_runs/{parent.id}")


@scenario
def resume_what_is_not_paused(s: Session) -> None:
    run(s)
    for type in ("PENDING", "SCHEDULED", "RUNNING", "COMPLETED", "CANCELLING"):
        set_state(s, type, force=True)
        s.post("/flow_runs/{run.id}/resume")


@scenario
def resume_bodies(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "PAUSED", state_details=PAUSE)
    for body in ({"run_input": []}, {"run_input": "x"}, {"run_input": 1}, [], 1):
        s.post("/flow_runs/{run.id}/resume", body)
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"a": 1}, "unknown": 1})
    s.get("/flow_runs/{run.id}/input/response")


SCHEMA = (
    '{"type": "object", "properties": {"age": {"type": "integer"}, "name": {"type": "string", "default": "x"}}, '
    '"required": ["age"]}'
)


def paused_for_input(s: Session, schema: str | None) -> None:
    run(s, state={"type": "RUNNING"})
    keyset = {"description": "k-description", "response": "k-response", "schema": "k-schema"}
    set_state(s, "PAUSED", state_details={**PAUSE, "run_input_keyset": keyset})
    if schema is not None:
        s.post("/flow_runs/{run.id}/input", {"key": "k-schema", "value": schema}, only="status")


@scenario
def resume_with_input(s: Session) -> None:
    paused_for_input(s, SCHEMA)
    for body in (None, {}, {"run_input": None}, {"run_input": {}}, {"run_input": {"age": "x"}}):
        s.post("/flow_runs/{run.id}/resume", body)
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": 5, "more": True}})
    s.get("/flow_runs/{run.id}/input/k-response")
    read(s)
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": 6}})


@scenario
def resume_with_hydrated_input(s: Session) -> None:
    paused_for_input(s, SCHEMA)
    s.post("/variables/", {"name": "$uniq", "value": 7}, only="status")
    for value in (
        {"__prefect_kind": "json", "value": "{"},
        {"__prefect_kind": "workspace_variable", "variable_name": "none-of-that-name"},
        {"__prefect_kind": "jinja", "template": "{{ 1 + 1"},
        {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"},
        {"__prefect_kind": "unknown"},
        {"__prefect_kind": "none"},
        {"__prefect_kind": "json"},
        {"__prefect_kind": "workspace_variable", "variable_name": "$uniq"},
    ):
        s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": value}})
    s.get("/flow_runs/{run.id}/input/k-response")


@scenario
def resume_without_schema(s: Session) -> None:
    paused_for_input(s, None)
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": 1}})
    s.post("/flow_runs/{run.id}/input", {"key": "k-schema", "value": "not json"}, only="status")
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": 1}})
    read(s)


@scenario
def pausing_again_forgets_inputs(s: Session) -> None:
    paused_for_input(s, SCHEMA)
    s.post("/flow_runs/{run.id}/resume", {"run_input": {"age": 5}})
    keyset = {"description": "k-description", "response": "k-response", "schema": "k-schema"}
    set_state(s, "PAUSED", state_details={**PAUSE, "pause_key": "second", "run_input_keyset": keyset})
    s.get("/flow_runs/{run.id}/input/k-response")
    s.get("/flow_runs/{run.id}/input/k-schema")


@scenario
def result_is_kept(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "COMPLETED", data=RESULT)
    for type in ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        set_state(s, type)
    set_state(s, "COMPLETED", force=True)
    set_state(s, "COMPLETED", data={"type": "unpersisted"}, force=True)
    set_state(s, "RUNNING", force=True)
    read(s)


@scenario
def cancelling(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    set_state(s, "CANCELLING")
    for type in ("RUNNING", "COMPLETED", "FAILED", "CANCELLING", "PENDING"):
        set_state(s, type)
    set_state(s, "CANCELLED", message="by hand")
    read(s)


@scenario
def cancelling_what_never_ran(s: Session) -> None:
    run(s, "scheduled", state=later(7200))
    set_state(s, "CANCELLING", of="scheduled")
    run(s, "with_pid", state=later(7200))
    s.patch("/flow_runs/{with_pid.id}", {"infrastructure_pid": "host:1"}, only="status")
    set_state(s, "CANCELLING", of="with_pid")
    run(s, "pending")
    set_state(s, "CANCELLING", of="pending")
    run(s, "paused", state={"type": "RUNNING"})
    set_state(s, "PAUSED", of="paused", state_details=PAUSE)
    set_state(s, "CANCELLING", of="paused")


@scenario
def bulk_set_state(s: Session) -> None:
    """Of several runs the order is chance, and the reference mixes up their ids in the details."""
    run(s, "a", state={"type": "RUNNING"})
    run(s, "b", state={"type": "PENDING"})
    run(s, "c", state={"type": "COMPLETED"})
    state = {"type": "CANCELLING", "message": "m"}
    for name in ("a", "b", "c"):
        one = {"flow_runs": {"id": {"any_": [f"{{{name}.id}}"]}}}
        s.post("/flow_runs/bulk_set_state", {**one, "state": {"type": "PENDING"}})
        s.post("/flow_runs/bulk_set_state", {**one, "state": state, "limit": 1})
        s.post("/flow_runs/bulk_set_state", {**one, "state": {"type": "FAILED"}, "force": True})
        read(s, name)
    own = {"flow_runs": {"id": {"any_": ["{a.id}", "{b.id}", "{c.id}"]}}}
    s.post("/flow_runs/bulk_set_state", {**own, "state": {"type": "CRASHED"}}, pick="status")
    s.post("/flow_runs/bulk_set_state", {**own, "state": {"type": "PENDING"}, "limit": 2}, pick="status")


@scenario
def bulk_delete(s: Session) -> None:
    for name in ("a", "b", "c"):
        run(s, name)
    s.post(
        "/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": ["{a.id}", "{b.id}", ZERO]}}}, unordered=("deleted",)
    )
    s.post("/flow_runs/count", OWN)
    s.post("/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": ["{a.id}"]}}})
    s.post("/flow_runs/bulk_delete", {"flow_runs": {"name": {"like_": "$uniq"}}, "limit": 1})


@scenario
def subflow_mirrors_on_its_parent(s: Session) -> None:
    task(s, "parent")
    flow(s, "inner_flow", "$uniq-inner")
    body: dict[str, Any] = {"flow_id": "{inner_flow.id}", "name": "$uniq-inner", "parent_task_run_id": "{parent.id}"}
    s.post("/flow_runs/", body, save="child", only="status")
    s.get("/task_runs/{parent.id}")
    for type in ("RUNNING", "COMPLETED"):
        set_state(s, type, of="child", message=f"m {type}")
        s.get("/task_runs/{parent.id}")
    s.get("/task_run_states/?task_run_id={parent.id}")


@scenario
def timestamps_are_unique_and_rising(s: Session) -> None:
    run(s)
    for number in range(5):
        s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "RUNNING", "name": f"N{number}"}}, only="status")
    states = s.request("GET", "/flow_run_states/?flow_run_id={run.id}").body
    times = [state["timestamp"] for state in states]
    told = {
        "names": [state["name"] for state in states],
        "sorted": times == sorted(times),
        "distinct": len(set(times)) == len(times),
    }
    s.steps.append({"step": f"{len(s.steps) + 1:02d} GET states", "status": 200, "body": told})
    read(s)
