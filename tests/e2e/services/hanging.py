"""A flow that never ends, with a task that never ends; it says so and waits for what becomes of it."""

from __future__ import annotations

import time

from prefect import flow, task


@task
def hang() -> None:
    while True:
        time.sleep(0.1)


@flow
def hanging() -> None:
    hang()


if __name__ == "__main__":
    hanging()
