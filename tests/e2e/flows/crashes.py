"""Processes that die in the middle: in a task, in a flow, by SIGTERM, by SIGKILL; each in its own fork."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

from aside import log_has, say, task_run_is
from prefect import flow, get_client, get_run_logger, task
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run as this_flow_run
from prefect.runtime import task_run as this_task_run


def seen_by_server(line: str) -> None:
    """Logs a line and returns when the server shows it, so that what dies with the process is not left to chance."""
    get_run_logger().warning(line)
    APILogWorker.instance().drain()
    with get_client(sync_client=True) as client:
        log_has(client, this_flow_run.id, line)


@task
def before() -> str:
    return "before"


@task
def dies() -> None:
    with get_client(sync_client=True) as client:
        task_run_is(client, this_task_run.id, "Running")
    seen_by_server("the task is about to die")
    os._exit(7)


@flow(name="crashes.in a task")
def in_a_task() -> None:
    before()
    dies()


@flow(name="crashes.in a flow")
def in_a_flow() -> None:
    seen_by_server("the flow is about to die")
    os._exit(8)


@flow(name="crashes.by SIGTERM")
def by_sigterm() -> None:
    seen_by_server("the flow gets SIGTERM")
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


@flow(name="crashes.by SIGKILL")
def by_sigkill() -> None:
    seen_by_server("the flow gets SIGKILL")
    os.kill(os.getpid(), signal.SIGKILL)


@flow(name="crashes.in a subflow")
def in_a_subflow() -> None:
    in_a_flow()


def exit_code(work: Callable[[], Any]) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


if __name__ == "__main__":
    for dying in (in_a_task, in_a_flow, by_sigterm, by_sigkill, in_a_subflow):
        say(f"{dying.name} exited with {exit_code(dying)}")
