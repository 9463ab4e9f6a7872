"""Events as the users of the SDK and of its CLI send and see them."""

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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SUBSCRIBER = Path(__file__).parent / "used" / "subscriber.py"


def prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", "event", *arguments]


def emit(server: Server, home: Path, name: str) -> None:
    command = prefect("emit", name, "--resource-id", "cli.1", "--payload", '{"x": 1}')
    env = scripts.environment(server.api_url, home)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def of_the_cli(streamed: Path) -> list[dict[str, Any]]:
    """What `prefect event stream` has printed: a line for each event, behind a greeting."""
    lines = [line for line in streamed.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")]
    return [event for event in map(json.loads, lines) if event["event"].startswith("cli.")]


def test_what_one_command_emits_another_streams(server: Server, tmp_path: Path) -> None:
    streamed = tmp_path / "streamed"
    # It is read while it runs, as `--run-once` is without effect in the SDK and `--output-file` fails there.
    with streamed.open("wb") as output:
        stream = subprocess.Popen(
            prefect("stream", "--format", "json"),
            env=scripts.environment(server.api_url, tmp_path) | {"PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        # The first may be of the past when the stream begins; the others are not.
        for count, name in enumerate(("cli.first", "cli.second", "cli.third"), 1):
            emit(server, tmp_path, name)
            until(lambda count=count: len(of_the_cli(streamed)) == count, within=50)
        assert stream.poll() is None
    finally:
        stream.kill()
        stream.wait()
    events = of_the_cli(streamed)
    assert [event["event"] for event in events] == ["cli.first", "cli.second", "cli.third"]
    assert [event["resource"] for event in events] == [{"prefect.resource.id": "cli.1"}] * 3
    assert [event["payload"] for event in events] == [{"x": 1}] * 3
    wanted = {"filter": {"event": {"prefix": ["cli."]}, "order": "ASC"}}
    kept = ask.post(f"{server.api_url}/events/filter", json=wanted, timeout=30).json()
    assert [event["id"] for event in kept["events"]] == [event["id"] for event in events]


def test_a_subscriber_of_the_sdk_gets_what_its_filter_lets_through(server: Server, tmp_path: Path) -> None:
    outcome = scripts.run(SUBSCRIBER, server.api_url, tmp_path)
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.splitlines() == ["sdk.thing sdk.1 {'x': [1]}", "sdk.last sdk.1 {}"]
