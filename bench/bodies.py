"""The bodies that the 3.9.1 SDK sends, key for key."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

STATE_TYPES = {
    "Scheduled": "SCHEDULED",
    "Pending": "PENDING",
    "Running": "RUNNING",
    "AwaitingRetry": "SCHEDULED",
    "Retrying": "RUNNING",
    "Completed": "COMPLETED",
    "Cached": "COMPLETED",
    "Failed": "FAILED",
    "Crashed": "CRASHED",
    "Cancelled": "CANCELLED",
}

DETAILS: dict[str, Any] = {
    "flow_run_id": None,
    "task_run_id": None,
    "child_flow_run_id": None,
    "scheduled_time": None,
    "cache_key": None,
    "cache_expiration": None,
    "deferred": None,
    "untrackable_result": False,
    "pause_timeout": None,
    "pause_reschedule": False,
    "pause_key": None,
    "run_input_keyset": None,
    "refresh_cache": None,
    "retriable": None,
    "transition_id": None,
    "task_parameters_id": None,
    "traceparent": None,
    "deployment_concurrency_lease_id": None,
}


def uuid7() -> str:
    """A time-ordered id, as the SDK's own."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def flow(name: str) -> dict[str, Any]:
    return {"name": name, "tags": [], "labels": {}}


def flow_run(flow_id: str) -> dict[str, Any]:
    """POST /flow_runs/ of a run that waits to be picked up (state Scheduled, due now)."""
    details = {"scheduled_time": instant(datetime.now(UTC)), "traceparent": None}
    return {
        "state": {"type": "SCHEDULED", "name": "Scheduled", "message": None, "state_details": details, "data": None},
        "name": None,
        "flow_id": flow_id,
        "flow_version": "f4a1c93b07d2e85d6a3b1c0f9e8d7c6b",
        "parameters": {"customer": "a-customer", "limit": 100},
        "context": {},
        "parent_task_run_id": None,
        "empirical_policy": {"retries": 0, "retry_delay": 0},
        "tags": [],
    }


def set_state(flow_run_id: str, name: str) -> dict[str, Any]:
    """POST /flow_runs/{id}/set_state with a new transition id."""
    details = {**DETAILS, "flow_run_id": flow_run_id, "transition_id": uuid7()}
    state = {"type": STATE_TYPES[name], "name": name, "message": None, "state_details": details, "data": None}
    return {"state": state, "force": False}


def log(flow_run_id: str, message: str, at: datetime | None = None) -> dict[str, Any]:
    return {
        "name": "prefect.flow_runs",
        "level": 20,
        "message": message,
        "timestamp": instant(at or datetime.now(UTC)),
        "flow_run_id": flow_run_id,
        "task_run_id": None,
    }


_number = itertools.count(1)


@dataclass(slots=True)
class TaskRun:
    """A task run of the SDK, which the server knows from its events alone."""

    flow_run_id: str
    flow_id: str
    id: str = field(default_factory=uuid7)
    number: int = field(default_factory=lambda: next(_number))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def events(self, *names: str) -> list[dict[str, Any]]:
        """One event per state name, one millisecond apart, each following the one before."""
        result: list[dict[str, Any]] = []
        for step, name in enumerate(names):
            before = names[step - 1] if step else None
            follows = result[-1]["id"] if result else None
            result.append(self._event(name, before, self.started + timedelta(milliseconds=step), follows))
        return result

    def _event(self, name: str, before: str | None, at: datetime, follows: str | None) -> dict[str, Any]:
        return {
            "occurred": instant(at),
            "event": f"prefect.task-run.{name}",
            "resource": {
                "prefect.resource.id": f"prefect.task-run.{self.id}",
                "prefect.resource.name": f"add-{self.number}",
                "prefect.run-count": "1",
                "prefect.state-message": "",
                "prefect.state-name": name,
                "prefect.state-timestamp": at.isoformat(),
                "prefect.state-type": STATE_TYPES[name],
                "prefect.orchestration": "client",
            },
            "related": [
                {
                    "prefect.resource.id": f"prefect.flow-run.{self.flow_run_id}",
                    "prefect.resource.role": "flow-run",
                    "prefect.resource.name": "abstract-pigeon",
                },
                {
                    "prefect.resource.id": f"prefect.flow.{self.flow_id}",
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": "main",
                },
            ],
            "payload": self._payload(name, before, at),
            "id": uuid7(),
            "follows": follows,
        }

    def _payload(self, name: str, before: str | None, at: datetime) -> dict[str, Any]:
        initial = {"type": STATE_TYPES[before], "name": before, "message": "", "state_details": {}} if before else None
        details = {"untrackable_result": name == "Completed"}
        return {
            "intended": {"from": initial and initial["type"], "to": STATE_TYPES[name]},
            "initial_state": initial,
            "validated_state": {
                "type": STATE_TYPES[name],
                "name": name,
                "message": "",
                "state_details": details,
                "data": None,
            },
            "task_run": self._row(name, at),
        }

    def _row(self, name: str, at: datetime) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": f"add-{self.number}",
            "task_key": "add-cf9562eb",
            "dynamic_key": self.id,
            "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
            "tags": [],
            "labels": {},
            "task_inputs": {"x": [], "y": []},
            "run_count": 0 if name == "Pending" else 1,
            "flow_run_run_count": 1,
            "expected_start_time": instant(self.started),
        }
        if name != "Pending":
            row["start_time"] = instant(self.started)
        if STATE_TYPES[name] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            row |= {"end_time": instant(at), "total_run_time": (at - self.started).total_seconds()}
        return row
