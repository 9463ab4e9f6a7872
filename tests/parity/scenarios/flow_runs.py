"""Flow runs: create, read, change, delete, labels."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import RESULT, ZERO, flow, later, run, task


@scenario
def create_with_the_flow_alone(s: Session) -> None:
    flow(s)
    s.post("/flow_runs/", {"flow_id": "{flow.id}"}, save="run")
    s.get("/flow_runs/{run.id}")
    s.get("/flow_run_states/?flow_run_id={run.id}")


@scenario
def create_with_everything(s: Session) -> None:
    flow(s, labels={"of": "flow", "both": "flow"})
    task(s, save="parent", flow_run=None)
    s.post(
        "/flow_runs/",
        {
            "flow_id": "{flow.id}",
            "name": "$uniq name",
            "flow_version": "v1",
            "parameters": {"a": 1, "b": [1, 2.5, None, True, {"c": "d"}], "é": "👋"},
            "context": {"k": {"deep": []}},
            "parent_task_run_id": "{parent.id}",
            "infrastructure_document_id": None,
            "empirical_policy": {"retries": 3, "retry_delay": 10},
            "tags": ["b", "a", "b"],
            "labels": {"of": "run", "n": 1, "both": "run"},
            "idempotency_key": "$uniq-key",
            "job_variables": {"env": {"A": "1"}},
            "state": {"type": "SCHEDULED", "message": "soon", "state_details": {"scheduled_time": "$now+7200"}},
        },
        save="run",
    )
    s.get("/flow_runs/{run.id}")
    s.get("/task_runs/{parent.id}")
    s.get("/task_run_states/?task_run_id={parent.id}")


@scenario
def create_in_each_state(s: Session) -> None:
    flow(s)
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
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": {"type": type}}, save=type.lower())
        s.get(f"/flow_runs/{{{type.lower()}.id}}")
    for name in ("Late", "Suspended", "x" * 200, "", None):
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": {"type": "SCHEDULED", "name": name}})


@scenario
def state_data(s: Session) -> None:
    for save, data in (
        ("result", RESULT),
        ("unpersisted", {"type": "unpersisted"}),
        ("number", 1),
        ("zero", 0),
        ("text", "x"),
        ("list", [1, None]),
        ("null", None),
        ("artifact", {"artifact_key": "k", "artifact_type": "t", "artifact_description": "d", "rest": 1}),
    ):
        run(s, save=save)
        s.post(f"/flow_runs/{{{save}.id}}/set_state", {"state": {"type": "COMPLETED", "data": data}})
        s.get(f"/flow_runs/{{{save}.id}}")
        s.get(f"/flow_run_states/?flow_run_id={{{save}.id}}")
    s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": {"type": "COMPLETED", "data": RESULT}})


@scenario
def create_with_state_details(s: Session) -> None:
    flow(s)
    details = {
        "flow_run_id": ZERO,
        "task_run_id": ZERO,
        "child_flow_run_id": ZERO,
        "scheduled_time": "2030-01-02T03:04:05+05:00",
        "cache_key": "k",
        "cache_expiration": "2030-01-02T03:04:05.123Z",
        "deferred": True,
        "untrackable_result": True,
        "pause_timeout": "2030-01-02T03:04:05",
        "pause_reschedule": True,
        "pause_key": "p",
        "run_input_keyset": {"response": "r", "schema": "s"},
        "refresh_cache": False,
        "retriable": False,
        "transition_id": ZERO,
        "task_parameters_id": ZERO,
        "traceparent": "00-x",
        "deployment_concurrency_lease_id": ZERO,
    }
    state = {"type": "SCHEDULED", "state_details": details}
    s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": state}, save="run")
    s.get("/flow_runs/{run.id}")
    s.get("/flow_run_states/{run.state_id}")


@scenario
def scheduled_times(s: Session) -> None:
    """The answer to the creation echoes the instant as it was sent; what is read later is UTC."""
    flow(s)
    for number, time in enumerate(
        (
            "2030-01-02T03:04:05Z",
            "2030-01-02T03:04:05.1Z",
            "2030-01-02T03:04:05.123456Z",
            "2030-01-02T03:04:05.123456789Z",
            "2030-01-02T03:04:05+00:00",
            "2030-01-02T03:04:05-03:30",
            "2030-01-02 03:04:05.5+01:00",
            "2030-01-02T03:04Z",
            "2030-01-02T03:04:05",
            "2030-01-02",
            1893553445,
            1893553445.5,
            1893553445000,
            "1893553445",
            None,
            "soon",
            "2030-13-01T00:00:00Z",
            "",
            True,
            [],
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        )
    ):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
        body = {"flow_id": "{flow.id}", "name": "$uniq", "state": state}
        masked = ("estimated_start_time_delta",) if str(time).startswith("0001") else ()  # how long ago that is
        answer = s.post("/flow_runs/", body, save=f"run{number}", masked=masked)
        if answer.status == 201:
            s.get(f"/flow_runs/{{run{number}.id}}", masked=masked)


@scenario
def names(s: Session) -> None:
    flow(s)
    for name in ("", " ", None, "a/b%<>&", "é👋", "x" * 1000, 1, []):
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": name})


@scenario
def idempotency(s: Session) -> None:
    flow(s)
    body = {"flow_id": "{flow.id}", "idempotency_key": "$uniq-key", "name": "$uniq", "parameters": {"a": 1}}
    s.post("/flow_runs/", body, save="run")
    s.post("/flow_runs/", {**body, "name": "$uniq-2", "parameters": {}, "state": {"type": "RUNNING"}})
    s.get("/flow_run_states/?flow_run_id={run.id}")
    flow(s, save="other", name="$uniq-other")
    s.post("/flow_runs/", {**body, "flow_id": "{other.id}"})
    s.post("/flow_runs/", {**body, "idempotency_key": ""}, save="empty")
    s.post("/flow_runs/", {**body, "idempotency_key": ""})
    s.post("/flow_runs/", {**body, "idempotency_key": None})
    s.post("/flow_runs/", {**body, "idempotency_key": None})


@scenario
def empirical_policies(s: Session) -> None:
    flow(s)
    for policy in (
        {},
        {"retries": 2, "retry_delay": 3},
        {"max_retries": 2, "retry_delay_seconds": 3.5},
        {"max_retries": 2, "retry_delay_seconds": 3},
        {"max_retries": 1, "retries": 2, "retry_delay": 0, "retry_delay_seconds": 5},
        {"retries": None, "retry_delay": None},
        {"pause_keys": ["b", "a", "b"], "resuming": True, "retry_type": "reschedule"},
        {"pause_keys": None, "resuming": None, "retry_type": "in_process"},
        {"retries": -1},
        {"retries": "2"},
        {"retries": 1.5},
        {"retry_delay": 1.5},
        {"retry_delay": [1, 2]},
        {"retry_type": "never"},
        {"unknown": 1},
        {"resuming": "maybe"},
        None,
        [],
    ):
        body = {"flow_id": "{flow.id}", "name": "$uniq", "empirical_policy": policy}
        s.post("/flow_runs/", body, save="run", unordered=("pause_keys",))


@scenario
def labels(s: Session) -> None:
    flow(s, labels={"of": "flow", "n": 1})
    s.post(
        "/flow_runs/",
        {"flow_id": "{flow.id}", "name": "$uniq", "labels": {"n": 2, "prefect.flow.id": "mine"}},
        save="run",
    )
    for body in ({"a": 1, "b": 1.5, "c": True, "d": "x"}, {}, {"a": "new"}, {"prefect.flow.id": "other"}):
        s.patch("/flow_runs/{run.id}/labels", body)
        s.get("/flow_runs/{run.id}")
    for body in ({"a": None}, {"a": []}, {"a": {}}, [], "x", 1, None, [["a", 1]]):
        s.patch("/flow_runs/{run.id}/labels", body)
    s.patch("/flow_runs/{run.id}/labels")
    s.patch(f"/flow_runs/{ZERO}/labels", {"a": 1})
    s.patch("/flow_runs/x/labels", {"a": 1})


@scenario
def change(s: Session) -> None:
    run(s, name="$uniq", parameters={"a": 1}, tags=["a"])
    for body in (
        {"name": "$uniq-new"},
        {"flow_version": "v2"},
        {"parameters": {"b": 2}},
        {"empirical_policy": {"retries": 5, "retry_delay": 7}},
        {"tags": ["x", "y"]},
        {"infrastructure_pid": "host:1"},
        {},
        {"name": None, "flow_version": None, "infrastructure_pid": None},
    ):
        s.patch("/flow_runs/{run.id}", body)
        s.get("/flow_runs/{run.id}")


@scenario
def change_job_variables(s: Session) -> None:
    run(s, state=later(7200))
    s.patch("/flow_runs/{run.id}", {"job_variables": {"a": 1}})
    s.patch("/flow_runs/{run.id}", {"job_variables": None})
    run(s, save="running", state={"type": "RUNNING"})
    s.patch("/flow_runs/{running.id}", {"job_variables": {"a": 1}})
    s.patch(f"/flow_runs/{ZERO}", {"job_variables": {"a": 1}})


@scenario
def change_badly(s: Session) -> None:
    run(s)
    for body in (
        {"tags": None},
        {"tags": "x"},
        {"tags": [1]},
        {"parameters": None},
        {"parameters": []},
        {"empirical_policy": None},
        {"empirical_policy": {"retries": "x"}},
        {"name": 1},
        {"flow_version": 1},
        {"infrastructure_pid": 1},
        {"job_variables": "x"},
        {"state": {}},
        {"unknown": 1, "name": "x"},
        [],
    ):
        s.patch("/flow_runs/{run.id}", body)
    s.patch(f"/flow_runs/{ZERO}", {"name": "$uniq"})
    s.patch(f"/flow_runs/{ZERO}", {})
    s.patch("/flow_runs/x", {})


@scenario
def delete(s: Session) -> None:
    run(s)
    task(s)
    s.post("/flow_runs/{run.id}/input", {"key": "k", "value": "v"}, only="status")
    s.delete("/flow_runs/{run.id}")
    s.get("/flow_runs/{run.id}")
    s.get("/task_runs/{task.id}")
    s.get("/flow_run_states/{run.state_id}")
    s.get("/flow_run_states/?flow_run_id={run.id}")
    s.get("/flow_runs/{run.id}/input/k")
    s.get("/flows/{flow.id}")
    s.delete("/flow_runs/{run.id}")


@scenario
def delete_the_parent(s: Session) -> None:
    """A subflow outlives its parent task run."""
    task(s, save="parent")
    run(s, save="child", parent_task_run_id="{parent.id}")
    s.delete("/flow_runs/{run.id}")
    s.get("/flow_runs/{child.id}")
    s.get("/task_runs/{parent.id}")


@scenario
def created_by(s: Session) -> None:
    flow(s)
    for headers in (
        {"Prefect-Automation-ID": ZERO, "Prefect-Automation-Name": "bXkgYXV0b21hdGlvbg=="},
        {"Prefect-Automation-ID": ZERO},
        {"Prefect-Automation-Name": "bXkgYXV0b21hdGlvbg=="},
        {"Prefect-Automation-ID": "x", "Prefect-Automation-Name": "bXkgYXV0b21hdGlvbg=="},
    ):
        s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq"}, headers=headers)


@scenario
def life_cycle(s: Session) -> None:
    """What the SDK does with a flow that succeeds."""
    flow(s)
    s.post("/flow_runs/", {"flow_id": "{flow.id}", "name": "$uniq", "state": {"type": "PENDING"}}, save="run")
    for state in ({"type": "RUNNING"}, {"type": "COMPLETED", "message": "All states completed.", "data": RESULT}):
        s.post("/flow_runs/{run.id}/set_state", {"state": state, "force": False})
        s.get("/flow_runs/{run.id}")
    s.get("/flow_run_states/?flow_run_id={run.id}")


@scenario
def times_of_a_run(s: Session) -> None:
    """Lateness and run time, from a run that was expected two hours ago."""
    run(s, state={"type": "SCHEDULED", "state_details": {"scheduled_time": "$now-7200"}})
    s.get("/flow_runs/{run.id}")
    for type in ("PENDING", "RUNNING", "FAILED"):
        s.post("/flow_runs/{run.id}/set_state", {"state": {"type": type}}, only="status")
        s.get("/flow_runs/{run.id}")
    s.post("/flow_runs/{run.id}/set_state", {"state": {"type": "RUNNING"}, "force": True}, only="status")
    s.get("/flow_runs/{run.id}")
