"""The real SDK with authorization, through proxies, and with URLs that are not quite right.

`LICTOR_SDK` names another Python to run the flows with, such as one with a newer prefect.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.asking import ask
from tests.processes import Server, until
from tests.proxy import proxy

from . import scripts

SCRIPT = Path(__file__).parent / "ten_tasks.py"
SECRET = "svc:a-token"

pytestmark = pytest.mark.e2e


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/lictor.db"  # nothing here depends on the database


def play(api: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = scripts.environment(api, home) | more
    python = os.environ.get("LICTOR_SDK", sys.executable)
    return subprocess.run(
        [python, str(SCRIPT)], env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False
    )


def task_runs(server: Server, secret: str | None = None) -> list[str]:
    auth = None if secret is None else httpx.BasicAuth(*secret.split(":"))
    return [run["state_type"] for run in ask.post(f"{server.api_url}/task_runs/filter", json={}, auth=auth).json()]


def all_ten_are_completed(server: Server, secret: str | None = None) -> None:
    until(lambda: task_runs(server, secret) == ["COMPLETED"] * 10, within=15)


@pytest.fixture
def guarded(database_url: str, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, database_url, (), {"PREFECT_SERVER_API_AUTH_STRING": SECRET})
    server.start()
    yield server
    server.end()


def test_with_the_right_secret_the_flow_and_all_its_tasks_are_recorded(guarded: Server, tmp_path: Path) -> None:
    done = play(guarded.api_url, tmp_path, PREFECT_API_AUTH_STRING=SECRET)
    assert done.returncode == 0, done.stderr
    all_ten_are_completed(guarded, SECRET)
    assert SECRET not in guarded.log


def test_with_a_wrong_secret_nothing_is_recorded_and_the_reason_is_told_once(guarded: Server, tmp_path: Path) -> None:
    done = play(guarded.api_url, tmp_path, PREFECT_API_AUTH_STRING="svc:guess")
    assert done.returncode != 0
    assert "401 Unauthorized" in done.stderr
    assert task_runs(guarded, SECRET) == []
    assert guarded.log.count("requests are refused") == 1
    assert "guess" not in guarded.log


@pytest.mark.parametrize("ending", ["/", "//"])
def test_a_url_that_ends_in_slashes_does(server: Server, tmp_path: Path, ending: str) -> None:
    done = play(f"{server.api_url}{ending}", tmp_path)
    assert done.returncode == 0, done.stderr
    all_ten_are_completed(server)


def test_through_a_proxy_that_strips_a_prefix(server: Server, tmp_path: Path) -> None:
    with proxy(server.port, "/prefect") as outside:
        done = play(f"{outside.url}/api", tmp_path)
        assert done.returncode == 0, done.stderr
        redirect = ask.get(f"{outside.url}/api/flows", follow_redirects=False)
        assert ask.get(f"{outside.url}/ui-settings").json()["api_url"] == "/prefect/api"
    assert "/prefect/api/" in redirect.headers.get("location", "/prefect/api/")
    all_ten_are_completed(server)


def test_through_a_proxy_that_leaves_the_prefix(database_url: str, tmp_path: Path) -> None:
    server = Server(tmp_path, database_url, (), {"PREFECT_SERVER_API_BASE_PATH": "/prefect/api"})
    server.api_url = f"{server.url}/prefect/api"
    server.start()
    try:
        with proxy(server.port, "/prefect", strips=False) as outside:
            done = play(f"{outside.url}/api", tmp_path)
            assert done.returncode == 0, done.stderr
            assert ask.get(f"{outside.url}/ui-settings").json()["api_url"] == "/prefect/api"
        all_ten_are_completed(server)
    finally:
        server.end()


def test_behind_a_proxy_that_loses_websockets_the_log_says_so_and_the_flow_ends(server: Server, tmp_path: Path) -> None:
    with proxy(server.port, upgrades=False) as outside:
        done = play(f"{outside.url}/api", tmp_path)
    assert done.returncode == 0, done.stderr
    assert server.log.count("came without `Upgrade: websocket`") == 1
    runs = ask.post(f"{server.api_url}/flow_runs/filter", json={}).json()
    assert [run["state_type"] for run in runs] == ["COMPLETED"]
