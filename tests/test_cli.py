from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.processes import Server, environment, free_port, until

from lictor import __version__
from lictor.db import open_database


def lictor(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lictor", *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env=environment({"LICTOR_HOME": str(home), **variables}),
    )


def test_version(tmp_path: Path) -> None:
    assert lictor("version", home=tmp_path).stdout.startswith(f"lictor {__version__} (Python 3.")


@pytest.mark.parametrize(
    "command", [[], ["start"], ["services"], ["database"], ["database", "upgrade"], ["database", "reset"], ["version"]]
)
def test_help_everywhere(command: list[str], tmp_path: Path) -> None:
    helped = lictor(*command, "--help", home=tmp_path)
    assert helped.returncode == 0
    assert helped.stdout.startswith("usage: lictor")


def test_an_unusable_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ended = lictor("start", home=tmp_path, PREFECT_SERVER_API_PORT="http")
    assert ended.returncode == 2
    assert ended.stderr == (
        "lictor: PREFECT_SERVER_API_PORT: 'http' cannot be used, a whole number from 0 to 65535 is expected\n"
    )


def test_a_key_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    ended = lictor("start", "--port", "0", home=tmp_path, PREFECT_SERVER_ENCRYPTION_KEY="secret")
    assert ended.returncode == 1
    assert ended.stderr.startswith("lictor: PREFECT_SERVER_ENCRYPTION_KEY: there is no key in it")


def test_a_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 300}.db"
    ended = lictor("database", "upgrade", "--database", f"sqlite:///{path}", home=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == f"lictor: cannot make the database file {path}: File name too long\n"


@pytest.mark.parametrize("arguments", [["start", "--workers", "0"], ["start", "--port", "x"], ["fly"], []])
def test_what_is_asked_for_wrongly_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    ended = lictor(*arguments, home=tmp_path)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = lictor("start", "--port", str(port), home=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == f"lictor: port {port} on 127.0.0.1 is in use already: choose another with --port\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["start", "--port", "0"], ["database", "upgrade"], ["database", "reset", "--yes"]])
def test_a_database_of_the_reference_is_refused_and_not_touched(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "prefect.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table alembic_version (version_num text)")
    connection.close()
    before = file.read_bytes()
    ended = lictor(*command, "--database", f"sqlite:///{file}", home=tmp_path / "home")
    assert ended.returncode == 1
    assert ended.stderr.startswith("lictor: this database was written by a Prefect server")
    assert len(ended.stderr.splitlines()) == 1
    assert file.read_bytes() == before


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    ended = lictor("database", "upgrade", "--database", f"sqlite:///{tmp_path}/no/where.db", home=tmp_path)
    assert ended.returncode == 2
    assert f"does not exist: {tmp_path}/no" in ended.stderr


def test_upgrade_makes_the_home_directory_and_a_database_in_it(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    first, second = (lictor("database", "upgrade", home=home) for _ in range(2))
    assert re.fullmatch(rf"{home}/lictor\.db: \d+ migrations applied\n", first.stdout)
    assert second.stdout == f"{home}/lictor.db: up to date\n"


def test_upgrade_of_an_empty_database(empty_database_url: str, tmp_path: Path) -> None:
    assert "applied" in lictor("database", "upgrade", "--database", empty_database_url, home=tmp_path).stdout
    database = open_database(empty_database_url)
    assert database.migrate() == 0
    database.close()


def test_reset_asks_and_empties(tmp_path: Path) -> None:
    assert lictor("database", "upgrade", home=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "lictor.db") as connection:
        connection.execute("insert into service_lease values ('a', 'b', 'c')")
    connection.close()
    asked = lictor("database", "reset", home=tmp_path)
    assert (asked.returncode, asked.stderr) == (2, "lictor: --yes is needed where nobody can be asked\n")
    assert lictor("database", "reset", "--yes", home=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "lictor.db") as connection:
        assert connection.execute("select count(*) from service_lease").fetchone() == (0,)
    connection.close()


def test_start_says_where_it_listens_where_its_data_is_and_what_to_paste(server: Server) -> None:
    assert f"prefect config set PREFECT_API_URL={server.api_url}" in server.log
    assert f"listens on 127.0.0.1 port {server.port}" in server.log
    place = server.database.removeprefix("sqlite:///").partition("?")[0]
    assert place.rpartition("/")[2] in server.log
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_start_says_that_clients_need_the_authorization_too_but_not_what_it_is(start_server: StartServer) -> None:
    server = start_server(environment={"PREFECT_SERVER_API_AUTH_STRING": "svc:hunter2"})
    assert "prefect config set PREFECT_API_AUTH_STRING=" in server.log
    assert "hunter2" not in server.log


def test_a_signal_lets_what_is_in_flight_finish(server: Server) -> None:
    answers: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.api_url) as client:
            while True:
                try:
                    answers.append(client.post("/flows/filter", json={}).status_code)
                except httpx.TransportError:
                    return

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    until(lambda: len(answers) > 20)
    assert server.stop() == 0
    for thread in asking:
        thread.join(10)
    assert set(answers) == {200}


def test_an_interrupt_is_a_good_end_too(server: Server) -> None:
    process = server._process
    assert process is not None
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0


def test_workers_share_the_port_are_replaced_and_end_together(start_server: StartServer) -> None:
    server = start_server("--workers", "2")
    assert server.stop() == 0
    until(lambda: _refused(server.port))
    assert "Traceback" not in server.log


def test_no_connection_is_taken_while_workers_finish_what_they_have(start_server: StartServer) -> None:
    server = start_server("--workers", "2")
    body = b'{"name": "late"}'
    head = f"POST /api/flows/ HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(head.encode() + body[:5])
        until(lambda: ask.get(f"{server.api_url}/ready").status_code == 200)  # whoever took this came after the first
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: _refused(server.port), within=4)
        slow.sendall(body[5:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 201")


def test_services_alone_answer_for_their_health(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "lictor", "services", "--port", str(port), "--database", database_url]
    process = subprocess.Popen(command, env=environment({"LICTOR_HOME": str(tmp_path)}))
    try:
        until(lambda: not _refused(port), within=20)
        answer = ask.get(f"http://127.0.0.1:{port}/api/health")
        assert (answer.status_code, answer.json()["stalled"]) == (200, [])
        assert {"late-runs", "dead-runs"} < {service["name"] for service in answer.json()["services"]}
        assert ask.get(f"http://127.0.0.1:{port}/api/ready").status_code == 200
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()


def test_services_are_listed_with_what_is_off(tmp_path: Path) -> None:
    listed = lictor("services", "ls", home=tmp_path, PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED="false")
    assert listed.returncode == 0, listed.stderr
    words = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
    assert ["late-runs", "off"] in [line[:2] for line in words]
    assert ["dead-runs", "every", "15"] in [line[:3] for line in words]


def test_one_round_of_a_service_by_hand(start_server: StartServer, database_url: str, tmp_path: Path) -> None:
    server = start_server(environment={"PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false"})
    flow_id = ask.post(f"{server.api_url}/flows/", json={"name": "f"}).json()["id"]
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
    run_id = ask.post(f"{server.api_url}/flow_runs/", json={"flow_id": flow_id, "state": state}).json()["id"]
    ran = lictor("services", "run", "late-runs", "--database", database_url, home=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "late-runs did 1\n"), ran.stderr
    assert ask.get(f"{server.api_url}/flow_runs/{run_id}").json()["state_name"] == "Late"
    ran = lictor("services", "run", "nothing", home=tmp_path)
    assert ran.returncode == 1
    assert "late-runs" in ran.stderr


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
