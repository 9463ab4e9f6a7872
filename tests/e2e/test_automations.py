"""Automations as the users of the SDK, of its CLI and of `prefect.yaml` know them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.asking import ask
from tests.processes import Server, until

from . import scripts

FOLDER = Path(__file__).parent / "automations"
COMMANDS = Path(__file__).parent / "commands.py"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def prefect(server: Server, home: Path, *arguments: str) -> str:
    """What a command of the CLI prints."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    env = scripts.environment(server.api_url, home)
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def post(server: Server, path: str, body: Any) -> Any:
    answer = ask.post(f"{server.api_url}{path}", json=body, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def happen(server: Server, *names: str) -> None:
    now = datetime.now(UTC).isoformat()
    resource = {"prefect.resource.id": "thing.1"}
    post(server, "/events", [{"occurred": now, "event": n, "resource": resource, "id": str(uuid4())} for n in names])


def test_a_chain_of_deployments_an_alert_and_a_silence(server: Server, tmp_path: Path) -> None:
    outcome = scripts.run(FOLDER / "chain.py", server.api_url, tmp_path, limit=300)
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.splitlines() == [
        "B is run with {'x': 42} by AUTOMATION",
        "the webhook was called",
        "an alert came",
        "the silence was noticed",
        "calls: 3",
    ]


def test_the_commands_of_the_cli(server: Server, tmp_path: Path) -> None:
    trigger = {"type": "event", "posture": "Reactive", "expect": ["a"]}
    made = post(server, "/automations/", {"name": "mine", "trigger": trigger, "actions": [{"type": "do-nothing"}]})
    assert "mine" in prefect(server, tmp_path, "automation", "ls")
    assert made["id"] in prefect(server, tmp_path, "automation", "inspect", "mine", "--json")
    prefect(server, tmp_path, "automation", "pause", "mine")
    assert not ask.get(f"{server.api_url}/automations/{made['id']}").json()["enabled"]
    prefect(server, tmp_path, "automation", "resume", "mine")
    assert ask.get(f"{server.api_url}/automations/{made['id']}").json()["enabled"]
    prefect(server, tmp_path, "automation", "delete", "mine")
    assert ask.get(f"{server.api_url}/automations/{made['id']}").status_code == 404


def test_triggers_in_prefect_yaml_are_made_once_and_fire_once(server: Server, tmp_path: Path) -> None:
    for name in ("prefect.yaml", "flows.py"):
        shutil.copy(FOLDER / name, tmp_path / name)
    post(server, "/work_pools/", {"name": "local", "type": "process"})
    results = tmp_path / "results.json"
    deploy = ["--no-prompt deploy --all"] * 5
    outcome = scripts.run(COMMANDS, server.api_url, tmp_path, limit=500, arguments=[str(results), *deploy])
    assert [code for code, _ in json.loads(results.read_text())] == [0] * 5, outcome.stderr
    assert post(server, "/automations/count", {}) == 2
    deployments = post(server, "/deployments/filter", {"sort": "NAME_ASC"})
    assert [(one["name"], len(one["schedules"])) for one in deployments] == [("first", 1), ("second", 0)]
    happen(server, "thing.happened", "a.happened", "b.happened")
    made = {"flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}, "sort": "NAME_ASC"}
    until(lambda: len(by_automations(server, made)) >= 2, within=30)
    names = {one["id"]: one["name"] for one in deployments}
    assert sorted(names[run["deployment_id"]] for run in by_automations(server, made)) == ["first", "second"]
    # The schedule has its runs once, however often it was deployed.
    times = [run["expected_start_time"] for run in post(server, "/flow_runs/filter", made) if run["auto_scheduled"]]
    assert len(times) == len(set(times)) >= 3


def by_automations(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    runs = post(server, "/flow_runs/filter", body)
    return [run for run in runs if (run["created_by"] or {}).get("type") == "AUTOMATION"]
