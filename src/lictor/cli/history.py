"""`lictor database check` and `retention`: whether the past is counted right, and what of it is kept."""

from __future__ import annotations

import argparse

from lictor import tallies
from lictor.app import keeping
from lictor.cli.database import opened
from lictor.flow_runs import retention
from lictor.kit import clock
from lictor.settings import Settings


def check(settings: Settings, options: argparse.Namespace) -> int:
    """Compare the tallies with the runs; 1 if they differ and were not mended."""
    with opened(settings) as (database, place):
        database.migrate()
        wrong = database.read_now(tallies.check)
        if wrong and options.mend:
            database.write_now(tallies.mend, wrong)
            while database.write_now(tallies.settle, clock.now()):
                pass
    if not wrong:
        print(f"{place}: the tallies are what the runs say")
        return 0
    quarters = f"{len(wrong)} quarters of an hour, from {wrong[0]:%Y-%m-%d %H:%M} on"
    print(f"{place}: {quarters}, were counted wrongly" + (" and are counted anew" if options.mend else ""))
    return 0 if options.mend else 1


def preview(settings: Settings, options: argparse.Namespace) -> int:
    """Say what is past its time, and touch nothing."""
    vacuum = settings.services.db_vacuum
    with opened(settings) as (database, place):
        database.migrate()
        found = retention.preview(database, keeping(settings), clock.now())
    print(
        f"{place}: {found.runs} flow runs are past their time, with {found.task_runs} task runs, {found.states} states "
        f"and {found.logs} log lines"
    )
    if "flow_runs" not in vacuum.enabled:
        print("they are kept: PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED does not name flow_runs")
    return 0
