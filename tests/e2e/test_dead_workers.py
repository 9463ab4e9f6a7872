"""A process worker of the real SDK that is killed together with the flow that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.processes import Server, until

from . import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

# As little patience as there can be; no run is taken for dead before half a minute of silence.
SETTINGS = {
    "LICTOR_DEAD_RUNS_LOOP_SECONDS": "1",
    "LICTOR_DEAD_RUNS_MISSED_HEARTBEATS": "2",
    "LICTOR_DEAD_RUNS_HEARTBEAT_SECONDS": "30",
    "LICTOR_DEAD_RUNS_QUIET_SECONDS": "30",
}
FLOW = """
import os, pathlib, time
from prefect import flow

@flow
def job(seconds: float = 0):
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(seconds)
"""


@contextmanager
def worker(server: Server, folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    own = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_HEARTBEAT_SECONDS": "2"}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", "p", "--name", name],
            env=scripts.environment(server.api_url, folder) | own | {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def post(server: Server, path: str, body: Any) -> Any:
    return ask.post(f"{server.api_url}{path}", json=body, timeout=30).raise_for_status().json()


def state(server: Server, run: Any) -> str:
    return str(ask.get(f"{server.api_url}/flow_runs/{run['id']}").json()["state_name"])


@pytest.mark.only_on("postgres")
def test_a_run_whose_worker_was_killed_with_it_is_crashed_and_the_next_one_starts(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(environment=SETTINGS)
    (tmp_path / "job.py").write_text(FLOW)
    post(server, "/work_pools/", {"name": "p", "type": "process", "concurrency_limit": 1})
    flow = post(server, "/flows/", {"name": "job"})
    there = {"prefect.deployments.steps.set_working_directory": {"directory": str(tmp_path)}}
    body = {
        "name": "d",
        "flow_id": flow["id"],
        "entrypoint": "job.py:job",
        "work_pool_name": "p",
        "pull_steps": [there],
    }
    create = f"/deployments/{post(server, '/deployments/', body)['id']}/create_flow_run"
    first = post(server, create, {"parameters": {"seconds": 600}})
    second = post(server, create, {})

    with worker(server, tmp_path, "one") as one:
        until((tmp_path / "pid").exists, within=300, every=0.2)
        until(lambda: state(server, first) == "Running", within=60)
        one.kill()
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert state(server, second) in ("Scheduled", "Late")

    with worker(server, tmp_path, "two"):
        until(lambda: state(server, first) == "Crashed", within=200, every=0.2)
        until(lambda: state(server, second) == "Completed", within=300, every=0.2)
    assert post(server, "/automations/count", {}) == 0
    (run,) = post(server, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["CRASHED"]}}}})
    assert run["state"]["message"]
