"""Every (initial × proposed) state of flow runs, task runs and background task runs, each answered in one line.

The initial state is reached by force; what is recorded of the proposed transition is the HTTP status, the result's
status, details and state, and what the run looks like afterwards: counters, times, policy, history.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from .matrix_states import FLOW_INITIAL, FLOW_PROPOSED, TASK_INITIAL, TASK_PROPOSED
from .normalise import ID
from .scenario import CLIENT

SLACK = 600.0


@dataclass(frozen=True)
class Case:
    """One transition to try: `path` are the states that lead to the initial one."""

    name: str
    kind: str  # "flow" or "task"
    path: tuple[dict[str, Any], ...]
    proposed: dict[str, Any]
    force: bool = False
    policy: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    around: str = "alone"  # of a task run: the state of its flow run; of a flow run: "deployment", "full", …

    @property
    def initial(self) -> str:
        return self.name.split(" -> ")[0]


@dataclass(frozen=True)
class MatrixGroup:
    name: str
    cases: tuple[Case, ...]
    env: dict[str, str] = field(default_factory=dict)


def answer(client: httpx.Client, case: Case) -> str:
    """Plays a case and tells its outcome in one line."""
    prefix = "/flow_runs/" if case.kind == "flow" else "/task_runs/"
    first, *rest = case.path
    run = _create_flow_run(client, case, first) if case.kind == "flow" else _create_task_run(client, case, first)
    for state in rest:
        _post(client, f"{prefix}{run}/set_state", {"state": _fill(state), "force": True})
    sent = {"state": _fill(case.proposed), "force": case.force}
    reply = _post(client, f"{prefix}{run}/set_state", sent, headers=case.headers, check=False)
    if reply.status_code >= 400:
        return f"{reply.status_code} {_masked(reply.text)}"
    history = _read(client, f"/{case.kind}_run_states/?{case.kind}_run_id={run}")
    return " | ".join(
        [
            f"{reply.status_code} {_result(reply.json())}",
            _run(_read(client, f"{prefix}{run}")),
            " > ".join(state["name"] for state in history),
        ]
    )


def _create_flow_run(client: httpx.Client, case: Case, state: dict[str, Any]) -> str:
    body = {"state": _fill(state), "empirical_policy": case.policy}
    if case.around != "alone":
        deployment = _deployment(client, case.around)
        created = _post(client, f"/deployments/{deployment}/create_flow_run", body).json()["id"]
        if case.around.startswith("full"):
            other = _post(client, f"/deployments/{deployment}/create_flow_run", {}).json()["id"]
            _post(client, f"/flow_runs/{other}/set_state", {"state": {"type": "PENDING"}})
        return str(created)
    return str(_post(client, "/flow_runs/", {**body, "flow_id": _flow(client)}).json()["id"])


def _create_task_run(client: httpx.Client, case: Case, state: dict[str, Any]) -> str:
    flow_run = None
    if case.around != "alone":
        first, *rest = FLOW_INITIAL[case.around]
        flow_run = _post(client, "/flow_runs/", {"flow_id": _flow(client), "state": _fill(first)}).json()["id"]
        for later in rest:
            _post(client, f"/flow_runs/{flow_run}/set_state", {"state": _fill(later), "force": True})
    key = uuid.uuid4().hex
    body = {"flow_run_id": flow_run, "task_key": key, "dynamic_key": "0", "empirical_policy": case.policy}
    return str(_post(client, "/task_runs/", {**body, "state": _fill(state)}).json()["id"])


def _flow(client: httpx.Client) -> str:
    return str(_post(client, "/flows/", {"name": "matrix"}).json()["id"])


def _deployment(client: httpx.Client, kind: str) -> str:
    """A new deployment for limits (they are stateful), one for all cases without."""
    limits: dict[str, dict[str, Any]] = {
        "deployment": {},
        "free": {"concurrency_limit": 1},
        "full": {"concurrency_limit": 1},
        "full, cancel new": {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "CANCEL_NEW"}},
    }
    name = "matrix" if kind == "deployment" else uuid.uuid4().hex
    return str(_post(client, "/deployments/", {"name": name, "flow_id": _flow(client), **limits[kind]}).json()["id"])


def _result(result: dict[str, Any]) -> str:
    details = result["details"]
    line: str = result["status"]
    if details["type"] != f"{line.lower()}_details":
        line += f" {details['type']}"
    if details.get("reason"):
        line += f" “{_masked(details['reason'])}”"
    if "delay_seconds" in details:
        line += f" {_seconds(details['delay_seconds'])}"
    return f"{line} -> {_state(result['state'])}"


def _state(state: dict[str, Any] | None) -> str:
    if state is None:
        return "no state"
    words = [f"{state['type']} {state['name']}"]
    if state["message"]:
        words.append(f"“{state['message']}”")
    if state.get("data") is not None:
        words.append("data")
    details = {key: value for key, value in state["state_details"].items() if value not in (None, False)}
    words += [f"{key}={_detail(value)}" for key, value in sorted(details.items()) if not key.endswith("_run_id")]
    return " ".join(words)


def _run(run: dict[str, Any]) -> str:
    words = [f"{run['state_type']} {run['state_name']}", f"runs={run['run_count']}"]
    words += [
        f"{name}={_detail(run[key])}"
        for name, key in (
            ("start", "start_time"),
            ("end", "end_time"),
            ("next", "next_scheduled_start_time"),
            ("expected", "expected_start_time"),
        )
        if run[key] is not None
    ]
    return " ".join(words + _policy(run["empirical_policy"]))


def _policy(policy: dict[str, Any]) -> list[str]:
    kept = {key: value for key, value in policy.items() if value not in (None, False, 0, [])}
    return [f"{key}={len(value) if key == 'pause_keys' else value}" for key, value in sorted(kept.items())]


def _detail(value: Any) -> str:
    if isinstance(value, str):
        if ID.fullmatch(value):
            return "<id>"
        if re.match(r"\d{4}-\d\d-\d\dT", value):
            return _seconds((datetime.fromisoformat(value) - datetime.now(UTC)).total_seconds())
    return str(value)


def _seconds(seconds: float) -> str:
    """Whole hours within ten minutes, because playing takes its time."""
    hours = round(seconds / 3600)
    if abs(seconds - hours * 3600) > SLACK:
        return f"{seconds:.0f}s"
    return f"{hours:+d}h" if hours else "now"


def _masked(text: str) -> str:
    return ID.sub("<id>", text)


def _fill(state: dict[str, Any]) -> dict[str, Any]:
    """`$+1` in state_details becomes an instant in one hour."""
    details = dict(state.get("state_details", {}))
    for key, value in details.items():
        if isinstance(value, str) and value.startswith("$"):
            details[key] = (datetime.now(UTC) + timedelta(hours=float(value[1:]))).isoformat()
    return {**state, "state_details": details} if details else state


def _post(
    client: httpx.Client,
    path: str,
    body: dict[str, Any],
    headers: Mapping[str, str | None] | None = None,
    check: bool = True,
) -> httpx.Response:
    kept = {name: value for name, value in {**CLIENT, **(headers or {})}.items() if value is not None}
    reply = client.post(path, json=body, headers=kept)
    if check and reply.status_code >= 400:
        raise AssertionError(f"POST {path} {body}: {reply.status_code} {reply.text[:500]}")
    return reply


def _read(client: httpx.Client, path: str) -> Any:
    reply = client.get(path, headers=CLIENT)
    if reply.status_code != 200:
        raise AssertionError(f"GET {path}: {reply.status_code} {reply.text[:500]}")
    return reply.json()


# --- the cases ---------------------------------------------------------------------------------------------------

FORCE = {False: "", True: " (force)"}
MODERN: Mapping[str, str | None] = {}
SAME, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def _flow_cases(around: str = "alone") -> Iterator[Case]:
    for initial, path in FLOW_INITIAL.items():
        for proposed, state in FLOW_PROPOSED.items():
            for force, note in FORCE.items():
                yield Case(f"{initial} -> {proposed}{note}", "flow", path, state, force, around=around)


def _flow_retries() -> Iterator[Case]:
    versions: dict[str, str | None] = {"0.8.4": "0.8.4", "0.8.3": "0.8.3", "0.8.2": "0.8.2", "no version": None}
    policies = {
        "retries left": {"retries": 2, "retry_delay": 7200},
        "no retries": {"retries": 0, "retry_delay": 7200},
        "old policy": {"max_retries": 2, "retry_delay_seconds": 7200.0},
        "resuming": {"retries": 1, "resuming": True, "pause_keys": ["k"], "retry_type": "in_process"},
    }
    initials = (
        "Running",
        "Retrying",
        "AwaitingRetry",
        "Pending",
        "Paused",
        "Suspended",
        "Failed",
        "Completed",
        "Crashed",
    )
    proposals = ("Failed", "TimedOut", "Crashed", "Running", "Scheduled", "Pending", "Completed", "Cancelled")
    for about, policy in policies.items():
        for version, header in versions.items():
            for initial in initials:
                for proposed in proposals:
                    name = f"{initial} -> {proposed} ({about}, API {version})"
                    state = FLOW_PROPOSED[proposed]
                    headers = {"X-PREFECT-API-VERSION": header}
                    yield Case(name, "flow", FLOW_INITIAL[initial], state, policy=policy, headers=headers)


def _flow_limits() -> Iterator[Case]:
    initials = ("Scheduled", "Late", "AwaitingConcurrencySlot", "Pending", "Running", "Paused", "Failed")
    proposals = ("Pending", "Pending Submitting", "Running", "Scheduled", "Cancelling", "Completed", "Failed")
    agents = {
        "3.9.1": "prefect/3.9.1 (API 0.8.4)",
        "3.4.10": "prefect/3.4.10 (API 0.8.4)",
        "3.0.3": "prefect/3.0.3 (API 0.8.4)",
    }
    for around in ("free", "full", "full, cancel new"):
        for version, agent in agents.items():
            # What an old client does differently begins in these two states.
            for initial in initials if version == "3.9.1" else ("Scheduled", "Pending"):
                for proposed in proposals:
                    name = f"{initial} -> {proposed} ({around}, client {version})"
                    headers = {"User-Agent": agent}
                    state = FLOW_PROPOSED[proposed]
                    yield Case(name, "flow", FLOW_INITIAL[initial], state, headers=headers, around=around)


def _task_cases() -> Iterator[Case]:
    for around in ("Running", "Pending", "Paused", "Completed", "alone"):
        forces = FORCE if around == "Running" else {False: ""}
        for initial, path in TASK_INITIAL.items():
            for proposed, state in TASK_PROPOSED.items():
                for force, note in forces.items():
                    name = f"{initial} -> {proposed}{note} in {around}"
                    yield Case(name, "task", path, state, force, around=around)


def _task_retries() -> Iterator[Case]:
    policies: dict[str, dict[str, Any]] = {
        "retries left": {"retries": 2, "retry_delay": 7200},
        "no retries": {"retries": 0},
        "delays": {"retries": 2, "retry_delay": [3600, 7200]},
        "old policy": {"max_retries": 1, "retry_delay_seconds": 7200.0},
    }
    initials = ("Running", "Retrying", "AwaitingRetry", "Pending", "Failed", "Completed with result", "Crashed")
    proposals = ("Failed", "Failed not retriable", "Failed retriable", "TimedOut", "Crashed", "Running", "Scheduled")
    for about, policy in policies.items():
        for initial in initials:
            for proposed in proposals:
                for force, note in FORCE.items():
                    name = f"{initial} -> {proposed}{note} ({about})"
                    path, state = TASK_INITIAL[initial], TASK_PROPOSED[proposed]
                    yield Case(name, "task", path, state, force, policy=policy, around="Running")


def _background_cases() -> Iterator[Case]:
    for around in ("alone", "Running"):
        for initial, path in TASK_INITIAL.items():
            for proposed, state in TASK_PROPOSED.items():
                for force, note in FORCE.items() if around == "alone" else {False: ""}.items():
                    name = f"{initial} -> {proposed}{note} in {around}"
                    yield Case(name, "task", tuple(map(_deferred, path)), _deferred(state), force, around=around)


def _deferred(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "state_details": {**state.get("state_details", {}), "deferred": True}}


def _identified(
    kind: str, initial: dict[str, tuple[dict[str, Any], ...]], proposed: dict[str, dict[str, Any]], around: str
) -> Iterator[Case]:
    """Transition ids that are equal, differ, or stand on one side only."""
    for before, after in (
        ("Pending", "Running"),
        ("Running", "Completed"),
        ("Running", "Running"),
        ("Completed", "Failed"),
    ):
        for about, first, second in (
            ("equal", SAME, SAME),
            ("differ", SAME, OTHER),
            ("only initial", SAME, None),
            ("only proposed", None, SAME),
        ):
            for force, note in FORCE.items():
                *path, last = initial[before]
                start = (*path, _with(last, first))
                name = f"{before} -> {after}{note} (transition ids {about})"
                yield Case(name, kind, start, _with(proposed[after], second), force, around=around)


def _with(state: dict[str, Any], transition: str | None) -> dict[str, Any]:
    return {**state, "state_details": {**state.get("state_details", {}), "transition_id": transition}}


def _group(name: str, *makers: Callable[[], Iterator[Case]]) -> tuple[str, MatrixGroup]:
    return name, MatrixGroup(name, tuple(case for make in makers for case in make()))


GROUPS = dict(
    [
        _group(
            "matrix_flow_runs",
            _flow_cases,
            _flow_retries,
            lambda: _identified("flow", FLOW_INITIAL, FLOW_PROPOSED, "alone"),
        ),
        _group(
            "matrix_task_runs",
            _task_cases,
            _task_retries,
            lambda: _identified("task", TASK_INITIAL, TASK_PROPOSED, "Running"),
        ),
        _group("matrix_background_task_runs", _background_cases),
        _group(
            "matrix_flow_runs_with_deployment",
            lambda: _flow_cases("deployment"),
            _flow_limits,
        ),
    ]
)
