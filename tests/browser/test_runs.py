"""What people do with runs on the pages of v2: cancel one, cancel and delete fifty."""

from __future__ import annotations

import json

import pytest

from .chromium import Tab
from .conftest import faults
from .world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.flaky(reruns=1)]

MANY = 50

# As many as the browser lets through at once, as v2 does when it deletes what is selected.
CANCEL = """(paths) => Promise.all(paths.map((path) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ state: { type: "CANCELLING" } }),
}).then((answer) => answer.status)))"""


def test_a_run_is_cancelled(tab: Tab, site: str, world: World) -> None:
    run = f"/flow_runs/{world.ids['deployed']}"
    world.set_state("flow_runs", world.ids["deployed"], "RUNNING")
    tab.goto(f"{site}/v2/runs/flow-run/{world.ids['deployed']}")
    tab.sees("swift-hare", "Running")
    tab.click("text=Open menu")
    tab.click("text=Cancel")
    tab.sees("Are you sure")
    tab.click("[role=dialog] button:last-of-type, [role=alertdialog] button:last-of-type")
    tab.until(lambda: world.api.get(run).json()["state_type"].startswith("CANCELL"), "the run goes on")
    tab.sees("Cancell")
    assert faults(tab, site) == []


def test_fifty_runs_are_cancelled_at_once_and_deleted_together(tab: Tab, site: str, world: World) -> None:
    ids = [world.run(f"one-of-many-{number}", "RUNNING", tags=["many"]) for number in range(MANY)]
    tab.goto(f"{site}/v2/runs?limit=100&tags=many")
    tab.sees(f"{MANY} Flow runs", f"one-of-many-{MANY - 1}")
    paths = json.dumps([f"/api/flow_runs/{id}/set_state" for id in ids])
    assert tab.run(f"({CANCEL})({paths})") == [201] * MANY
    tab.click("button[aria-label='Toggle all']")
    tab.sees(f"{MANY} selected")
    tab.click("button[aria-label='Delete rows']")
    tab.sees("Are you sure")
    tab.click("[role=dialog] button, [role=alertdialog] button", 1)
    ours = {"flow_runs": {"tags": {"all_": ["many"]}}}
    tab.until(lambda: world.api.post("/flow_runs/count", json=ours).json() == 0, "some runs are still there")
    tab.settles()
    deleted = [request.status for request in tab.requests.values() if request.method == "DELETE"]
    assert deleted == [204] * MANY
    assert faults(tab, site) == []
