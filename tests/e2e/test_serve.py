"""A flow served by the real SDK: the server makes its runs by the schedule, and the runner starts them."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.asking import ask
from tests.processes import Server, until

from . import scripts

SERVED = Path(__file__).parent / "served" / "tick.py"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def runs(server: Server, **filters: Any) -> list[dict[str, Any]]:
    body = {"sort": "EXPECTED_START_TIME_ASC", **filters}
    found: list[dict[str, Any]] = ask.post(f"{server.api_url}/flow_runs/filter", json=body, timeout=30).json()
    return found


def completed(server: Server) -> list[dict[str, Any]]:
    return runs(server, flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})


def test_a_served_flow_runs_by_its_schedule(server: Server, tmp_path: Path) -> None:
    home = tmp_path / "client"
    home.mkdir()
    environment = scripts.environment(server.api_url, home) | {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with (tmp_path / "runner.log").open("wb") as log:
        runner = subprocess.Popen([sys.executable, str(SERVED), "5"], env=environment, cwd=home, stdout=log, stderr=log)
    try:
        done = until(lambda: len(found := completed(server)) >= 2 and found, within=200, every=0.5)
    except AssertionError:
        raise AssertionError((tmp_path / "runner.log").read_text()[-3000:] + server.log[-2000:]) from None
    finally:
        runner.send_signal(signal.SIGINT)
        runner.wait(90)
    first, second = (datetime.fromisoformat(run["expected_start_time"]) for run in done[:2])
    assert (second - first).total_seconds() % 5 == 0
    assert {(run["auto_scheduled"], run["parameters"]["by"]) for run in done} == {(True, "schedule")}
    assert all(set(run["tags"]) == {"auto-scheduled", "served"} for run in done)
    deployment = ask.get(f"{server.api_url}/deployments/name/tick/ticking").json()
    assert (deployment["status"], deployment["paused"]) == ("READY", True)
    # A runner that stops pauses what it served: what was planned is gone.
    until(lambda: not runs(server, flow_runs={"state": {"name": {"any_": ["Scheduled"]}}}))


def test_the_server_makes_the_runs_of_a_cron_schedule_by_itself(server: Server) -> None:
    post = lambda path, body: ask.post(f"{server.api_url}{path}", json=body, timeout=30).json()  # noqa: E731
    flow = post("/flows/", {"name": "f"})
    schedules = [{"schedule": {"cron": "* * * * *"}}]
    made = post("/deployments/", {"name": "d", "flow_id": flow["id"], "schedules": schedules})
    found = until(lambda: runs(server), within=10)
    assert 60 <= len(found) <= 62
    dates = [datetime.fromisoformat(run["next_scheduled_start_time"]) for run in found]
    assert dates[0] > datetime.now(UTC).replace(second=0, microsecond=0)
    assert {(b - a).total_seconds() for a, b in pairwise(dates)} == {60.0}
    assert ask.post(f"{server.api_url}/deployments/{made['id']}/pause_deployment").status_code == 200
    assert not runs(server)
    ask.post(f"{server.api_url}/deployments/{made['id']}/resume_deployment")
    until(lambda: len(runs(server)) >= 60, within=10)
