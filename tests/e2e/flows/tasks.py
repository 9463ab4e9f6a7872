"""Tasks: retries and delays, failures, states by hand, names and tags, time limits, async, outside of a flow."""

from __future__ import annotations

import asyncio
import time

from aside import say
from prefect import allow_failure, flow, get_run_logger, tags, task
from prefect.runtime import task_run as this_run
from prefect.states import Cancelled, Completed, Failed


@task(retries=2, retry_delay_seconds=0.2)
def flaky() -> int:
    if this_run.run_count < 3:
        raise ValueError(f"attempt {this_run.run_count}")
    return int(this_run.run_count)


@task(retries=3, retry_delay_seconds=[0.1, 0.2, 0.1])
def stubborn() -> int:
    raise RuntimeError("never works")


@task(retries=5, retry_condition_fn=lambda task, run, state: "again" in str(state.message))
def picky() -> None:
    raise RuntimeError("again" if this_run.run_count < 2 else "enough")


@task(retries=1)
def hasty() -> str:
    if this_run.run_count < 2:
        raise ValueError("no delay between attempts")
    return "ok"


@flow(name="tasks.retries")
def retries() -> None:
    say(f"flaky returned on attempt {flaky()}")
    say(f"hasty returned {hasty()}")
    say(f"stubborn ended {stubborn(return_state=True).name}")
    say(f"picky ended {picky(return_state=True).name}")
    say(f"flaky in the background returned on attempt {flaky.submit().result()}")


@task
def broken(what: str) -> None:
    raise ValueError(what)


@task
def after(upstream: object) -> str:
    return f"got {type(upstream).__name__}"


@flow(name="tasks.failing")
def failing() -> None:
    state = broken("by value", return_state=True)
    say(f"state {state.type.value} {state.message}")
    future = broken.submit("by future")
    never = after.submit(future)
    never.wait()
    say(f"after a failure: {never.state.name}")
    say(f"with the failure allowed: {after.submit(allow_failure(future)).result()}")
    try:
        broken("caught")
    except ValueError as error:
        say(f"raised {error}")


@task
def by_hand(kind: str) -> object:
    states = {
        "completed": Completed(message="by hand", name="Skipped"),
        "failed": Failed(message="by hand", name="Refused"),
        "cancelled": Cancelled(message="by hand"),
    }
    return states[kind]


@flow(name="tasks.states")
def states() -> str:
    for kind in ("completed", "failed", "cancelled"):
        state = by_hand(kind, return_state=True)
        say(f"{kind} gave {state.type.value} {state.name}")
    return "done"


@task(name="greeter", task_run_name="greet {name}", tags=["hello"], description="Says hello.")
def greet(name: str) -> str:
    logger = get_run_logger()
    logger.info("greeting %s", name)
    return f"hello {name}"


def named_at_run_time() -> str:
    return f"named {this_run.parameters['name']}"


@flow(name="tasks.names", flow_run_name="names of {count}")
def names(count: int) -> None:
    say(greet("Ada"))
    with tags("inner", "ctx"):
        greet.submit("Grace").wait()
    greet.with_options(tags=["other"], task_run_name=named_at_run_time)("Edsger")


@task(timeout_seconds=0.5)
def slow() -> None:
    time.sleep(10)


@task(timeout_seconds=0.5)
async def slow_async() -> None:
    await asyncio.sleep(10)


@task(timeout_seconds=0.5, retries=1)
async def slow_once() -> str:
    if this_run.run_count < 2:
        await asyncio.sleep(10)
    return "in time"


@flow(name="tasks.timeouts")
async def timeouts() -> None:
    say(f"slow ended {slow(return_state=True).name}")
    state = await slow_async(return_state=True)
    say(f"slow_async ended {state.name}: {state.message}")
    say(f"slow_once was {await slow_once()}")


@task(task_run_name="square {x}")
async def square(x: int) -> int:
    await asyncio.sleep(0.01)
    return x * x


@flow(name="tasks.async")
async def in_parallel() -> int:
    return sum(await asyncio.gather(*(square(x) for x in range(8))))


@task(task_run_name="tasks.alone {x}", retries=1)
def alone(x: int) -> int:
    if this_run.run_count < 2:
        raise ValueError("once more")
    return x + 1


if __name__ == "__main__":
    # First, because the SDK's event thread lends the context it was started in to events that have none.
    say(f"alone returned {alone(1)}")
    retries()
    say(f"failing ended {failing(return_state=True).name}")
    say(f"states ended {states(return_state=True).name}")
    with tags("outer"):
        names(3)
    asyncio.run(timeouts())
    say(f"sum of squares {asyncio.run(in_parallel())}")
