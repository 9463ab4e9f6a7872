"""Cancelling from outside while a flow runs, and of runs that never began."""

from __future__ import annotations

from typing import Any

from aside import aside, run_named, say, until
from prefect import flow, get_client, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import OrchestrationResult
from prefect.flows import Flow
from prefect.runtime import flow_run as this_run
from prefect.states import Cancelled, Cancelling, Completed, Failed, Pending, Running, Scheduled


@task(task_run_name="step {n}.")
def step(n: int) -> int:
    return n


def until_state(name: str) -> None:
    with get_client(sync_client=True) as client:
        run_named(client, this_run.name, name)


@flow(name="cancels.cancelling", flow_run_name="cancelling 1")
def cancelling() -> str:
    step(1)
    until_state("Cancelling")
    step(2)
    return "went on to the end"


@flow(name="cancels.cancelled", flow_run_name="cancelled 1")
def cancelled() -> str:
    step(1)
    until_state("Cancelled")
    step(2)
    return "went on to the end"


@flow(name="cancels.parent", flow_run_name="parent 1")
def parent() -> None:
    child()
    step(9)


@flow(name="cancels.child", flow_run_name="child 1")
def child() -> None:
    until_state("Cancelled")
    step(8)


@flow(name="cancels.by itself", flow_run_name="itself 1")
def by_itself() -> None:
    with get_client(sync_client=True) as client:
        told(client, "itself 1", "Running", Cancelling(message="by itself"))


@flow(name="cancels.never begun")
def never_begun() -> None: ...


@flow(name="cancels.failed from outside", flow_run_name="failed 1", retries=1)
def failed_from_outside() -> None:
    until(lambda: this_run.run_count >= 1, "never began")
    with get_client(sync_client=True) as client:
        told(client, "failed 1", "Running", Failed(message="from outside"))


def answer(result: OrchestrationResult[Any]) -> str:
    state = f"{result.state.type.value} {result.state.name}" if result.state else "no state"
    return f"{result.status.value} {getattr(result.details, 'reason', None)} -> {state}"


def told(client: SyncPrefectClient, name: str, when: str, *states: State[Any], force: bool = False) -> None:
    run = run_named(client, name, when)
    for state in states:
        say(f"{name} {when}, told {state.name}: {answer(client.set_flow_run_state(run.id, state, force=force))}")


def operator() -> None:
    with get_client(sync_client=True) as client:
        told(client, "cancelling 1", "Running", Cancelling(message="from outside"))
        told(client, "cancelled 1", "Running", Cancelled(message="from outside"))
        told(client, "child 1", "Running", Cancelled(message="only the child"))


def before_the_beginning(client: SyncPrefectClient) -> None:
    first = [State[Any](type=s.type, name=s.name, message=s.message) for s in (Scheduled(), Pending(), Running())]
    for state in first:
        for end in (Cancelling(), Cancelled(), Completed()):
            name = f"from {state.name} to {end.name} 1"
            client.create_flow_run(never_begun, name=name, state=state, tags=["never"])
            told(client, name, run_named(client, name, state.name).state.name, end)
    told(client, "from Scheduled to Cancelled 1", "Cancelled", Scheduled(), Pending(), Running(), Cancelling())
    told(client, "from Pending to Cancelled 1", "Cancelled", Running(message="by force"), force=True)


def ended(flow: Flow[..., Any]) -> None:
    try:
        state = flow(return_state=True)
        say(f"{flow.name} ended {state.type.value} {state.name}: {state.message}")
    except BaseException as error:
        say(f"{flow.name} raised {type(error).__name__} {error}")


if __name__ == "__main__":
    with aside(operator):
        ended(cancelling)
        ended(cancelled)
        ended(parent)
    ended(by_itself)
    ended(failed_from_outside)
    with get_client(sync_client=True) as client:
        before_the_beginning(client)
