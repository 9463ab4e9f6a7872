"""For the tests of a concept's routes: an application of one router on a test's database, and the events it wrote."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.web.client import TestClient

from lictor.db import Database, sql
from lictor.flows import Going
from lictor.settings import Settings
from lictor.web import Router
from lictor.web.asgi import App

EVENTS = sql("test.calls.events", None, "select event, resource_id, resource, payload from events order by position")
NOWHERE = "00000000-0000-4000-8000-000000000000"


def client(db: Database, *routers: Router, settings: Settings | None = None, **services: Any) -> TestClient:
    """`services` are by name, which does not matter: they are bound by their type."""
    bound = {Database: db, Settings: settings or Settings(), Going: Going()}
    bound |= {type(service): service for service in services.values()}
    return TestClient(App(list(routers), bound))


def event_names(db: Database) -> list[str]:
    return [row[0] for row in db.read_now(lambda tx: tx.all(EVENTS))]


def last_event(db: Database) -> dict[str, Any]:
    event, resource_id, resource, payload = db.read_now(lambda tx: tx.all(EVENTS))[-1]
    return {
        "event": event,
        "id": resource_id,
        "resource": msgspec.json.decode(resource),
        "payload": msgspec.json.decode(payload),
    }


def errors(answer: Any) -> list[tuple[str, list[Any]]]:
    """Type and place of each error of a 422."""
    assert answer.status == 422, answer
    return [(one["type"], one["loc"]) for one in answer.json["exception_detail"]]
