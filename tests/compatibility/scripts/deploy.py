"""Deploys the job from this folder to the work pool `compatibility`, with a schedule."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

if __name__ == "__main__":
    remote = flow.from_source(source=str(Path(__file__).parent), entrypoint="job.py:job")
    remote.deploy(
        name="deployed", work_pool_name="compatibility", cron="0 6 * * *", ignore_warnings=True, print_next_steps=False
    )
