"""Many tasks and the edges between them: map over 200, 50 submitted, wait_for, tasks inside of tasks."""

from __future__ import annotations

from aside import say
from prefect import flow, task, unmapped
from prefect.futures import wait


@task(task_run_name="double {x}")
def double(x: int) -> int:
    return 2 * x


@task(task_run_name="add {x} {y}")
def add(x: int, y: int) -> int:
    return x + y


@task
def total(values: list[int]) -> int:
    return sum(values)


@flow(name="fanout.map")
def mapped() -> int:
    return total(double.map(range(200)))


@flow(name="fanout.chain")
def chained() -> int:
    # The SDK calls a task that runs at this moment a parent of the one it is handed to: wait, and it is an input only.
    first = double.map([1, 2, 3])
    wait(first)
    second = add.map(first, unmapped(10))
    wait(second)
    last = add.map(second, first)
    return total(last)


@task(task_run_name="tick {n}")
def tick(n: int) -> int:
    return n


@flow(name="fanout.submit")
def submitted() -> int:
    futures = [tick.submit(n) for n in range(50)]
    done, pending = wait(futures)
    say(f"{len(done)} done, {len(pending)} pending")
    return sum(future.result() for future in futures)


@task
def prepare() -> None: ...


@task
def check() -> None: ...


@task
def publish() -> str:
    return "published"


@flow(name="fanout.waiting")
def waiting() -> str:
    prepared = prepare.submit()
    checked = check.submit(wait_for=[prepared])
    state = publish(wait_for=[prepared, checked], return_state=True)
    again = publish.submit(wait_for=[state])
    return str(again.result())


@task(task_run_name="leaf {n}")
def leaf(n: int) -> int:
    return n + 1


@task(task_run_name="branch {n}")
def branch(n: int) -> int:
    return leaf(n) + leaf.submit(n + 10).result()


@task
def trunk() -> int:
    return sum(branch(n) for n in (1, 2))


@flow(name="fanout.inside")
def inside() -> int:
    return double(trunk())


if __name__ == "__main__":
    say(f"mapped {mapped()}")
    say(f"chained {chained()}")
    say(f"submitted {submitted()}")
    say(f"waiting {waiting()}")
    say(f"inside {inside()}")
