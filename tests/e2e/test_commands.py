"""The `prefect` commands that talk to the API, one after the other: each ends well, or says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.asking import ask
from tests.processes import Server

from . import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

RUNS_COMMANDS = Path(__file__).parent / "used" / "commands.py"


class Command(NamedTuple):
    """What is typed, and what is printed; `{flow_run}`, `{done}`, `{held}` and `{task_run}` are ids."""

    typed: str
    shows: str
    code: int = 0


COMMANDS = [
    Command("variable set color red --tag a", "color"),
    Command("variable set color blue", "already exists", 1),
    Command("variable set color blue --overwrite", "color"),
    Command("variable get color", "blue"),
    Command("variable inspect color", "blue"),
    Command("variable ls", "color"),
    Command("variable unset color", "color"),
    Command("variable get color", "not found", 1),
    Command("global-concurrency-limit create door --limit 2", "Created global concurrency limit"),
    Command("global-concurrency-limit create door --limit 2", "door", 1),
    Command("global-concurrency-limit ls", "door"),
    Command("gcl inspect door", "door"),
    Command("gcl update door --limit 3", "door"),
    Command("gcl disable door", "Disabled"),
    Command("gcl enable door", "Enabled"),
    Command("gcl delete door", "Deleted"),
    Command("gcl inspect door", "not found", 1),
    Command("concurrency-limit create small 1", "small"),
    Command("concurrency-limit ls", "small"),
    Command("concurrency-limit inspect small", "small"),
    Command("concurrency-limit reset small", "small"),
    Command("concurrency-limit delete small", "small"),
    Command("concurrency-limit inspect small", "No concurrency limit found", 1),
    Command("flow ls", "flow-of-commands"),
    Command("flow-run ls", "held-run"),
    Command("flow-run ls --state-type COMPLETED", "done-run"),
    Command("flow-run ls --flow-name flow-of-commands --limit 2", "flow-of-commands"),
    Command("flow-run inspect {flow_run}", "first-run"),
    Command("flow-run logs {flow_run}", "a line of the log"),
    Command("flow-run logs {flow_run} --tail --num-logs 1", "a line of the log"),
    Command("flow-run cancel {held}", "was successfully scheduled for cancellation"),
    Command("flow-run cancel {done}", "Run is already in terminal state COMPLETED.", 1),
    Command("flow-run watch {done}", "Completed"),
    Command("flow-run retry {flow_run}", "cannot be retried", 1),
    Command("flow-run delete {flow_run}", "Successfully deleted"),
    Command("flow-run inspect {flow_run}", "not found", 1),
    Command("task-run ls", "task-of-done"),
    Command("task-run inspect {task_run}", "task-of-done"),
    Command("task-run logs {task_run}", "a line of the task"),
]


def made(server: Server) -> dict[str, str]:
    """Runs and logs for the commands to show; their ids."""

    def post(path: str, body: Any) -> Any:
        answer = ask.post(f"{server.api_url}/{path}/", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json() if answer.content else None

    flow_id = post("flows", {"name": "flow-of-commands"})["id"]

    def run(name: str, state: str) -> str:
        return str(post("flow_runs", {"flow_id": flow_id, "name": name, "state": {"type": state}})["id"])

    found = {
        "flow_run": run("first-run", "RUNNING"),
        "done": run("done-run", "COMPLETED"),
        "held": run("held-run", "SCHEDULED"),
    }
    task = {"flow_run_id": found["done"], "task_key": "t", "dynamic_key": "0", "name": "task-of-done"}
    found["task_run"] = post("task_runs", task)["id"]
    line = {"name": "l", "level": 20, "timestamp": "2026-01-01T00:00:00Z"}
    of_task = {"flow_run_id": found["done"], "task_run_id": found["task_run"], "message": "a line of the task"}
    post("logs", [line | {"flow_run_id": found["flow_run"], "message": "a line of the log"}, line | of_task])
    return found


def test_commands(server: Server, tmp_path: Path) -> None:
    ids = made(server)
    home = tmp_path / "client"
    home.mkdir()
    typed = [command.typed.format(**ids).split() for command in COMMANDS]
    ran = subprocess.run(
        [sys.executable, RUNS_COMMANDS, json.dumps(typed)],
        env=scripts.environment(server.api_url, home) | {"COLUMNS": "300", "NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(outcomes) == len(COMMANDS), ran.stderr
    wrong = [
        f"{command.typed}: {code}\n{printed}"
        for command, (code, printed) in zip(COMMANDS, outcomes, strict=True)
        if code != command.code or command.shows.lower() not in printed.lower()
    ]
    assert not wrong, "\n".join(wrong) + server.log[-2000:]
