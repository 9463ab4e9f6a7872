"""The enabled automations in memory, as they stood at a revision: what `following` holds events against."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Raw, Struct

from lictor.automations.matching import Index, Watch
from lictor.automations.store import COLUMNS, load_trigger
from lictor.automations.triggers import Composite, EventTrigger, Trigger
from lictor.automations.types import Automation
from lictor.db import Tx, sql


class Progress(Struct):
    """How far the event log has been read, and at which revision the automations are."""

    revision: int
    turn: int
    position: int
    gaps: list[int]
    looked: datetime


class Row(Struct):
    since_position: int
    id: str
    created: datetime
    updated: datetime
    name: str
    description: str
    enabled: bool
    tags: list[str]
    trigger: Raw
    actions: Raw
    actions_on_trigger: Raw
    actions_on_resolve: Raw

    def automation(self) -> Automation:
        return Automation(**{name: getattr(self, name) for name in Automation.__struct_fields__})


PROGRESS = sql(
    "automations.progress",
    Progress,
    "select revision, turn, position, gaps, looked from automation_progress where id = 1",
)
LOCK = sql("automations.lock_progress", Progress, f"{PROGRESS.text} {{for_update}}")
ENABLED = sql(
    "automations.enabled", Row, f"select a.since_position, {COLUMNS} from automation a where a.enabled order by a.id"
)


class Watched(Struct):
    """An enabled automation with its trigger, and which trigger within it stands within which."""

    automation: Automation
    trigger: Any
    parents: dict[str, Any]


class Watchlist:
    """Every enabled automation at one revision."""

    def __init__(self, revision: int, rows: list[Row]) -> None:
        self.revision = revision
        self.automations: dict[str, Watched] = {}
        self.watches: dict[str, Watch] = {}
        for row in rows:
            self._add(row)
        self.index = Index(self.watches.values())

    def _add(self, row: Row) -> None:
        trigger = load_trigger(row.trigger)
        self.automations[row.id] = Watched(row.automation(), trigger, parents(trigger))
        for each in trigger.all():
            if isinstance(each, EventTrigger):
                self.watches[str(each.id)] = Watch(row.id, row.since_position, each)


def parents(trigger: Trigger) -> dict[str, Composite]:
    """By the id of each trigger within, the one that it stands in."""
    found: dict[str, Composite] = {}
    for each in trigger.all():
        if isinstance(each, Composite):
            found.update((str(child.id), each) for child in each.triggers)
    return found


def read_progress(tx: Tx) -> Progress | None:
    """None while there has never been an automation."""
    return tx.one(PROGRESS)


def lock(tx: Tx, revision: int) -> Progress | None:
    """Keep the automations as they are until the commit; None if they are no longer those of this revision."""
    progress = tx.one(LOCK)
    return None if progress is None or progress.revision != revision else progress


def read_watchlist(tx: Tx, revision: int) -> Watchlist:
    return Watchlist(revision, tx.all(ENABLED))
