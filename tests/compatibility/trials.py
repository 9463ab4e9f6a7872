"""What is tried with each release: a flow, `.serve()`, a worker.

A trial raises AssertionError with what went wrong.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.processes import until

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 240.0
ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Bench:
    """A release's environment beside a server."""

    def __init__(self, environment: Path, api: str, home: Path) -> None:
        self._bin = environment / "bin"
        self._home = home
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHON"))
        } | {"PREFECT_API_URL": api, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}
        self.api = httpx.Client(base_url=api, timeout=30)

    def run(self, *command: str) -> None:
        """A command of the environment, to its end."""
        done = subprocess.run(
            self._whole(command), check=False, env=self._environment, capture_output=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-1500:]

    @contextmanager
    def running(self, *command: str) -> Iterator[Callable[[], str]]:
        """A command that runs until it is interrupted; yields what reads its output."""
        log = self._home / "process.log"
        with log.open("wb") as output:
            process = subprocess.Popen(self._whole(command), env=self._environment, stdout=output, stderr=output)
        try:
            yield lambda: log.read_text(errors="replace")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _whole(self, command: tuple[str, ...]) -> list[str]:
        return [str(self._bin / command[0]), *command[1:]]

    def ask(self, path: str, **body: Any) -> Any:
        return self.api.post(path, json=body).raise_for_status().json()

    def deployment(self, name: str) -> dict[str, Any] | None:
        answer = self.api.get(f"deployments/name/compatibility-job/{name}")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def ended(self, run_id: str) -> dict[str, Any] | None:
        run = self.api.get(f"flow_runs/{run_id}").raise_for_status().json()
        return run if run["state_type"] in ENDS else None


def flow(bench: Bench) -> None:
    bench.run("python", str(SCRIPTS / "job.py"))
    [run] = bench.ask("flow_runs/filter", flows={"name": {"any_": ["compatibility-job"]}}, sort="ID_DESC", limit=1)
    assert_complete(bench, run, tasks=5)


def serve(bench: Bench) -> None:
    with bench.running("python", str(SCRIPTS / "serve.py")) as log:
        deployment = until(lambda: bench.deployment("served"), within=PATIENCE)
        assert_scheduled(bench, deployment)
        run_it(bench, deployment, log)


def worker(bench: Bench) -> None:
    bench.api.post("work_pools/", json={"name": "compatibility", "type": "process"})
    bench.run("python", str(SCRIPTS / "deploy.py"))
    deployment = bench.deployment("deployed")
    assert deployment is not None
    assert_scheduled(bench, deployment)
    with bench.running("prefect", "worker", "start", "--pool", "compatibility", "--type", "process") as log:
        run_it(bench, deployment, log)


def run_it(bench: Bench, deployment: dict[str, Any], log: Callable[[], str]) -> None:
    run = bench.ask(f"deployments/{deployment['id']}/create_flow_run", parameters={"number": 2})
    try:
        ended = until(lambda: bench.ended(run["id"]), within=PATIENCE)
    except AssertionError:
        raise AssertionError(f"the run did not end:\n{log()[-1500:]}") from None
    assert_complete(bench, ended, tasks=4)


def assert_scheduled(bench: Bench, deployment: dict[str, Any]) -> None:
    """The server makes the runs of the deployment's schedule."""
    wanted = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    until(lambda: bench.ask("flow_runs/count", flow_runs=wanted) >= 3, within=30)


def assert_complete(bench: Bench, run: dict[str, Any], tasks: int) -> None:
    assert run["state_type"] == "COMPLETED", f"{run['state_name']}: {run['state']['message']}"
    mine = {"flow_run_id": {"any_": [run["id"]]}}

    def completed() -> bool:
        states = [one["state_type"] for one in bench.ask("task_runs/filter", task_runs=mine)]
        return states == ["COMPLETED"] * tasks

    def logged() -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = bench.ask("logs/filter", logs=mine)
        return lines

    until(completed, within=30)
    # Clients send what they log every few seconds, also after the run has ended.
    until(lambda: any(line["message"].startswith("the job has begun") for line in logged()), within=30)


TRIALS: dict[str, Callable[[Bench], None]] = {"flow": flow, "serve": serve, "worker": worker}
