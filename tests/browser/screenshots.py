"""Pictures of the main pages: `python -m tests.browser.screenshots [directory]` (docs/screenshots).

A server of its own is filled with a little of everything; `LICTOR_UI_DIR` names other dashboards than those installed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.processes import Server

from lictor.dashboard import finding
from lictor.settings import read

from . import world as worlds
from .chromium import chromium, executable
from .conftest import filled_in
from .world import World

# The name of the picture, the page, and what must be readable on it.
PAGES = (
    ("runs", "/v2/runs", "Flow runs"),
    ("run", "/v2/runs/flow-run/{green-heron}", "line 4"),
    ("deployment", "/v2/deployments/deployment/{deployment}", "At 03:00 AM"),
    ("work-pools", "/v2/work-pools", "demo-pool"),
    ("automations", "/v2/automations", "demo-automation"),
    ("events", "/v2/events", "prefect.flow-run."),
    ("concurrency", "/v2/concurrency-limits", "demo-limit"),
    ("v1-dashboard", "/dashboard", "Active Work Pools"),
    # Last, and with patience: v2 counts up to the last full minute.
    ("dashboard", "/v2/dashboard", "sync-customers"),
)
MINUTE = 120.0
FLOWS = ("daily-report", "train-model", "sync-customers")
ENDS = ("COMPLETED", "COMPLETED", "FAILED", "COMPLETED", "CRASHED", "COMPLETED")


def main(target: Path) -> int:
    named = os.environ.get("LICTOR_UI_DIR")
    found = finding.within(Path(named), "") if named else finding.find(read({}))
    if executable() is None or found is None:
        sys.stderr.write("a Chromium and a dashboard are needed\n")
        return 1
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        flags = ("--ui-dir", str(next(iter(found.bundles.values())).parent))
        server = Server(Path(place), f"sqlite:///{place}/lictor.db", flags, {})
        server.start()
        try:
            world = worlds.build(server.api_url)
            more(world)
            with chromium(Path(place)) as browser, browser.tab() as tab:
                for name, page, text in PAGES:
                    tab.goto(server.url + filled_in(page, world))
                    tab.until(lambda text=text: text in tab.text, f"{text!r} is not there", MINUTE)  # type: ignore[misc]
                    tab.settles()
                    tab.settles()  # what is drawn once everything is there
                    tab.screenshot(target / f"{name}.png")
        finally:
            server.end()
    return 0


def more(world: World) -> None:
    """Runs of other flows, with names of their own."""
    for name in FLOWS:
        flow = world.post("/flows/", {"name": name})["id"]
        for end in ENDS:
            run = world.post("/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}, "tags": ["production"]})[
                "id"
            ]
            for state in ("RUNNING", end):
                world.set_state("flow_runs", run, state)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if sys.argv[1:] else "docs/screenshots")))
