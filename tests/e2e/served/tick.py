"""A flow that is served: its runs are made by its schedule and started by this process."""

from __future__ import annotations

import sys

from prefect import flow


@flow
def tick(by: str = "nobody") -> str:
    return f"started by {by}"


if __name__ == "__main__":
    tick.serve(name="ticking", interval=float(sys.argv[1]), parameters={"by": "schedule"}, tags=["served"])
