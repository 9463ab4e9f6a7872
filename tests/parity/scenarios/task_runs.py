"""Task runs: create, read, change, delete, transitions one after another."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import RESULT, ZERO, flow, later, run, task


def read(s: Session, of: str = "task") -> None:
    s.get(f"/task_runs/{{{of}.id}}")


def set_task(
    s: Session, type: str, name: str | None = None, *, of: str = "task", force: bool = False, **more: Any
) -> None:
    state = {"type": type, **({"name": name} if name else {}), **more}
    s.post(f"/task_runs/{{{of}.id}}/set_state", {"state": state, "force": force})


@scenario
def create_with_the_keys_alone(s: Session) -> None:
    run(s)
    s.post(
        "/task_runs/",
        {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": "0"},
        save="task",
        masked=("name",),
    )
    s.get("/task_runs/{task.id}", masked=("name",))
    s.get("/task_run_states/?task_run_id={task.id}")


@scenario
def create_without_flow_run(s: Session) -> None:
    body = {"flow_run_id": None, "task_key": "$uniq", "dynamic_key": "0", "name": "$uniq"}
    s.post("/task_runs/", body, save="task")
    s.post("/task_runs/", body)
    s.post("/task_runs/", {"task_key": "$uniq", "dynamic_key": "1", "name": "$uniq"})
    read(s)


@scenario
def create_with_everything(s: Session) -> None:
    flow(s, labels={"of": "flow"})
    run(s, labels={"of": "run", "n": 1})
    body = {
        "id": "$id:chosen",
        "flow_run_id": "{run.id}",
        "name": "$uniq name",
        "task_key": "$uniq",
        "dynamic_key": "7",
        "cache_key": "$uniq-cache",
        "cache_expiration": "2030-01-02T03:04:05+05:00",
        "task_version": "v1",
        "empirical_policy": {"retries": 3, "retry_delay": [1, 2.5], "retry_jitter_factor": 0.5},
        "tags": ["b", "a", "b"],
        "labels": {"n": 2, "own": True},
        "task_inputs": {
            "x": [{"input_type": "task_run", "id": ZERO}, {"input_type": "flow_run", "id": ZERO}],
            "y": [{"input_type": "parameter", "name": "p"}, {"input_type": "constant", "type": "int"}],
            "z": [],
        },
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "$now+7200"}},
    }
    s.post("/task_runs/", body, save="task")
    read(s)
    s.post("/task_runs/", {**body, "name": "$uniq other", "id": "$id:another"})
    s.get("/task_runs/{task.id}")


@scenario
def create_again_changes_nothing(s: Session) -> None:
    task(s, state={"type": "RUNNING"})
    body = {"flow_run_id": "{run.id}", "task_key": "$uniq-task", "dynamic_key": "0", "name": "$uniq-2", "tags": ["x"]}
    s.post("/task_runs/", {**body, "state": {"type": "COMPLETED"}})
    s.post("/task_runs/", {**body, "dynamic_key": "1"})
    s.get("/task_run_states/?task_run_id={task.id}")


@scenario
def create_in_each_state(s: Session) -> None:
    run(s)
    for type in (
        "SCHEDULED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "CRASHED",
        "PAUSED",
        "CANCELLING",
    ):
        body = {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": type, "name": "$uniq"}
        s.post("/task_runs/", {**body, "state": {"type": type}}, save=type.lower())
        read(s, type.lower())


@scenario
def create_without_a_kept_result(s: Session) -> None:
    run(s)
    state = {"type": "SCHEDULED", "data": {"type": "unpersisted"}}
    body = {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": "0", "state": state}
    s.post("/task_runs/", body, save="task")
    s.get("/task_runs/{task.id}")
    s.get("/task_run_states/?task_run_id={task.id}")


@scenario
def empirical_policies(s: Session) -> None:
    run(s)
    for number, policy in enumerate(
        (
            {},
            {"retries": 2, "retry_delay": 3},
            {"retries": 2, "retry_delay": 3.5},
            {"retries": 2, "retry_delay": [1, 2, 3]},
            {"retries": 2, "retry_delay": [1.5]},
            {"retries": 2, "retry_delay": []},
            {"max_retries": 2, "retry_delay_seconds": 3.5},
            {"max_retries": 2, "retry_delay_seconds": 3},
            {"max_retries": 1, "retries": 2, "retry_delay": 0, "retry_delay_seconds": 5},
            {"retry_jitter_factor": 1},
            {"retry_jitter_factor": -1},
            {"retry_delay": [0] * 50},
            {"retry_delay": [0] * 51},
            {"retry_delay": "3"},
            {"retry_delay": ["1"]},
            {"retry_delay": "x"},
            {"retry_delay": {}},
            {"retries": "x"},
            {"retries": -1},
            {"unknown": 1},
            [],
        )
    ):
        body = {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": str(number), "name": "$uniq"}
        s.post("/task_runs/", {**body, "empirical_policy": policy})


@scenario
def change(s: Session) -> None:
    task(s)
    s.patch("/task_runs/{task.id}", {"name": "$uniq-new"})
    read(s)
    for body in ({}, {"name": None}, {"name": 1}, {"name": ""}, {"tags": []}, {"name": "x", "unknown": 1}, []):
        s.patch("/task_runs/{task.id}", body)
    s.patch("/task_runs/{task.id}")
    s.patch(f"/task_runs/{ZERO}", {"name": "x"})
    s.patch(f"/task_runs/{ZERO}", {})
    s.patch("/task_runs/x", {"name": "x"})


@scenario
def delete(s: Session) -> None:
    task(s)
    s.delete("/task_runs/{task.id}")
    read(s)
    s.get("/task_run_states/{task.state_id}")
    s.get("/task_run_states/?task_run_id={task.id}")
    s.delete("/task_runs/{task.id}")


@scenario
def delete_the_parent_of_a_subflow(s: Session) -> None:
    task(s, "parent")
    run(s, "child", parent_task_run_id="{parent.id}")
    s.delete("/task_runs/{parent.id}")
    s.get("/flow_runs/{child.id}")


@scenario
def life_cycle(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s)
    set_task(s, "RUNNING")
    read(s)
    set_task(s, "COMPLETED", data=RESULT, message="done")
    read(s)
    s.get("/task_run_states/?task_run_id={task.id}")
    s.get("/task_run_states/{task.state_id}")


@scenario
def state_data(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    for save, data in (
        ("unpersisted", {"type": "unpersisted"}),
        ("number", 1),
        ("list", [1]),
        ("null", None),
        ("text", "x"),
    ):
        task(s, save, state={"type": "RUNNING"})
        set_task(s, "COMPLETED", of=save, data=data)
        read(s, save)


@scenario
def retries(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, empirical_policy={"retries": 2, "retry_delay": [3600, 7200]})
    for _ in range(3):
        set_task(s, "RUNNING", force=True)
        set_task(s, "FAILED", message="it broke", data=RESULT)
        read(s)
    s.get("/task_run_states/?task_run_id={task.id}")


@scenario
def retrying_and_rerunning(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, empirical_policy={"retries": 1})
    for type in ("RUNNING", "FAILED", "RUNNING", "FAILED", "RUNNING"):
        set_task(s, type)
    read(s)


@scenario
def rerun_by_a_retried_flow(s: Session) -> None:
    """A terminal task of a flow that runs again starts from run count 0."""
    run(s, state={"type": "RUNNING"}, empirical_policy={"retries": 3})
    task(s)
    set_task(s, "RUNNING")
    set_task(s, "FAILED")
    s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "FAILED"}}, only="status")
    s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    set_task(s, "RUNNING")
    read(s)
    set_task(s, "RUNNING")
    read(s)


@scenario
def cached(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    key = {"cache_key": "$uniq-cache"}
    for name in ("first", "second", "third", "fourth"):
        task(s, name)
    set_task(s, "RUNNING", of="first", state_details=key)
    set_task(s, "COMPLETED", of="first", state_details=key, data=RESULT)
    set_task(s, "RUNNING", of="second", state_details=key)
    read(s, "second")
    set_task(s, "RUNNING", of="third", state_details={**key, "refresh_cache": True})
    set_task(s, "RUNNING", of="fourth", state_details={"cache_key": "$uniq-other"})
    s.get("/task_run_states/?task_run_id={second.id}")


@scenario
def cache_expires(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    for name, expiration in (("old", "$now-3600"), ("new", "$now+3600")):
        details = {"cache_key": f"$uniq-{name}", "cache_expiration": expiration}
        task(s, name)
        set_task(s, "RUNNING", of=name)
        set_task(s, "COMPLETED", of=name, state_details=details)
        task(s, f"again_{name}")
        set_task(s, "RUNNING", of=f"again_{name}", state_details={"cache_key": f"$uniq-{name}"})


@scenario
def cache_keys_are_limited(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, state={"type": "RUNNING"})
    for size in (2000, 2001):
        details = {"cache_key": "x" * size}
        answer = s.request(
            "POST", "/task_runs/{task.id}/set_state", {"state": {"type": "COMPLETED", "state_details": details}}
        )
        told = {key: answer.body.get(key) for key in ("status", "details")}
        s.steps.append(
            {"step": f"{len(s.steps) + 1:02d} set_state, key of {size}", "status": answer.status, "body": told}
        )
    s.post(
        "/task_runs/",
        {"task_key": "$uniq", "dynamic_key": "0", "cache_key": "x" * 2001, "flow_run_id": None},
        only="status",
    )


@scenario
def flow_run_is_gone_or_stopped(s: Session) -> None:
    for state in ("PENDING", "PAUSED", "COMPLETED", "CANCELLING"):
        run(s, state.lower(), state={"type": "RUNNING"})
        details = {"pause_timeout": "$now+7200", "pause_reschedule": True} if state == "PAUSED" else {}
        proposed = {"state": {"type": state, "state_details": details}, "force": True}
        s.post(f"/flow_runs/{{{state.lower()}.id}}/set_state", proposed, only="status")
        task(s, f"t_{state.lower()}", flow_run=state.lower())
        set_task(s, "RUNNING", of=f"t_{state.lower()}")


@scenario
def wait_for_the_scheduled_time(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    task(s, state=later(7200))
    s.post("/task_runs/{task.id}/set_state", {"state": {"type": "RUNNING"}}, masked=("delay_seconds",))
    set_task(s, "PENDING")
    s.post("/task_runs/{task.id}/set_state", {"state": {"type": "RUNNING"}}, masked=("delay_seconds",))
    read(s)


@scenario
def background(s: Session) -> None:
    """A task without flow run that is scheduled for a task worker."""
    deferred = {"deferred": True, "scheduled_time": "$now", "task_parameters_id": "$id:parameters"}
    task(s, flow_run=None, state={"type": "SCHEDULED", "state_details": deferred})
    read(s)
    set_task(s, "PENDING", state_details={"deferred": True})
    set_task(s, "RUNNING", state_details={"deferred": True})
    set_task(s, "COMPLETED", state_details={"deferred": True})
    set_task(s, "PENDING", state_details={"deferred": True})
    read(s)


@scenario
def subflow_parent_by_hand(s: Session) -> None:
    task(s, "parent")
    run(s, "child", parent_task_run_id="{parent.id}", state={"type": "RUNNING"})
    set_task(s, "COMPLETED", of="parent")
    s.get("/flow_runs/{child.id}")
