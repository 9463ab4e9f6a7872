"""Shared by the flow scripts: a second process beside a flow, and waiting for what the server shows.

The second process is forked before the first flow runs, so it has its own clients, sockets and log threads and yet need
not import the SDK again, which would take longer than everything else here.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.objects import FlowRun

PATIENCE = 60.0
T = TypeVar("T")


@contextmanager
def aside(work: Callable[..., None], *args: Any) -> Iterator[None]:
    """Runs `work` in a forked process while the body runs; fails if it failed. To be used before any flow has run."""
    process = multiprocessing.get_context("fork").Process(target=work, args=args)
    process.start()
    try:
        yield
    except BaseException:
        process.terminate()
        raise
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise RuntimeError(f"{work.__name__} beside the flow ended with {process.exitcode}")


def say(line: str) -> None:
    """Prints a line that the snapshot keeps, past the reach of `log_prints`."""
    print(line, flush=True)  # noqa: T201


def until(ask: Callable[[], T], why: str) -> T:
    """Asks again until the answer is true; the answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise TimeoutError(why)


def run_named(client: SyncPrefectClient, name: str, state: str) -> FlowRun:
    """The flow run of that name, as soon as its state has that name."""

    def ask() -> FlowRun | None:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
        return next((run for run in found if run.state and run.state.name == state), None)

    return until(ask, f"{name} never became {state}")


def task_run_is(client: SyncPrefectClient, id: UUID, state: str) -> None:
    """Waits until the server has that state of a task run."""

    wanted = TaskRunFilter(id=TaskRunFilterId(any_=[id]))

    def ask() -> bool:
        return any(run.state_name == state for run in client.read_task_runs(task_run_filter=wanted))

    until(ask, f"task run {id} never became {state}")


def log_has(client: SyncPrefectClient, flow_run_id: UUID, text: str) -> None:
    """Waits until the server has a log line of the run with that message."""
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id]))

    def ask() -> bool:
        return any(log.message == text for log in client.read_logs(log_filter=wanted))

    until(ask, f"no log line {text!r}")
