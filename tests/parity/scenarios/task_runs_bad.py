"""Task runs: input that is refused."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies, run, task
from .flow_runs_bad import STATES


@scenario
def create_wrong_types(s: Session) -> None:
    run(s)
    good = {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": "0", "name": "$uniq"}
    for more in (
        {"task_key": None},
        {"task_key": 1},
        {"dynamic_key": None},
        {"dynamic_key": 0},
        {"flow_run_id": "x"},
        {"flow_run_id": ZERO},
        {"id": "x"},
        {"name": 1},
        {"name": None},
        {"cache_key": 1},
        {"cache_expiration": "x"},
        {"task_version": 1},
        {"tags": None},
        {"tags": "x"},
        {"labels": {"a": None}},
        {"labels": []},
        {"task_inputs": None},
        {"task_inputs": []},
        {"task_inputs": {"x": None}},
        {"task_inputs": {"x": [{}]}},
        {"task_inputs": {"x": [{"input_type": "unknown"}]}},
        {"task_inputs": {"x": [{"input_type": "task_run", "id": "x"}]}},
        {"task_inputs": {"x": [{"input_type": "parameter"}]}},
        {"task_inputs": {"x": [1]}},
        {"empirical_policy": None},
        {"run_count": 1},
        {"created": "2024-01-01T00:00:00Z"},
        {"unknown": 1},
        {"task_key": 1, "dynamic_key": 1, "tags": 1},
    ):
        s.post("/task_runs/", {**good, **more})
    s.post("/task_runs/", {})


@scenario
def create_bad_bodies(s: Session) -> None:
    bad_bodies(s, "POST", "/task_runs/")


@scenario
def create_with_bad_states(s: Session) -> None:
    run(s)
    for number, state in enumerate(STATES):
        body = {"flow_run_id": "{run.id}", "task_key": "$uniq", "dynamic_key": str(number), "name": "$uniq"}
        s.post("/task_runs/", {**body, "state": state})


@scenario
def set_bad_states(s: Session) -> None:
    task(s)
    for state in STATES:
        s.post("/task_runs/{task.id}/set_state", {"state": state, "force": True})
    for body in ({}, {"force": True}, {"state": {"type": "RUNNING"}, "force": "maybe"}):
        s.post("/task_runs/{task.id}/set_state", body)
    bad_bodies(s, "POST", "/task_runs/{task.id}/set_state")


@scenario
def missing(s: Session) -> None:
    for id in (ZERO, "x"):
        s.get(f"/task_runs/{id}")
        s.delete(f"/task_runs/{id}")
        s.post(f"/task_runs/{id}/set_state", {"state": {"type": "RUNNING"}})
        s.post(f"/task_runs/{id}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        s.get(f"/task_run_states/{id}")
