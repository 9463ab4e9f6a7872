"""Tallies: how many runs there were and how they ended, counted once for each quarter of an hour that is over.

Counts and histories over months must not read a million runs. Runs are put into *slots*, the quarters of an hour of
their expected start. A slot in which every run is over is *settled*: what there is to say of it stands in
`flow_run_tally`, or `task_run_tally`, and a question reads that instead of the runs. What is not settled is read from
the runs themselves, so an answer is always exact:

    ─── slots before the frontier ──────────────────────────────▶│◀── the last two hours and the future
    settled │ settled │ unsettled │ settled │ settled │ …        │
     tally  │  tally  │  its runs │  tally  │  tally  │          │   their runs

The service `tallies` moves the frontier and settles again what has changed. A slot before the frontier is unsettled for
one of two reasons, each a row in `…_unsettled`: it is *open* (a run in it is not over), or it was *touched*:
whoever inserts, deletes, ends or revives a run whose expected start is more than an hour ago says so in the same
transaction (`touch`). Such changes are rare, so a transition costs nothing here as a rule. The frontier stays two hours
behind, an hour more than the touching needs, so neither clocks nor long transactions can come between.

With several writers (PostgreSQL) a mark may commit after the round that settles its slot has looked: then it is
there afterwards, and unsettles the slot. The round deletes only the marks that it saw, before it reads the runs: so
what a deleted mark told of is in what is read. Marks are only ever added, which locks nobody.

`ledger` is what both kinds of runs share; what is known of each, and asked, is in `flow_runs` and `task_runs`. Those of
flow runs are added up by day as well (`days`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.loops import Service
from lictor.tallies import flow_runs, task_runs
from lictor.tallies.flow_runs import touch, touch_flow_runs, touch_runs
from lictor.tallies.slots import MOST_SLOTS, TOUCHED_AFTER
from lictor.tallies.task_runs import touch_task, touch_task_runs

LEDGERS = (flow_runs.LEDGER, task_runs.LEDGER)


class Miscounted(NamedTuple):
    """A slot whose tallies are not what its runs say."""

    runs: str
    slot: datetime


def settle(tx: Tx, now: datetime) -> int:
    """Settle what is over, and again what has changed; how many slots were counted."""
    return sum(ledger.settle(tx, now) for ledger in LEDGERS)


def check(tx: Tx) -> list[Miscounted]:
    """What the tallies have wrong. There should never be anything."""
    return [Miscounted(ledger.name, slot) for ledger in LEDGERS for slot in ledger.check(tx)]


def mend(tx: Tx, wrong: Iterable[Miscounted]) -> None:
    """Have slots counted again."""
    found = list(wrong)
    for ledger in LEDGERS:
        ledger.mend(tx, [one.slot for one in found if one.runs == ledger.name])


class Tallier(Service):
    """Settles what is over, and again what has changed."""

    name = "tallies"
    batch = MOST_SLOTS

    def __init__(self, db: Database, interval: float = 30.0) -> None:
        super().__init__(interval)
        self._db = db

    async def run_once(self) -> int:
        return await self._db.write(settle, clock.now())


__all__ = [
    "TOUCHED_AFTER",
    "Miscounted",
    "Tallier",
    "check",
    "flow_runs",
    "mend",
    "settle",
    "task_runs",
    "touch",
    "touch_flow_runs",
    "touch_runs",
    "touch_task",
    "touch_task_runs",
]
