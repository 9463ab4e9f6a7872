"""Pools, queues and workers as their users have them: by the `prefect` command, prefect.yaml and a process worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.asking import ask
from tests.processes import Server, until

from . import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1000)]

COMMANDS = Path(__file__).parent / "commands.py"
FLOW = "from prefect import flow\n\n\n@flow\ndef hello(name: str = 'world'):\n    return name\n"
YAML = """
name: e2e
pull:
- prefect.deployments.steps.set_working_directory:
    directory: {folder}
deployments:
- name: limited
  entrypoint: hello.py:hello
  work_pool: {{name: p}}
  concurrency_limit: 1
  schedules:
  - interval: 3600
    anchor_date: "2026-01-01T00:00:00+00:00"
- name: free
  entrypoint: hello.py:hello
  work_pool: {{name: p, work_queue_name: fast}}
"""
TABLE = (
    ("work-pool create p --type process", 0),
    ("work-pool create p --type process", 1),
    ("work-pool create docker-pool --type docker", 0),
    ("work-pool ls", 0),
    ("work-pool inspect p", 0),
    ("work-pool inspect none", 1),
    ("work-pool pause p", 0),
    ("work-pool resume p", 0),
    ("work-pool update p --description d", 0),
    ("work-pool set-concurrency-limit p 3", 0),
    ("work-pool slots p", 0),
    ("work-pool clear-concurrency-limit p", 0),
    ("work-pool get-default-base-job-template --type kubernetes", 0),
    ("work-pool preview p", 0),
    ("work-queue create q --pool p --priority 1 --limit 2", 0),
    ("work-queue create q --pool p", 1),
    ("work-queue ls --pool p", 0),
    ("work-queue ls", 0),
    ("work-queue inspect q --pool p", 0),
    ("work-queue inspect none --pool p", 1),
    ("work-queue pause q --pool p", 0),
    ("work-queue resume q --pool p", 0),
    ("work-queue set-concurrency-limit q 5 --pool p", 0),
    ("work-queue slots q --pool p", 0),
    ("work-queue clear-concurrency-limit q --pool p", 0),
    ("work-queue preview q --pool p", 0),
    ("work-queue read-runs q --pool p", 0),
    ("work-queue create old", 0),
    ("work-queue inspect old", 0),
    ("--no-prompt work-queue delete q --pool p", 0),
    ("--no-prompt work-pool delete docker-pool", 0),
    ("--no-prompt work-pool delete none", 1),
)


def commands(server: Server, home: Path, *given: str) -> list[tuple[int, str]]:
    results = home / "results.json"
    outcome = scripts.run(COMMANDS, server.api_url, home, limit=500, arguments=[str(results), *given])
    assert results.exists(), outcome.stderr
    return [(code, output) for code, output in json.loads(results.read_text())]


def post(server: Server, path: str, body: Any) -> Any:
    return ask.post(f"{server.api_url}{path}", json=body, timeout=30).raise_for_status().json()


def test_every_command_about_pools_and_queues_does_what_it_should(server: Server, tmp_path: Path) -> None:
    found = commands(server, tmp_path, *(command for command, _ in TABLE))

    wrong = [
        (command, code, output[-300:])
        for (command, expected), (code, output) in zip(TABLE, found, strict=True)
        if code != expected
    ]
    assert not wrong
    pools = post(server, "/work_pools/filter", {})
    assert [(pool["name"], pool["description"]) for pool in pools] == [("default-agent-pool", None), ("p", "d")]


def test_a_worker_runs_what_was_deployed_and_deploying_again_doubles_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(YAML.format(folder=tmp_path))
    deploy = "--no-prompt deploy --all"
    runs = ["deployment run hello/limited"] * 3 + ["deployment run hello/free"]
    found = commands(server, tmp_path, "work-pool create p --type process", deploy, deploy, *runs)
    assert [code for code, _ in found] == [0] * len(found), found
    assert len(post(server, "/deployments/filter", {})) == 2
    until(lambda: len(scheduled(server)) >= 7, within=30)

    with subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "p", "--name", "w"],
        env=scripts.environment(server.api_url, tmp_path) | {"PREFECT_WORKER_QUERY_SECONDS": "1"},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            until(lambda: len(completed(server)) == 4, within=400, every=0.5)
            assert ask.get(f"{server.api_url}/work_pools/p").json()["status"] == "READY"
            (one,) = post(server, "/work_pools/p/workers/filter", {})
            assert (one["name"], one["status"]) == ("w", "ONLINE")
            assert not turned_away(server)
        finally:
            worker.terminate()
            worker.wait(60)
    # Three to come of the one schedule, however often it was deployed.
    times = [run["expected_start_time"] for run in scheduled(server) if run["auto_scheduled"]]
    assert len(times) == len(set(times)) >= 3


def scheduled(server: Server) -> list[Any]:
    return list(post(server, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}))


def completed(server: Server) -> list[Any]:
    return list(post(server, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}))


def turned_away(server: Server) -> list[Any]:
    """Runs that had to wait for a slot because they were handed out too early."""
    told = {"event": {"name": ["prefect.flow-run.AwaitingConcurrencySlot"]}}
    return list(post(server, "/events/filter", {"filter": told, "limit": 50})["events"])
