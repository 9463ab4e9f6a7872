"""Flows inside of flows: nesting, results in and out, re-use when the parent tries again, async, failure."""

from __future__ import annotations

import asyncio

from aside import say
from prefect import flow, tags, task
from prefect.runtime import flow_run as this_run


@task
def one() -> int:
    return 1


@task
def plus(x: int, y: int) -> int:
    return x + y


@flow(name="subflows.leaf", flow_run_name="leaf {depth}")
def leaf(depth: int, x: int) -> int:
    say(f"leaf {depth} has a parent: {this_run.parent_flow_run_id is not None}")
    return plus(x, depth)


@flow(name="subflows.middle", flow_run_name="middle {depth}", retries=0)
def middle(depth: int, x: int) -> int:
    first = leaf(depth + 1, x)
    with tags("second"):
        second = leaf(depth + 2, first)
    return plus(first, second)


@flow(name="subflows.nested", flow_run_name="nested {start}")
def nested(start: int) -> int:
    x = one.submit()
    below = middle(start, x)
    state = leaf(9, below, return_state=True)
    return plus.submit(below, state).result()


@flow(name="subflows.kept", persist_result=True)
def kept() -> str:
    say("the kept subflow runs")
    return "kept"


@flow(name="subflows.lost", persist_result=False)
def lost() -> str:
    say("the lost subflow runs")
    return "lost"


@flow(name="subflows.again", retries=1, persist_result=True)
def again() -> str:
    answer = kept() + lost()
    one()
    if this_run.run_count < 2:
        raise RuntimeError("the parent fails once")
    return answer


@flow(name="subflows.broken")
def broken() -> None:
    raise ValueError("the subflow fails")


@flow(name="subflows.tolerant")
def tolerant() -> str:
    state = broken(return_state=True)
    return f"child {state.name}"


@flow(name="subflows.intolerant")
def intolerant() -> None:
    broken()
    one()


@flow(name="subflows.async child", flow_run_name="async child {n}")
async def async_child(n: int) -> int:
    await asyncio.sleep(0.05)
    return plus(n, n)


@flow(name="subflows.async parent")
async def async_parent() -> int:
    return sum(await asyncio.gather(*(async_child(n) for n in range(4))))


@task
def calls_a_flow(x: int) -> int:
    return leaf(20, x)


@flow(name="subflows.from a task")
def from_a_task() -> int:
    return plus(calls_a_flow(5), 0)


if __name__ == "__main__":
    with tags("family"):
        say(f"nested {nested(0)}")
    say(f"again {again()}")
    say(f"tolerant: {tolerant()}")
    say(f"intolerant ended {intolerant(return_state=True).name}")
    say(f"async {asyncio.run(async_parent())}")
    say(f"from a task {from_a_task()}")
