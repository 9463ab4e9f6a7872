"""Serves the job with a schedule, until it is stopped."""

from __future__ import annotations

from job import job

if __name__ == "__main__":
    job.serve(name="served", cron="0 6 * * *", parameters={"number": 2})
