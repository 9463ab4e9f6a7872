"""Real `lictor` processes for tests, started on a free port and watched with deadlines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
from tests.asking import ask

T = TypeVar("T")


def until(condition: Callable[[], T], *, within: float = 30.0, every: float = 0.02) -> T:
    """What the condition returns once it is true; AssertionError when it is not in time."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within:g} s: {getattr(condition, '__name__', condition)}")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what configures a server or client, and with `extra`.

    Servers are compiled, as when they are installed: else each start would compile them.
    """
    left_out = ("PREFECT_", "LICTOR_", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return own | dict(extra or {})


class Server:
    """A `lictor start` of its own; `log` is everything that it printed."""

    def __init__(self, directory: Path, database: str, args: Sequence[str], extra: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = f"{self.url}/api"
        self.database = database
        self._log = directory / f"server-{self.port}.log"
        self._command = [sys.executable, "-m", "lictor", "start", "--port", str(self.port), "--database", database]
        self._command += args
        self._environment = environment({"LICTOR_HOME": str(directory / "home"), **extra})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, *, within: float = 60.0) -> None:
        """Start, also again after an end, and wait until it is healthy."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        try:
            until(self._healthy_or_ended, within=within)
        except AssertionError:
            self.kill()
            raise
        assert self._process.poll() is None, f"ended with {self._process.returncode}:\n{self.log}"

    def stop(self, *, within: float = 15.0) -> int:
        """SIGTERM; the exit code. subprocess.TimeoutExpired when it does not end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(within)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def end(self) -> None:
        """Stop it if it still runs, in whatever way it takes."""
        if self._process is None or self._process.poll() is not None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()

    def _healthy_or_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            return ask.get(f"{self.api_url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
