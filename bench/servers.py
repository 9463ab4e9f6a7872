"""The two servers as processes of our own: started on a free port, watched, stopped or killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench import processes
from bench.http import Connection
from bench.ports import free_port


class Server:
    """A server process. `log` collects its output over all of its starts."""

    def __init__(self, name: str, command: list[str], home: Path, database: str) -> None:
        self.name, self.home, self.database = name, home, database
        self.host, self.port = "127.0.0.1", free_port()
        self.log = home / "server.log"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 300.0) -> float:
        """Start, wait for the first healthy answer; the seconds from process start until then."""
        begun = time.monotonic()
        command = [part.format(host=self.host, port=self.port, database=self.database) for part in self._command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.home, env=self._environment(), start_new_session=True
            )
        while not healthy(self.host, self.port):
            if not self.alive:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() - begun > timeout:
                self.kill()
                raise TimeoutError(f"{self.name} is not healthy after {timeout:.0f} s:\n{self.tail()}")
            time.sleep(0.005)
        return time.monotonic() - begun

    def terminate(self, timeout: float = 30.0) -> int:
        """SIGTERM as a supervisor sends it, to the main process; the exit code. TimeoutExpired if it does not end."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to the process and all that it started."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self._process.wait(30)

    def stop(self) -> None:
        """End it, gently if it lets us."""
        if self.alive:
            try:
                self.terminate(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def connection(self, timeout: float = 60.0, headers: dict[str, str] | None = None) -> Connection:
        return Connection(self.host, self.port, timeout=timeout, headers=headers)

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        return processes.resident_bytes(self.pid)

    def tail(self, size: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-size:]

    def _environment(self) -> dict[str, str]:
        # Servers run from compiled code, as when they are installed: compiling is no part of a start.
        left_out = ("PREFECT_", "LICTOR_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return kept | {
            "PREFECT_HOME": str(self.home),
            "LICTOR_HOME": str(self.home),
            "PREFECT_API_DATABASE_CONNECTION_URL": self.database,
            # The reference's dashboard asks port 4200 unless it is told otherwise.
            "PREFECT_UI_API_URL": f"http://{self.host}:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }


def lictor(home: Path, database: str | None = None) -> Server:
    """The Lictor that is installed beside the running Python."""
    command = [str(Path(sys.executable).with_name("lictor")), "start", "--host", "{host}", "--port", "{port}"]
    return Server("lictor", [*command, "--database", "{database}"], home, database or sqlite_url(home))


def reference(executable: Path, home: Path, database: str | None = None) -> Server:
    """The reference server, through the `prefect` command of its own environment."""
    command = [str(executable), "server", "start", "--host", "{host}", "--port", "{port}"]
    return Server("reference", command, home, database or sqlite_url(home))


def sqlite_url(home: Path) -> str:
    return f"sqlite+aiosqlite:///{home / 'server.db'}"


def healthy(host: str, port: int) -> bool:
    """Whether GET /api/health answers 200, asked once on a new connection."""
    request = f"GET /api/health HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout=5) as link:
            link.sendall(request.encode())
            return link.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
