"""How a flow run can end: raise, states by hand, retries, time limits, hooks, parameters, kept results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from aside import say
from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as this_run
from prefect.states import Cancelled, Completed, Crashed, Failed, Paused


def on_state(flow: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    say(f"hook of {flow.name} at {state.name}")


@flow(name="endings.raises", on_running=[on_state], on_failure=[on_state], on_completion=[on_state])
def raises() -> None:
    raise ValueError("nothing to be done")


@flow(name="endings.completes", on_running=[on_state], on_failure=[on_state], on_completion=[on_state])
def completes() -> dict[str, int]:
    return {"answer": 42}


BY_HAND = {
    "completed": Completed(message="well", name="Fine"),
    "failed": Failed(message="badly", name="Rejected"),
    "cancelled": Cancelled(message="on purpose"),
    "crashed": Crashed(message="on purpose"),
    "paused": Paused(message="on purpose", timeout_seconds=3600),
}


@flow(name="endings.by hand", flow_run_name="by hand {kind}.")
def by_hand(kind: str) -> Any:
    return BY_HAND[kind]


@task
def fails(when: bool) -> None:
    if when:
        raise ValueError("told to")


@flow(name="endings.many states", flow_run_name="many states {bad}.")
def many_states(bad: bool) -> Any:
    return [fails(False, return_state=True), fails(bad, return_state=True), Completed(message="also")]


@flow(name="endings.a failed future")
def failed_future() -> None:
    fails.submit(True).wait()


@flow(name="endings.retries", retries=2, retry_delay_seconds=0.3)
def retries() -> str:
    fails(False)
    if this_run.run_count < 3:
        raise RuntimeError(f"attempt {this_run.run_count}")
    return "third time"


@flow(name="endings.retries in vain", retries=1)
def retries_in_vain() -> None:
    fails(True)


@flow(name="endings.retries async", retries=1, retry_delay_seconds=0.2)
async def retries_async() -> str:
    if this_run.run_count < 2:
        raise RuntimeError("the first attempt")
    return "second time"


@flow(name="endings.retries by hand", retries=1)
def retries_by_hand() -> State[Any]:
    return Failed(message="by hand") if this_run.run_count < 2 else Completed(message="by hand")


@flow(name="endings.too slow", timeout_seconds=0.5)
def too_slow() -> None:
    time.sleep(10)


@flow(name="endings.too slow async", timeout_seconds=0.5)
async def too_slow_async() -> None:
    await asyncio.sleep(10)


@flow(name="endings.parameters", flow_run_name="parameters {x}")
def parameters(x: int, when: dict[str, Any] | None = None, *rest: int, **more: str) -> str:
    get_run_logger().info("x is %r, %r %r %r", x, when, rest, more)
    return f"{x!r} {when!r} {rest!r} {more!r}"


@flow(name="endings.yields")
def yields() -> Iterator[int]:
    yield 1
    fails(False)
    yield 2


@flow(name="endings.exits")
def exits() -> None:
    raise SystemExit(3)


@flow(name="endings.interrupted")
def interrupted() -> None:
    raise KeyboardInterrupt


@task
def interrupts() -> None:
    raise KeyboardInterrupt


@flow(name="endings.interrupted task")
def interrupted_task() -> None:
    interrupts()


def ended(flow: Flow[..., Any], *args: Any) -> None:
    state = flow(*args, return_state=True)
    say(f"{flow.name} ended {state.type.value} {state.name}: {state.message}")


def stopped(flow: Flow[..., Any], *args: Any) -> None:
    try:
        ended(flow, *args)
    except BaseException as error:
        say(f"{flow.name} raised {type(error).__name__} {error}")


if __name__ == "__main__":
    ended(raises)
    ended(completes)
    for kind in BY_HAND:
        stopped(by_hand, kind)
    ended(many_states, False)
    ended(many_states, True)
    ended(failed_future)
    say(f"retries: {retries()}")
    ended(retries_in_vain)
    say(f"retries async: {asyncio.run(retries_async())}")
    stopped(retries_by_hand)
    ended(too_slow)
    state = asyncio.run(too_slow_async(return_state=True))
    say(f"too slow async ended {state.name}: {state.message}")
    say(parameters("5", {"n": [1, None, 2.5]}, 1, 2, a="b"))  # type: ignore[arg-type]
    ended(parameters, "five")
    say(f"yields {list(yields())}")
    for flow_ in (exits, interrupted, interrupted_task):
        stopped(flow_)
