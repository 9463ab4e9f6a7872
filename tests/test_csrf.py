"""CSRF tokens: issued per client, good until they expire or are replaced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import csrf
from lictor.db import Database, sql
from lictor.kit import clock
from lictor.settings import read
from lictor.web.asgi import App

COUNT = sql("test.csrf.count", int, "select count(*) from csrf_token")
ENABLED = read({"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true", "PREFECT_SERVER_CSRF_TOKEN_EXPIRATION": "60"})


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, csrf.router, settings=ENABLED)


def valid(db: Database, token: str, client: str) -> bool:
    async def ask() -> bool:
        return await csrf.checker(db)(token, client)

    return asyncio.run(ask())


def test_without_protection_there_are_no_tokens(db: Database) -> None:
    client = calls.client(db, csrf.router)

    answer = client.get("/csrf-token", params={"client": "c"})

    assert (answer.status, answer.json) == (422, {"detail": "CSRF protection is disabled."})
    assert calls.errors(client.get("/csrf-token")) == [("missing", ["query", "client"])]


def test_a_client_holds_the_last_token_it_got(client: TestClient, db: Database) -> None:
    first = client.get("/csrf-token?client=c").json
    second = client.get("/csrf-token?client=c").json

    assert set(first) == {"id", "created", "updated", "client", "token", "expiration"}
    assert len(first["token"]) == 64
    assert (second["id"], second["created"]) == (first["id"], first["created"])
    assert not valid(db, first["token"], "c")
    assert valid(db, second["token"], "c")
    assert not valid(db, second["token"], "d")
    assert not valid(db, "é", "c")


def test_a_token_expires(client: TestClient, db: Database) -> None:
    token = client.get("/csrf-token?client=c").json["token"]
    later = datetime.now(UTC) + timedelta(seconds=61)

    clock.set_source(lambda: later)

    assert not valid(db, token, "c")
    client.get("/csrf-token?client=d")
    assert db.read_now(lambda tx: tx.one(COUNT)) == 1


def test_an_application_with_the_check_asks_for_a_token(db: Database) -> None:
    app = App([csrf.router], {Database: db, type(ENABLED): ENABLED}, csrf=csrf.checker(db))
    client = TestClient(app)
    token = client.get("/csrf-token?client=c").json["token"]

    assert client.post("/none").json == {"detail": "Missing CSRF token."}
    bad = {"Prefect-Csrf-Token": "x", "Prefect-Csrf-Client": "c"}
    assert client.post("/none", headers=bad).json == {"detail": "Invalid CSRF token or client identifier."}
    assert client.post("/none", headers={**bad, "Prefect-Csrf-Token": token}).status == 404
