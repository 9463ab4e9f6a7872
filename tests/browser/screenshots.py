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

PAGES = {
    "dashboard": "/v2/dashboard",
    "runs": "/v2/runs",
    "run": "/v2/runs/flow-run/{green-heron}",
    "deployment": "/v2/deployments/deployment/{deployment}",
    "work-pools": "/v2/work-pools",
    "automations": "/v2/automations",
    "events": "/v2/events",
    "concurrency": "/v2/concurrency-limits",
    "v1-dashboard": "/dashboard",
}


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
            with chromium(Path(place)) as browser, browser.tab() as tab:
                for name, page in PAGES.items():
                    tab.goto(server.url + filled_in(page, world))
                    tab.settles()
                    tab.screenshot(target / f"{name}.png")
        finally:
            server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if sys.argv[1:] else "docs/screenshots")))
