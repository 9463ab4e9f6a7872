"""A world for automations: a clock that is moved by hand, events that happen, and the service that follows them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw, Struct

from lictor.automations import store
from lictor.automations.executing import Executor, Outside
from lictor.automations.following import Follower
from lictor.automations.loops import Triggers
from lictor.automations.types import Automation, AutomationCreate
from lictor.db import Database, Tx, sql
from lictor.events import store as events
from lictor.events.types import Event
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock, ids
from lictor.web.codec import decoder

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Happened(Struct):
    event: str
    resource_id: str
    payload: Raw
    occurred: datetime


ALL = sql(
    "test.automations.events",
    Happened,
    "select event, resource_id, payload, occurred from events order by position",
)

_create = decoder(AutomationCreate)


def automation_of(trigger: dict[str, Any], *actions: dict[str, Any], name: str = "a", **more: Any) -> AutomationCreate:
    trigger = {"type": "event", "posture": "Reactive", **trigger}
    return _create(msgspec.json.encode({"name": name, "trigger": trigger, "actions": actions, **more}))


class World:
    def __init__(self, db: Database, outside: Outside | None = None) -> None:
        self.db = db
        self.now = START
        self.names: dict[str, str] = {}
        self.outside = outside or Outside()
        clock.set_source(lambda: self.now)
        self.restart()

    def restart(self) -> None:
        """Another process takes over: what was in memory is gone."""
        executor = Executor(self.db, Orchestration(), self.outside)
        self.service = Triggers(self.db, Follower(self.db), executor, 0.0, gather=0.0)

    def automate(self, trigger: dict[str, Any], *actions: dict[str, Any], name: str = "a", **more: Any) -> Automation:
        made = self.db.write_now(store.insert, automation_of(trigger, *actions, name=name, **more))
        self.names[made.id] = name
        self.round()
        return made

    def happen(self, name: str, resource: str = "r", *, at: float | None = None, **more: Any) -> str:
        """An event that occurs `at` so many seconds from the start (or now) and comes in now; its id."""
        occurred = self.now if at is None else START + timedelta(seconds=at)
        labels = {"prefect.resource.id": resource, **more.pop("labels", {})}
        event = Event(occurred=occurred, event=name, resource=labels, **more)
        self.db.write_now(events.insert, [event], self.now)
        return event.id

    def round(self) -> int:
        return asyncio.run(self.service.run_once())

    def wait(self, seconds: float, step: float = 5.0) -> None:
        """Time passes, with a round every few seconds."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now = min(self.now + timedelta(seconds=step), end)
            self.round()

    def fired(self) -> list[str]:
        """The names of the automations that have fired so far, in order."""
        return [self.names[id.rpartition(".")[2]] for _, id, _ in self.triggered()]

    def told(self, name: str) -> list[dict[str, Any]]:
        """The payloads of the events of a name."""
        return [msgspec.json.decode(happened.payload) for happened in self._events() if happened.event == name]

    def triggered(self) -> list[tuple[int, str, dict[str, Any]]]:
        """For each time that an automation fired: the second since the start, its resource's id, and the payload."""
        return [
            (round((each.occurred - START).total_seconds()), each.resource_id, msgspec.json.decode(each.payload))
            for each in self._events()
            if each.event == "prefect.automation.triggered"
        ]

    def _events(self) -> list[Happened]:
        return self.db.read_now(_events)


def _events(tx: Tx) -> list[Happened]:
    return tx.all(ALL)


def some_id() -> str:
    return ids.new()
