"""A flow that is served: its runs are made by its schedule and started by this process."""

from __future__ import annotations

import sys

from prefect import flow


@flow
def tick(by: str = "nobody") -> str:
    return f"started by {by}"


if __name__ == "__main__":
    # One at a time: on a busy machine runs come due faster than processes start.
    interval = float(sys.argv[1])
    tick.serve(name="ticking", interval=interval, parameters={"by": "schedule"}, tags=["served"], limit=1)
