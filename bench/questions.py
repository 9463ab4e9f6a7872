"""What dashboards ask about runs: each question has a name, a path, and a body that differs from time to time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bench.filling import POOLS, an_id, window

Body = Callable[[int, datetime], dict[str, Any]]

ENDS = ["COMPLETED", "FAILED", "CRASHED"]
LATE = {"state": {"name": {"any_": ["Late"]}}}


def states(*types: str) -> dict[str, Any]:
    return {"state": {"type": {"any_": list(types)}}}


def expected(now: datetime, days: float) -> dict[str, Any]:
    return {"expected_start_time": window(now, days)}


def a(kind: str, number: int, most: int) -> dict[str, Any]:
    return {"id": {"any_": [an_id(kind, 1 + number * 7 % most)]}}


def pool(number: int) -> dict[str, Any]:
    return {"name": {"any_": [f"pool {1 + number % POOLS}"]}}


# What to ask: a name, the path, and the body of the n-th time.
CALLS: list[tuple[str, str, Body]] = [
    ("runs page", "flow_runs/paginate", lambda n, now: {"sort": "START_TIME_DESC", "limit": 10, "page": 1 + n}),
    (
        "runs page, a week",
        "flow_runs/paginate",
        lambda n, now: {"sort": "START_TIME_DESC", "limit": 10, "page": 1, "flow_runs": expected(now, 7)},
    ),
    (
        "runs page, by part of the name",
        "flow_runs/paginate",
        lambda n, now: {
            "sort": "START_TIME_DESC",
            "limit": 10,
            "flow_runs": {"name": {"like_": f"run-{n}5"}, **expected(now, 7)},
        },
    ),
    (
        "runs of a deployment",
        "flow_runs/paginate",
        lambda n, now: {"sort": "START_TIME_DESC", "limit": 10, "deployments": a("deployment", n, 500)},
    ),
    (
        "runs of a flow",
        "flow_runs/paginate",
        lambda n, now: {"sort": "START_TIME_DESC", "limit": 10, "flows": a("flow", n, 50)},
    ),
    (
        "runs of a pool",
        "flow_runs/paginate",
        lambda n, now: {"sort": "START_TIME_DESC", "limit": 10, "work_pools": pool(n)},
    ),
    ("newest runs", "flow_runs/filter", lambda n, now: {"sort": "ID_DESC", "limit": 200}),
    (
        "failed runs of a week",
        "flow_runs/filter",
        lambda n, now: {
            "sort": "START_TIME_DESC",
            "limit": 200,
            "flow_runs": {**states("FAILED"), **expected(now, 7)},
        },
    ),
    (
        "running, oldest first",
        "flow_runs/filter",
        lambda n, now: {
            "sort": "START_TIME_ASC",
            "limit": 200,
            "flow_runs": {**states("RUNNING"), "start_time": {"before_": now.isoformat()}},
        },
    ),
    ("last run of a flow", "flow_runs/filter", lambda n, now: {
        "sort": "EXPECTED_START_TIME_DESC", "limit": 1, "flows": a("flow", n, 50),
        "flow_runs": {"expected_start_time": {"before_": now.isoformat()}},
    }),
    ("count of all runs", "flow_runs/count", lambda n, now: {}),
    ("count by states", "flow_runs/count", lambda n, now: {"flow_runs": states(*ENDS)}),
    ("count by name of state", "flow_runs/count", lambda n, now: {"flow_runs": LATE}),
    (
        "count of a day by states",
        "flow_runs/count",
        lambda n, now: {"flow_runs": {**states(*ENDS), **expected(now, 1)}},
    ),
    (
        "count of a month by states",
        "flow_runs/count",
        lambda n, now: {"flow_runs": {**states(*ENDS), **expected(now, 30)}},
    ),
    (
        "count of a flow's runs that began",
        "flow_runs/count",
        lambda n, now: {"flows": a("flow", n, 50), "flow_runs": {"start_time": {"is_null_": False}}},
    ),
    ("count of a pool's runs", "flow_runs/count", lambda n, now: {"work_pools": pool(n)}),
    (
        "lateness of a day",
        "flow_runs/lateness",
        lambda n, now: {"flow_runs": expected(now, 1)},
    ),
    ("history of a day", "flow_runs/history", lambda n, now: history(now, 1, 289)),
    ("history of a month", "flow_runs/history", lambda n, now: history(now, 30, 100)),
    ("task history of a day", "task_runs/history", lambda n, now: started_history(now, 1)),
    ("task history of a week", "task_runs/history", lambda n, now: started_history(now, 7)),
    ("task history of a flow's day", "task_runs/history", lambda n, now: {
        **started_history(now, 1), "flows": a("flow", n, 50),
    }),
    ("count of all task runs", "task_runs/count", lambda n, now: {}),
    (
        "count of task runs of a week by state",
        "task_runs/count",
        lambda n, now: {
            "task_runs": {
                "subflow_runs": {"exists_": False},
                "start_time": window(now, 7),
                "state": {"type": {"any_": ["COMPLETED"]}},
            }
        },
    ),
    (
        "count of task runs of a flow by state",
        "task_runs/count",
        lambda n, now: {
            "flows": a("flow", n, 50),
            "task_runs": {"subflow_runs": {"exists_": False}, "state": {"type": {"any_": ["FAILED", "CRASHED"]}}},
        },
    ),
    ("count of task runs of a week's flow runs", "task_runs/count", lambda n, now: {"flow_runs": expected(now, 7)}),
    ("task runs page, all", "task_runs/paginate", lambda n, now: {"sort": "EXPECTED_START_TIME_DESC", "limit": 10}),
    (
        "task runs page, a week",
        "task_runs/paginate",
        lambda n, now: {"sort": "EXPECTED_START_TIME_DESC", "limit": 10, "flow_runs": expected(now, 7)},
    ),
    ("history of the ui", "ui/flow_runs/history", lambda n, now: {
        "sort": "EXPECTED_START_TIME_DESC", "limit": 1000, "offset": 0, "flow_runs": expected(now, 7),
    }),
    ("tasks of runs", "ui/flow_runs/count-task-runs", lambda n, now: {
        "flow_run_ids": [an_id("run", 10 * (n * 50 + k)) for k in range(1, 11)]
    }),
    ("flows page", "flows/paginate", lambda n, now: {"sort": "NAME_ASC", "limit": 10}),
    ("flows with failures", "flows/paginate", lambda n, now: {
        "flow_runs": {**states("FAILED", "CRASHED"), **expected(now, 1)}, "sort": "UPDATED_DESC",
    }),
    ("deployments page", "deployments/paginate", lambda n, now: {"limit": 50, "page": 1}),
    ("logs of a run", "logs/filter", lambda n, now: {
        "sort": "TIMESTAMP_ASC", "logs": {"flow_run_id": {"any_": [an_id("run", 10 * (n + 1))]}},
    }),
    ("events of a day", "events/filter", lambda n, now: {"filter": {"occurred": occurred(now, 1)}, "limit": 50}),
    ("events by time", "events/count-by/time", lambda n, now: {
        "filter": {"occurred": occurred(now, 1)}, "time_unit": "hour", "time_interval": 1,
    }),
]  # fmt: skip


def occurred(now: datetime, days: float) -> dict[str, str]:
    span = window(now, days)
    return {"since": span["after_"], "until": span["before_"]}


def history(now: datetime, days: float, intervals: int) -> dict[str, Any]:
    span = window(now, days)
    seconds = days * 86_400 / intervals
    return {"history_start": span["after_"], "history_end": span["before_"], "history_interval_seconds": seconds}


def started_history(now: datetime, days: float) -> dict[str, Any]:
    """As dashboards ask of task runs: those of flow runs, that started in that time."""
    return {**history(now, days, 100), "flow_runs": {}, "task_runs": {"start_time": window(now, days)}}
