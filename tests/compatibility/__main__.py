"""Tries releases of the SDK against a Lictor of their own and writes down in docs/compatibility.md what became of it.

python -m tests.compatibility [release …]      without a release: all; the rows of the others stay as they are
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

from tests.parity.servers import lictor, reference, reference_executable

from .environments import RELEASES, environment
from .trials import TRIALS, Bench

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
INTRODUCTION = """\
# Which releases of the SDK work

Each release (the newest patch release of each minor) runs in a virtual environment of its own against a Lictor on
SQLite: a *flow* with tasks, a retry, `.map`, a subflow and logs; `.serve()` with a schedule; and a *worker*
(`flow.deploy`, then `prefect worker start`). It counts when all runs, task runs and logs are what they should be. What
does not work is tried against the reference (`prefect==3.9.1`) too, and the table says what came of it there.

`python -m tests.compatibility` makes this page; with releases as arguments it tries those and leaves the other rows
alone.
"""
# The parity tests switch services off; here they run as they do for users.
AS_BY_DEFAULT = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "true",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("releases", nargs="*", default=list(RELEASES))
    releases: list[str] = parser.parse_args().releases
    rows = written()
    for release in releases:
        rows[release] = [*tried(release), str(date.today())]
        PAGE.write_text(page(rows), encoding="utf-8")
    return int(any(outcome != "yes" for release in releases for outcome in rows[release][:-1]))


def tried(release: str) -> list[str]:
    """What became of each trial: "yes", or where it did not work."""
    place = environment(release)
    if place is None:
        return ["does not install"] * len(TRIALS)
    outcomes = []
    for name in TRIALS:
        wrong = on_a_server(lambda: lictor(None, AS_BY_DEFAULT), name, place)
        said(f"{release} {name}: {wrong or 'yes'}")
        outcome = "yes" if wrong is None else f"no ({on_the_reference(name, place)})"
        outcomes.append(outcome)
    return outcomes


def on_the_reference(trial: str, place: Path) -> str:
    try:
        wrong = on_a_server(lambda: reference(reference_executable(), AS_BY_DEFAULT), trial, place)
    except RuntimeError:
        return "the reference did not start"
    said(f"with the reference: {wrong or 'yes'}")
    return "the reference: yes" if wrong is None else "nor with the reference"


def on_a_server(start: Callable[[], AbstractContextManager[str]], trial: str, place: Path) -> str | None:
    """None, or what went wrong."""
    with tempfile.TemporaryDirectory() as home, start() as api:
        try:
            TRIALS[trial](Bench(place, f"{api}/", Path(home)))
        except (AssertionError, subprocess.SubprocessError) as error:
            return str(error)
    return None


def said(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def written() -> dict[str, list[str]]:
    """The rows that the page has: release, then its outcomes and the day."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| 3.")]
    return {row[0]: row[1:] for row in cells}


def page(rows: dict[str, list[str]]) -> str:
    ordered = sorted(rows, key=lambda release: [int(part) for part in release.split(".")], reverse=True)
    lines = [f"| {release} | {' | '.join(rows[release])} |" for release in ordered]
    head = f"| SDK | {' | '.join(TRIALS)} | tried on |\n|---|{'---|' * len(TRIALS)}---|"
    return f"{INTRODUCTION}\n{head}\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
