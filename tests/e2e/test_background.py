"""Background tasks with the real SDK: `.delay()` in one process, a task worker in another, servers that come and go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.processes import Server, until

from . import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SCRIPT = Path(__file__).parent / "services" / "background.py"

Start = Callable[[str, str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run the script with an argument against an API; what still runs at the end is killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(argument: str, api: str) -> subprocess.Popen[bytes]:
        home = tmp_path / "client"
        home.mkdir(exist_ok=True)
        environment = scripts.environment(api, home) | {"DONE": str(tmp_path / "done")}
        with (tmp_path / f"{argument}.log").open("ab") as log:
            command = [sys.executable, str(SCRIPT), argument]
            processes.append(subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def done(tmp_path: Path) -> list[str]:
    found = tmp_path / "done"
    return sorted(found.read_text().splitlines()) if found.exists() else []


def task_runs(server: Server) -> list[str]:
    found: list[dict[str, Any]] = ask.post(f"{server.api_url}/task_runs/filter", json={}).json()
    return [run["state_name"] for run in found]


def workers(server: Server) -> int:
    return len(ask.post(f"{server.api_url}/task_workers/filter", json={}).json())


def test_delayed_tasks_run_once_each(server: Server, start: Start, tmp_path: Path) -> None:
    asking = start("3", server.api_url)
    assert asking.wait(90) == 0
    assert task_runs(server) == ["Scheduled"] * 3
    start("serve", server.api_url)
    until(lambda: done(tmp_path) == ["0 + 1", "1 + 1", "2 + 1"], within=90)
    until(lambda: task_runs(server) == ["Completed"] * 3, within=30)
    assert workers(server) == 1


def test_a_server_may_die_after_it_took_a_task(start_server: StartServer, start: Start, tmp_path: Path) -> None:
    """The worker is at another server, which dies, too.

    A task runs with the settings of the process that asked for it: it tells its states to the server that was asked.
    """
    here, there = start_server(), start_server()
    start("serve", there.api_url)
    until(lambda: workers(here) == 1, within=90)
    there.kill()
    assert start("2", here.api_url).wait(90) == 0
    here.kill()
    here.start()
    there.start()
    until(lambda: done(tmp_path) == ["0 + 1", "1 + 1"], within=90)
    until(lambda: task_runs(there) == ["Completed"] * 2, within=60)
    assert done(tmp_path) == ["0 + 1", "1 + 1"]
