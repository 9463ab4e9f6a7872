"""Servers for the replay: one for each database and settings, kept for the whole session.

`LICTOR_PARITY_URL=http://…/api` replays against a server that runs already, whatever its database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from tests.databases import Postgres

from .servers import lictor

Connect = Callable[[str, dict[str, str]], httpx.Client]


@pytest.fixture(scope="session")
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """A client of a server with this database ("sqlite", "postgres") and these settings."""
    clients: dict[str, httpx.Client] = {}
    with ExitStack() as stack:

        def client(dialect: str, env: dict[str, str]) -> httpx.Client:
            key = f"{dialect} {sorted(env.items())}"
            if key not in clients:
                url = os.environ.get("LICTOR_PARITY_URL") or _started(stack, request, dialect, env)
                clients[key] = stack.enter_context(httpx.Client(base_url=url, timeout=30))
            return clients[key]

        yield client


@pytest.fixture(autouse=True)
def _one_server_only(request: pytest.FixtureRequest) -> None:
    if "LICTOR_PARITY_URL" not in os.environ or "group" not in request.fixturenames:
        return
    if request.getfixturevalue("group").env or request.getfixturevalue("dialect") != "sqlite":
        pytest.skip("LICTOR_PARITY_URL has one server with the default settings")


def _started(stack: ExitStack, request: pytest.FixtureRequest, dialect: str, env: dict[str, str]) -> str:
    database = None
    if dialect == "postgres":
        postgres: Postgres = request.getfixturevalue("_postgres")
        database = postgres.create(migrated=False)
    return stack.enter_context(lictor(database, env))
