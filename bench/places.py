"""Filled databases that are kept in a directory: each is made once, and asked and written to any number of times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench import copying, filling, report
from bench.measure import Opponent
from bench.postgres import Postgres
from bench.servers import Server, lictor, reference
from lictor import tallies
from lictor.db import open_database
from lictor.events import tallies as event_tallies
from lictor.kit import clock


class Place:
    """The directory; the PostgreSQL instance in it runs from its first use on, until `stack` ends."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack, executable: Path | None = None) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # PostgreSQL may run as another user
        self._stack = stack
        self._executable = executable
        self._instance: Postgres | None = None

    @contextlib.contextmanager
    def served(self, kind: str, size: int) -> Iterator[Opponent]:
        """A running server with so many flow runs; `kind` is `sqlite`, `postgres` or `reference`."""
        home = self.directory / f"{kind}-{size}"
        home.mkdir(exist_ok=True)
        server = self._reference(home, size) if kind == "reference" else lictor(home, made(self._url(kind, size), size))
        try:
            server.start()
            yield Opponent(server, size, self._instance if kind == "postgres" else None)
        finally:
            server.stop()

    def _reference(self, home: Path, size: int) -> Server:
        assert self._executable is not None
        server = reference(self._executable, home)
        copying.copy(made(self._url("sqlite", size), size), server)
        return server

    def _url(self, kind: str, size: int) -> str:
        if kind == "sqlite":
            home = self.directory / f"sqlite-{size}"
            home.mkdir(exist_ok=True)
            return f"sqlite:///{home / 'server.db'}"
        if self._instance is None:
            self._instance = Postgres(self.directory / "postgres")
            self._stack.callback(self._instance.stop)
            self._instance.start()
        return self._instance.created(f"runs_{size}")


def made(url: str, size: int) -> str:
    """The URL of a database that is filled, and whose tallies are settled."""
    db = open_database(url)
    try:
        db.migrate()
        if size and not db.read_now(filling.is_filled):
            filling.fill(db, size, report.say)
        while db.write_now(tallies.settle, clock.now()) or db.write_now(event_tallies.fold, filling.CHUNK):
            pass
        db.write_now(filling.gather_statistics)
    finally:
        db.close()
    return url
