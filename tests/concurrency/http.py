"""Concurrency limits over HTTP, for tests, with a clock that stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.calls import client
from tests.web.client import TestClient

from lictor.concurrency import routes, tag_routes
from lictor.concurrency.slots import Waits
from lictor.db import Database
from lictor.db.statement import composed

START = datetime(2026, 1, 1, tzinfo=UTC)


class Api:
    """The routes, with a clock that stands still until it is moved."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = START
        self.http: TestClient = client(db, routes.router, tag_routes.router, waits=Waits())

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/v2/concurrency_limits/{path}", json=body)

    def limit(self, name: str = "a", limit: int = 1, **more: Any) -> str:
        answer = self.post("", name=name, limit=limit, **more)
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def read(self, name: str = "a") -> Any:
        return self.http.get(f"/v2/concurrency_limits/{name}").json

    def taken(self, name: str = "a") -> int:
        return int(self.read(name)["active_slots"])

    def take(self, *names: str, slots: int = 1, **more: Any) -> Any:
        return self.post("increment-with-lease", names=list(names or "a"), slots=slots, **more)

    def lease(self, *names: str, **more: Any) -> str:
        answer = self.take(*names, **more)
        assert answer.status == 200, answer
        return str(answer.json["lease_id"])

    def renew(self, lease: str, seconds: float = 300) -> int:
        return int(self.post(f"leases/{lease}/renew", lease_duration=seconds).status)

    def give_back(self, lease: str) -> None:
        assert self.post("decrement-with-lease", lease_id=lease).status == 204


def value(db: Database, text: str, **params: Any) -> Any:
    """The first column of the first row."""
    return db.read_now(lambda tx: tx.value(composed(None, text), **params))


def run(db: Database, text: str, **params: Any) -> int:
    return db.write_now(lambda tx: tx.run(composed(None, text), **params))
