"""The reference and Lictor as subprocesses on free ports, quiet: services that change runs by themselves are off."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from tests.asking import ask

START_SECONDS = 240.0  # the reference on a busy machine
STOP_SECONDS = 15.0
REFERENCE = "prefect==3.9.1"

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED": "false",
}

# No scenario reads events back; storing them competes with the requests for the reference's database.
QUIETER = {
    **QUIET,
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


@contextlib.contextmanager
def reference(executable: str, env: Mapping[str, str]) -> Iterator[str]:
    """The URL (…/api) of a reference server with a database of its own, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="parity-") as home:
        port = free_port()
        command = [executable, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with _running(command, port, {**QUIETER, "PREFECT_HOME": home, **env}, Path(home) / "log") as url:
            yield url


@contextlib.contextmanager
def lictor(database: str | None, env: Mapping[str, str]) -> Iterator[str]:
    """The URL (…/api) of a Lictor server on this database URL; None: a SQLite file of its own."""
    with tempfile.TemporaryDirectory(prefix="parity-") as home:
        port = free_port()
        target = database or f"sqlite:///{home}/lictor.db"
        executable = Path(sys.executable).with_name("lictor")
        command = [str(executable), "start", "--host", "127.0.0.1", "--port", str(port), "--database", target]
        with _running(command, port, {**QUIET, "PREFECT_HOME": home, **env}, Path(home) / "log") as url:
            yield url


def reference_executable() -> str:
    """`LICTOR_REFERENCE`, else the `prefect` of a virtual environment that is made for it once."""
    given = os.environ.get("LICTOR_REFERENCE")
    if given:
        return given
    folder = Path(tempfile.gettempdir()) / f"lictor-{REFERENCE.replace('==', '-')}"
    executable = folder / "bin" / "prefect"
    if not executable.exists():
        _make_environment(folder)
    return str(executable)


def _make_environment(folder: Path) -> None:
    # The reference pins a certifi that not every mirror carries; any certifi will do.
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    override = folder.with_suffix(".override")
    override.write_text("certifi\n", encoding="utf-8")
    subprocess.run([uv, "venv", "--python", "3.11", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--python", python, "--override", str(override), REFERENCE], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int, env: Mapping[str, str], log: Path) -> Iterator[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**inherited, **env}, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}/api"
            _wait_until_healthy(url, process, log)
            yield url
        finally:
            _stop(process)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if ask.get(f"{url}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    text = log.read_text(encoding="utf-8", errors="replace")[-4000:]
    raise RuntimeError(f"no healthy server at {url} (exit code {process.poll()}):\n{text}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
