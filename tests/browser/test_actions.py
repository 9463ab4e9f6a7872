"""What people do on the pages of v2, and what the API shows afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.processes import Server
from tests.proxy import proxy

from .chromium import Tab
from .conftest import faults
from .world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.flaky(reruns=1)]

SECRET = "ada:secret"


def named(world: World, path: str, **filter: Any) -> list[str]:
    found = world.api.post(path, json=filter).json()
    return [one["name"] for one in found]


def test_a_variable_is_made(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/variables")
    tab.sees("demo_variable")
    tab.click('button[aria-label="Add variable"]')
    tab.fill("input[name=name]", "from_browser")
    tab.click(".cm-content")
    tab.send("Input.insertText", text="[1, 2]")
    tab.click("text=Create")
    tab.sees("Variable created")
    assert world.api.get("/variables/name/from_browser").json()["value"] == [1, 2]
    assert faults(tab, site) == []


def test_a_concurrency_limit_is_made_and_switched_off(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/concurrency-limits")
    tab.click('button[aria-label="add global concurrency limit"]')
    tab.fill("input[name=name]", "a-browser-limit")
    tab.fill("input[name=limit]", "3")
    tab.click("text=Save")
    tab.sees("Limit created")
    limit = world.api.get("/v2/concurrency_limits/a-browser-limit").json()
    assert (limit["limit"], limit["active"]) == (3, True)
    tab.click('button[aria-label="toggle active"]')
    tab.until(lambda: not active(world, "a-browser-limit"), "the limit is still active")
    assert faults(tab, site) == []


def active(world: World, limit: str) -> bool:
    return bool(world.api.get(f"/v2/concurrency_limits/{limit}").json()["active"])


def test_a_run_is_deleted(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/runs/flow-run/{world.ids['first-to-go']}")
    tab.sees("first-to-go")
    tab.click("text=Open menu")
    tab.click("text=Delete")
    tab.sees("Are you sure")
    tab.click("[role=dialog] button, [role=alertdialog] button", 1)
    mine = {"name": {"any_": ["first-to-go"]}}
    tab.until(lambda: named(world, "/flow_runs/filter", flow_runs=mine) == [], "the run is still there")
    tab.until(lambda: tab.path == "/v2/runs", "the list of runs does not come")


def test_a_work_pool_is_paused_and_resumed(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/work-pools")
    tab.sees("demo-pool")
    for paused in (True, False):
        shown = "false" if paused else "true"
        tab.until(lambda shown=shown: switch(tab) != shown, "the switch does not show how it is")  # type: ignore[misc]
        tab.click("[role=switch]")
        tab.until(lambda paused=paused: is_paused(world) is paused, f"the pool's pause is not {paused}")  # type: ignore[misc]
    assert faults(tab, site) == []


def switch(tab: Tab) -> str:
    return str(tab.run("document.querySelector('[role=switch]').getAttribute('aria-checked')"))


def is_paused(world: World) -> bool:
    return bool(world.api.get("/work_pools/demo-pool").json()["is_paused"])


def test_an_automation_is_switched_off(tab: Tab, site: str, world: World) -> None:
    path = f"/automations/{world.ids['automation']}"
    tab.goto(f"{site}/v2/automations")
    tab.click('[role=switch][aria-label="toggle automation"]')
    tab.until(lambda: world.api.get(path).json()["enabled"] is False, "the automation is still on")
    assert faults(tab, site) == []


def test_a_deployment_is_run(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/deployments/deployment/{world.ids['deployment']}/run")
    tab.sees("Enforce Parameter Schema")
    tab.click("text=Submit")
    tab.until(lambda: runs_by_hand(world) > 1, "there is no new run")
    tab.until(lambda: tab.path.endswith(world.ids["deployment"]) or "/flow-run/" in tab.path, "the form stays")
    assert faults(tab, site) == []


def runs_by_hand(world: World) -> int:
    ours = {"deployments": {"id": {"any_": [world.ids["deployment"]]}}}
    return sum(not run["auto_scheduled"] for run in world.api.post("/flow_runs/filter", json=ours).json())


@pytest.fixture
def guarded(tmp_path: Path, dashboards: str) -> Iterator[Server]:
    """A server that asks for the secret, and for tokens of whoever changes something."""
    environment = {
        "PREFECT_SERVER_API_AUTH_STRING": SECRET,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    server = Server(tmp_path, f"sqlite:///{tmp_path}/lictor.db", ("--ui-dir", dashboards), environment)
    server.start()
    yield server
    server.end()


def test_somebody_logs_in_changes_something_and_logs_out(tab: Tab, guarded: Server) -> None:
    tab.goto(f"{guarded.url}/")
    tab.until(lambda: tab.path == "/v2/login", "nobody is asked to log in")
    tab.settles()
    assert tab.text.split() == ["Login", "Login"], "nothing is amiss before anybody has logged in"
    tab.fill("input[type=password]", "ada:guess")
    tab.press("Enter")
    tab.sees("Invalid credentials")
    tab.fill("input[type=password]", SECRET)
    tab.press("Enter")
    tab.until(lambda: tab.path == "/v2/dashboard", "the right secret does not lead in")
    tab.settles()
    tab.forget()
    tab.goto(f"{guarded.url}/v2/variables")
    tab.sees("Add a variable to get started")
    tab.click("text=Add Variable")
    tab.fill("input[name=name]", "with_a_token")
    tab.click(".cm-content")
    tab.send("Input.insertText", text="1")
    tab.click("text=Create")
    tab.sees("Variable created")
    assert faults(tab, guarded.url) == []
    tab.goto(f"{guarded.url}/v2/flows")
    tab.sees("Run a flow to get started")
    tab.click("text=Logout")
    tab.until(lambda: tab.path == "/v2/login", "nobody is logged out")
    assert SECRET not in guarded.log


@pytest.mark.parametrize("strips", [True, False])
def test_under_a_path_behind_a_proxy(tab: Tab, tmp_path: Path, dashboards: str, strips: bool) -> None:
    environment = {} if strips else {"PREFECT_SERVER_API_BASE_PATH": "/prefect/api"}
    server = Server(tmp_path, f"sqlite:///{tmp_path}/lictor.db", ("--ui-dir", dashboards), environment)
    server.api_url = server.url + environment.get("PREFECT_SERVER_API_BASE_PATH", "/api")
    server.start()
    try:
        with proxy(server.port, "/prefect", strips=strips) as outside:
            tab.goto(f"{outside.url}/")
            tab.until(lambda: tab.path == "/prefect/v2/dashboard", "the front page does not lead to v2")
            tab.goto(f"{outside.url}/v2/variables")
            tab.sees("Add a variable to get started")
            tab.send("Page.reload")
            tab.sees("Add a variable to get started")
            tab.goto(f"{outside.url}/flows")
            tab.sees("Run a flow to get started")
            assert tab.path == "/prefect/flows"
            wrong = [fault for fault in faults(tab, outside.url) if "favicon" not in fault]
            assert wrong == [], "but for the icon, which browsers look for at the root"
    finally:
        server.end()
