"""Pause with and without input, resumed by a second process; suspend without a deployment."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from aside import aside, run_named, say, until
from prefect import flow, get_client, pause_flow_run, resume_flow_run, suspend_flow_run, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.input import RunInput
from pydantic import Field


class Person(RunInput):
    name: str
    age: int = Field(default=1, ge=0)


@task(task_run_name="step {n}.")
def step(n: int) -> int:
    return n


@flow(name="pauses.input", flow_run_name="input 1")
def with_input() -> str:
    step(1)
    asked = Person.with_initial_data(description="Who?", age=7)
    person = pause_flow_run(wait_for_input=asked, timeout=60, poll_interval=1)
    step(2)
    return f"{person.name} is {person.age}"


@flow(name="pauses.plain", flow_run_name="plain 1")
def plain() -> None:
    pause_flow_run(timeout=60, poll_interval=1, key="first")
    pause_flow_run(timeout=60, poll_interval=1, key="first")
    say("the same key does not pause twice")
    step(1)


@flow(name="pauses.async", flow_run_name="async 1")
async def in_async() -> int:
    number: int = await pause_flow_run(wait_for_input=int, timeout=60, poll_interval=1)  # type: ignore[misc]
    return number + 1


@flow(name="pauses.suspend", flow_run_name="suspend 1")
def suspended() -> None:
    step(1)
    suspend_flow_run(timeout=60)


@flow(name="pauses.in a subflow", flow_run_name="inner 1")
def inner() -> None:
    pause_flow_run(timeout=60, poll_interval=1)


@flow(name="pauses.around a subflow", flow_run_name="outer 1")
def outer() -> None:
    inner()


def resume(client: SyncPrefectClient, name: str, run_input: dict[str, Any] | None = None, inputs: int = 0) -> UUID:
    """Resumes a run as soon as it is paused and has stored what it asks for."""
    run = run_named(client, name, "Paused")
    until(lambda: len(client.filter_flow_run_input(run.id, "", 10, set())) >= inputs, "no schema of the input")
    resume_flow_run(run.id, run_input=run_input)
    return run.id


def operator() -> None:
    with get_client(sync_client=True) as client:
        run = run_named(client, "input 1", "Paused")
        until(lambda: len(client.filter_flow_run_input(run.id, "", 10, set())) >= 2, "no schema of the input")
        for refused in ({"age": 3}, {"name": 5}, None):
            response = client.resume_flow_run(run.id, run_input=refused)
            say(f"{refused} is answered {response.status.value}: {getattr(response.details, 'reason', None)}")
        resume(client, "input 1", {"name": "Ada"})
        id = resume(client, "plain 1")
        run_named(client, "plain 1", "Completed")
        for again in (resume_flow_run, client.resume_flow_run):
            try:
                say(f"resumed again: {again(id)}")
            except Exception as error:
                say(f"cannot resume again: {type(error).__name__} {error}")
        resume(client, "async 1", {"value": 41}, inputs=1)
        resume(client, "inner 1")


if __name__ == "__main__":
    with aside(operator):
        say(f"input: {with_input()}")
        plain()
        say(f"async: {asyncio.run(in_async())}")
        outer()
    state = suspended(return_state=True)
    say(f"suspended ended {state.type.value} {state.name}: {state.message}")
