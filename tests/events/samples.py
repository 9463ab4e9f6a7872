"""Events for tests of reading: what a test does not say is made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lictor.db import Database
from lictor.events import store
from lictor.events.types import Event, Labels

AT = datetime(2024, 4, 3, 12, 0, 0, 123456, UTC)
ALL = {"since": "2024-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}


def an_event(name: str = "it.happened", second: float = 0, resource: str = "a.1", **fields: Any) -> Event:
    """`labels` are further ones of its resource, `related` of others by their id."""
    labels: Labels = {"prefect.resource.id": resource} | fields.pop("labels", {})
    related = [
        {"prefect.resource.id": id, "prefect.resource.role": role} | more
        for id, role, more in (one if len(one) == 3 else (*one, {}) for one in fields.pop("related", ()))
    ]
    return Event(occurred=AT + timedelta(seconds=second), event=name, resource=labels, related=related, **fields)


def write(db: Database, *events: Event) -> None:
    db.write_now(store.emit_all, list(events))
