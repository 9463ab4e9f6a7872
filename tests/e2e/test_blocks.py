"""Blocks and artifacts by the real SDK and its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.asking import ask
from tests.processes import Server

from . import scripts

USED = Path(__file__).parent / "used"

SEEN_OF_A_WEBHOOK = (
    "seen webhook hook {'allow_private_urls': 'True', 'headers': \"{'Authorization': '********'}\", "
    "'method': 'POST', 'url': '********', 'verify': 'True'}"
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def used(script: str, server: Server, tmp_path: Path) -> list[str]:
    """The lines that a script printed."""
    home = tmp_path / "client"
    home.mkdir()
    outcome = scripts.run(USED / f"{script}.py", server.api_url, home, arguments=[str(tmp_path / "kept")])
    assert outcome.code == 0, outcome.stderr[-4000:] + server.log[-3000:]
    return outcome.stdout.splitlines()


def prefect(server: Server, tmp_path: Path, *commands: str) -> list[str]:
    """What each command of the command line printed."""
    home = tmp_path / "client"
    home.mkdir(exist_ok=True)
    ran = subprocess.run(
        [sys.executable, USED / "commands.py", json.dumps([command.split() for command in commands])],
        env=scripts.environment(server.api_url, home) | {"COLUMNS": "300", "NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [code for code, _ in outcomes] == [0] * len(commands), f"{outcomes}\n{ran.stderr}\n{server.log[-2000:]}"
    return [printed for _, printed in outcomes]


def test_blocks_are_saved_and_loaded(server: Server, tmp_path: Path) -> None:
    assert used("blocks", server, tmp_path) == [
        "secret text True",
        "secret object True",
        "taken True",
        "overwritten True",
        "webhook True",
        "slack True",
        "nested p t",
        "both h",
        "changed changed h",
        "migrated [3]",
        "deleted True",
        "seen secret text {'value': '********'}",
        "seen secret object {'value': '********'}",
        "seen our-database main {'host': 'h', 'login': \"{'user': 'u', 'token': '********'}\", 'password': '********'}",
        SEEN_OF_A_WEBHOOK,
        "result 42 True",
        "default True",
    ]
    assert len(list((tmp_path / "kept").iterdir())) == 2  # the task's result and the flow's
    types = ask.post(f"{server.api_url}/block_types/filter", json={}).json()
    assert len(types) == 54 + 2  # no copy of a type that comes with the server
    assert b"s3cret" not in b"".join(path.read_bytes() for path in tmp_path.glob("lictor.db*"))


def test_blocks_by_the_command_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from prefect.blocks.core import Block\n\n\nclass Mine(Block):\n    _block_type_name = 'Mine'\n    x: int = 1\n"
        "\n\nMine(x=5).save('five')\n"
    )

    registered, listed, types, inspected, created, _, left, _ = prefect(
        server,
        tmp_path,
        "block register --file mine.py",
        "block ls",
        "block type ls",
        "block inspect mine/five",
        "block create mine",
        "--no-prompt block delete mine/five",
        "block ls",
        "--no-prompt block type delete mine",
    )

    assert "Mine" in registered
    assert "mine/five" in listed
    assert "slack-webhook" in types
    assert "five" in inspected
    assert "mine" in created
    assert "mine/five" not in left
    assert ask.get(f"{server.api_url}/block_types/slug/mine").status_code == 404


def test_artifacts_of_a_flow(server: Server, tmp_path: Path) -> None:
    assert used("artifacts", server, tmp_path) == ["# second", "progress 55.5", "None", "True False"]

    asked = {"sort": "KEY_ASC", "artifacts": {"key": {"exists_": True}}}
    latest = ask.post(f"{server.api_url}/artifacts/latest/filter", json=asked).json()
    assert [one["key"] for one in latest] == ["image", "link", "new", "progress", "report", "table"]
    [table] = [one for one in latest if one["key"] == "table"]
    assert table["data"] == '[{"z": 1, "a": null}]'
    assert table["task_run_id"] is not None
    [run] = ask.post(f"{server.api_url}/flow_runs/filter", json={}).json()
    graph = ask.get(f"{server.api_url}/flow_runs/{run['id']}/graph-v2").json()
    assert [one["key"] for one in graph["artifacts"]] == ["link", "image", "progress", None]
    [node] = graph["nodes"]
    assert [(one["key"], one["is_latest"]) for one in node[1]["artifacts"]] == [
        ("report", False),
        ("report", True),
        ("table", True),
    ]

    listed, inspected, _, _ = prefect(
        server,
        tmp_path,
        "artifact ls",
        "artifact inspect report",
        "--no-prompt artifact delete report",
        f"--no-prompt artifact delete --id {table['latest_id']}",
    )
    assert "report" in listed
    assert "second" in inspected
    for key in ("report", "table"):
        assert ask.get(f"{server.api_url}/artifacts/{key}/latest").status_code == 404
