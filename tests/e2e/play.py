"""Runs one script against a server, compares it with its recording and prints the difference.

python -m tests.e2e.play fanout --api http://127.0.0.1:4200/api
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import tempfile
import time
from pathlib import Path

from . import scripts
from .collect import Collector, Json
from .snapshot import snapshot

RECORDED = Path(__file__).parent / "recorded"
PATIENCE = 15.0


def recorded(script: str) -> Json:
    document: Json = json.loads((RECORDED / f"{script}.json").read_text())
    return document


def play(script: str, api: str, home: Path, patience: float = PATIENCE) -> tuple[Json, scripts.Outcome]:
    """Runs the script and reads its runs, again until they are as recorded or the time is over."""
    expected = recorded(script)
    with Collector(api, script) as collector:
        outcome = scripts.run(scripts.FOLDER / f"{script}.py", api, home)
        # A script that failed has not made everything: there is nothing to wait for.
        deadline = time.monotonic() + (patience if outcome.code == expected["exit_code"] else 0)
        while True:
            counts = collector.wait_for(expected["counts"], deadline - time.monotonic())
            found = snapshot(collector.everything(), outcome, api, counts)
            if found == expected or time.monotonic() > deadline:
                return found, outcome
            time.sleep(0.5)


def difference(script: str, found: Json) -> str:
    """A unified difference from the recording, empty if there is none."""
    before, after = (pretty(document).splitlines() for document in (recorded(script), found))
    return "\n".join(difflib.unified_diff(before, after, "reference", "found", lineterm="", n=6))


def pretty(document: Json) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.play", description=__doc__)
    parser.add_argument("scripts", nargs="*", default=list(scripts.NAMES), metavar="script")
    parser.add_argument("--api", required=True, help="PREFECT_API_URL of the server under test")
    options = parser.parse_args()
    failed = 0
    for script in options.scripts:
        with tempfile.TemporaryDirectory() as home:
            began = time.monotonic()
            found, outcome = play(script, options.api, Path(home))
        told = difference(script, found)
        failed += bool(told)
        verdict = "differs" if told else "as recorded"
        sys.stdout.write(f"{script}: {verdict} in {time.monotonic() - began:.0f} s\n{told}\n")
        sys.stdout.flush()
        if told and outcome.code != 0:
            sys.stdout.write(f"{outcome.stderr[-4000:]}\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
