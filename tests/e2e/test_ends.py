"""Runs of the real SDK that do not end by themselves: killed, and hung while they are cancelled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.processes import Server, until

from . import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]

SCRIPT = Path(__file__).parent / "services" / "hanging.py"
SETTINGS = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "3",
    "LICTOR_DEAD_RUNS_LOOP_SECONDS": "1",
    "LICTOR_DEAD_RUNS_MISSED_HEARTBEATS": "2",
    "LICTOR_DEAD_RUNS_HEARTBEAT_SECONDS": "30",
    "LICTOR_UNFINISHED_LOOP_SECONDS": "1",
    "LICTOR_UNFINISHED_GRACE_SECONDS": "1",
}


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server(environment=SETTINGS)


@pytest.fixture
def hanging(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose flow run hangs in its task."""
    environment = scripts.environment(server.api_url, tmp_path) | {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    with (tmp_path / "hanging.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(SCRIPT)], env=environment, stdout=log, stderr=log)
    until(lambda: [run["state_name"] for run in runs(server, "task_runs")] == ["Running"], within=150)
    yield process
    process.kill()
    process.wait()


def runs(server: Server, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask.post(f"{server.api_url}/{kind}/filter", json={}).json()
    return found


def states(server: Server) -> list[str]:
    return [run["state_name"] for kind in ("flow_runs", "task_runs") for run in runs(server, kind)]


def test_a_killed_run_is_crashed_with_its_task(server: Server, hanging: subprocess.Popen[bytes]) -> None:
    hanging.kill()
    until(lambda: states(server) == ["Crashed", "Crashed"], within=100, every=0.5)
    (run,) = runs(server, "flow_runs")
    assert "No heartbeat" in run["state"]["message"]


def test_a_run_that_hangs_is_cancelled_in_the_end(server: Server, hanging: subprocess.Popen[bytes]) -> None:
    (run,) = runs(server, "flow_runs")
    answer = ask.post(f"{server.api_url}/flow_runs/{run['id']}/set_state", json={"state": {"type": "CANCELLING"}})
    assert answer.json()["status"] == "ACCEPT"
    until(lambda: states(server) == ["Cancelled", "Cancelled"], within=30, every=0.2)
    assert hanging.poll() is None
