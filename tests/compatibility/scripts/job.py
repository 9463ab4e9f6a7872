"""A flow as any release of Prefect 3 runs it: tasks, a retry, a map, a subflow, log lines."""

from __future__ import annotations

from prefect import flow, get_run_logger, task

attempts = []


@task(retries=1)
def unsteady() -> int:
    attempts.append(1)
    if len(attempts) < 2:
        raise ValueError("once")
    return len(attempts)


@task(tags=["compatibility"])
def double(number: int) -> int:
    return number * 2


@flow(name="compatibility-child")
def child(number: int) -> int:
    return double(number)


@flow(name="compatibility-job")
def job(number: int = 3) -> int:
    get_run_logger().info("the job has begun with %d", number)
    doubled = [future.result() for future in double.map(list(range(number)))]
    return sum(doubled) + unsteady() + child(number)


if __name__ == "__main__":
    assert job() == 14
