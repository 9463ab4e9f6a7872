"""A task for the background, as its users write it: `background.py serve` runs it, `background.py N` asks N times."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prefect import task
from prefect.task_worker import serve


@task
def add(a: int, b: int) -> int:
    with Path(os.environ["DONE"]).open("a") as done:
        done.write(f"{a} + {b}\n")
    return a + b


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(add)
    else:
        for number in range(int(sys.argv[1])):
            add.delay(number, 1)
