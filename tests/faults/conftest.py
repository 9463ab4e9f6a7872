"""Servers that the tests may kill and databases that they may take away.

Black box: a server is a process, a port and a database beside it. Environment:
LICTOR_FAULT_SCALE      0 (default: quick, for CI) … 1 (the numbers of the acceptance list)
LICTOR_FAULT_REFERENCE  path of a `prefect` command: run against the reference server instead, to prove the drivers
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import servers
from bench.postgres import Postgres
from bench.servers import Server
from tests.faults.place import Place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that the user of PostgreSQL may enter too, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="lictor-faults-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the tests that leave it running; its log is theirs alone, so that they can read it."""
    path = Path(tempfile.mkdtemp(prefix="lictor-faults-pg-"))
    path.chmod(0o755)
    postgres = Postgres(path / "postgres")
    postgres.start()
    yield postgres
    postgres.stop(crash=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, dialect: str, directory: Path) -> Place:
    """A fresh database of each kind."""
    if dialect == "sqlite":
        return Place.on_sqlite(directory)
    return Place.on_postgres(request.getfixturevalue("shared_postgres"))


def only_on(dialect: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--db") not in {dialect, "both"}:
        pytest.skip(f"only on {dialect}")


@pytest.fixture
def on_sqlite(request: pytest.FixtureRequest, directory: Path) -> Place:
    only_on("sqlite", request)
    return Place.on_sqlite(directory)


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest) -> Place:
    only_on("postgres", request)
    return Place.on_postgres(request.getfixturevalue("shared_postgres"))


@pytest.fixture
def own_postgres(request: pytest.FixtureRequest, directory: Path) -> Iterator[Postgres]:
    """An instance that the test may stop."""
    only_on("postgres", request)
    postgres = Postgres(directory / "postgres")
    postgres.start()
    yield postgres
    postgres.stop(crash=True)


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[[Place], Server]]:
    """Start a server on a database; any number of them."""
    started: list[Server] = []

    def start(place: Place) -> Server:
        home = directory / f"server-{len(started)}"
        executable = os.environ.get("LICTOR_FAULT_REFERENCE")
        server = servers.reference(Path(executable), home, place.url) if executable else servers.lictor(home, place.url)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()
