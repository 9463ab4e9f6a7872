"""`lictor database check` and `retention`: whether the past is counted right, and what of it is kept."""

from __future__ import annotations

import argparse
from datetime import datetime

from lictor import tallies
from lictor.app import keeping
from lictor.cli.database import opened
from lictor.db import Database
from lictor.events import naming
from lictor.events import tallies as event_tallies
from lictor.flow_runs import purging, retention
from lictor.kit import clock
from lictor.settings import Settings


def check(settings: Settings, options: argparse.Namespace) -> int:
    """Compare the tallies with the runs and the events; 1 if they differ and were not mended."""
    with opened(settings) as (database, place):
        database.migrate()
        runs = _check_runs(database, options.mend)
        events = _check_events(database, options.mend)
        names = _check_names(database, options.mend)
    outcome = " and are counted anew" if options.mend else ""
    if runs:
        quarters = f"{len(runs)} quarters of an hour and days, from {runs[0]:%Y-%m-%d %H:%M} on"
        print(f"{place}: {quarters}, were counted wrongly{outcome}")
    if events:
        slots = f"{len(events)} quarters of an hour and days, from {events[0]:%Y-%m-%d %H:%M} on"
        print(f"{place}: the events of {slots}, were counted wrongly{outcome}")
    if names:
        forgotten = " and are forgotten" if options.mend else ""
        print(f"{place}: {names} mentions of resources by events stood beside another event's name{forgotten}")
    if not runs and not events and not names:
        print(f"{place}: the tallies are what the runs and the events say")
        return 0
    return 0 if options.mend else 1


def _check_runs(database: Database, mend: bool) -> list[datetime]:
    wrong = database.read_now(tallies.check)
    if wrong and mend:
        database.write_now(tallies.mend, wrong)
        while database.write_now(tallies.settle, clock.now()):
            pass
    return sorted({each.slot for each in wrong})


def _check_events(database: Database, mend: bool) -> list[datetime]:
    wrong = database.read_now(event_tallies.check)
    if wrong and mend:
        database.write_now(event_tallies.mend, wrong)
    return sorted(each.slot for each in wrong)


def _check_names(database: Database, mend: bool) -> int:
    wrong = database.read_now(naming.check)
    if wrong and mend:
        database.write_now(naming.mend)
    return wrong


def preview(settings: Settings, options: argparse.Namespace) -> int:
    """Say what is past its time, and touch nothing."""
    vacuum = settings.services.db_vacuum
    with opened(settings) as (database, place):
        database.migrate()
        found = retention.preview(database, keeping(settings), clock.now())
        left = database.read_now(purging.left)
    print(
        f"{place}: {found.runs} flow runs are past their time, with {found.task_runs} task runs, {found.states} states "
        f"and {found.logs} log lines"
    )
    if left:
        print(f"{left} runs of deleted flows, or withdrawn before they began, still have to go")
    if "flow_runs" not in vacuum.enabled:
        print("they are kept: PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED does not name flow_runs")
    return 0
