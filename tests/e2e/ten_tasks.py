"""A flow with ten tasks, run by whoever tests how clients get in."""

from prefect import flow, task


@task
def one(n: int) -> int:
    return n


@flow
def ten() -> int:
    return sum(future.result() for future in [one.submit(n) for n in range(10)])


if __name__ == "__main__":
    ten()
