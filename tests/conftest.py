"""What all tests share: both databases, and servers of their own.

`--db sqlite`, `--db postgres` or `--db both` (the default) chooses what `database_url`, `db` and `server` run on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from tests.databases import Postgres, Sqlite
from tests.processes import Server

from lictor.db import Database, open_database
from lictor.kit import clock

DIALECTS = ("sqlite", "postgres")
HERE = Path(__file__).parent
SLOW = ("e2e", "faults", "browser", "parity", "web/test_schemathesis.py")

# A run that was started in the background ignores SIGINT, and so would what it starts, some of which is ended by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=[*DIALECTS, "both"], default="both", help="database to run on (both)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dialect" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--db")
        only = metafunc.definition.get_closest_marker("only_on")
        dialects = [dialect for dialect in DIALECTS if only is None or dialect in only.args]
        metafunc.parametrize("dialect", dialects if chosen == "both" else [one for one in dialects if one == chosen])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with few but slow tests come first, so that in the end no worker is left alone with them."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(HERE / place) for place in SLOW))


@pytest.fixture(autouse=True)
def _clock_is_the_system_s() -> Iterator[None]:
    yield
    clock.reset()


@pytest.fixture(scope="session")
def _postgres() -> Postgres:
    # All workers of one run under pytest-xdist name the same directory, and so share one PostgreSQL.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    return Postgres(Path(tempfile.gettempdir()) / f"lictor-tests-{run}")


@pytest.fixture(scope="session")
def _sqlite(tmp_path_factory: pytest.TempPathFactory) -> Sqlite:
    return Sqlite(tmp_path_factory.mktemp("sqlite"))


@contextlib.contextmanager
def _database(request: pytest.FixtureRequest, dialect: str, directory: Path, *, migrated: bool) -> Iterator[str]:
    if dialect == "sqlite":
        sqlite: Sqlite = request.getfixturevalue("_sqlite")
        yield sqlite.create(directory, migrated=migrated)
        return
    postgres: Postgres = request.getfixturevalue("_postgres")
    url = postgres.create(migrated=migrated)
    try:
        yield url
    finally:
        postgres.drop(url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    with _database(request, dialect, tmp_path, migrated=True) as url:
        yield url


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """A database without tables; on SQLite, a file that is not there yet."""
    with _database(request, dialect, tmp_path, migrated=False) as url:
        yield url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A fresh, migrated, open database of each kind."""
    database = open_database(database_url)
    yield database
    database.close()


class StartServer(Protocol):
    """Starts a server on the test's database, with further flags and variables."""

    def __call__(self, *args: str, environment: Mapping[str, str] | None = None) -> Server: ...


@pytest.fixture
def start_server(database_url: str, tmp_path: Path) -> Iterator[StartServer]:
    """Any number of servers on the test's database; what still runs at the end is stopped."""
    servers: list[Server] = []

    def start(*args: str, environment: Mapping[str, str] | None = None) -> Server:
        server = Server(tmp_path, database_url, args, environment or {})
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.end()


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """A server that is healthy, on a fresh database of each kind."""
    return start_server()
