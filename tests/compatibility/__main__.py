"""Tries releases of the SDK against a Lictor of their own and writes docs/compatibility.md.

python -m tests.compatibility [release …]      without a release: all, and the page is written
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from tests.parity.servers import lictor

from .environments import RELEASES, environment
from .trials import TRIALS, Bench

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
INTRODUCTION = """\
# Which releases of the SDK work

Each release runs in a virtual environment of its own against a Lictor on SQLite: a *flow* with tasks, a retry, `.map`,
a subflow and logs; `.serve()` with a schedule; and a *worker* (`flow.deploy`, then `prefect worker start`). It counts
when all runs, task runs and logs are what they should be. `python -m tests.compatibility` makes this page.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("releases", nargs="*", default=list(RELEASES))
    releases = parser.parse_args().releases
    rows = [(release, tried(release)) for release in releases]
    if tuple(releases) == RELEASES:
        PAGE.write_text(page(rows), encoding="utf-8")
    return int(any(outcome != "yes" for _, row in rows for outcome in row))


def tried(release: str) -> list[str]:
    """What became of each trial: "yes", or what went wrong."""
    place = environment(release)
    if place is None:
        return ["does not install"] * len(TRIALS)
    outcomes = []
    for name, trial in TRIALS.items():
        with tempfile.TemporaryDirectory() as home, lictor(None, AS_BY_DEFAULT) as api:
            try:
                trial(Bench(place, f"{api}/", Path(home)))
                outcome = "yes"
            except (AssertionError, subprocess.SubprocessError) as error:
                outcome = "no"
                sys.stdout.write(f"{error}\n")
        outcomes.append(outcome)
        sys.stdout.write(f"{release} {name}: {outcome}\n")
        sys.stdout.flush()
    return outcomes


# The parity tests switch services off; here they run as they do for users.
AS_BY_DEFAULT = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
}


def page(rows: list[tuple[str, list[str]]]) -> str:
    lines = [f"| {release} | {' | '.join(row)} |" for release, row in rows]
    head = f"| SDK | {' | '.join(TRIALS)} |\n|---|{'---|' * len(TRIALS)}"
    return f"{INTRODUCTION}\nTried on {date.today()}:\n\n{head}\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
