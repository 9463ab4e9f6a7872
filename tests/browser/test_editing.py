"""What people make and change on the pages of v2, and what the API shows afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from .chromium import Tab
from .conftest import faults
from .world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.flaky(reruns=1)]


def test_a_block_is_made_and_edited(tab: Tab, site: str, world: World) -> None:
    path = "/block_types/slug/secret/block_documents/name/from-browser?include_secrets=true"
    tab.goto(f"{site}/v2/blocks/catalog/secret/create")
    tab.sees("Value")
    tab.fill("input[name=blockName]", "from-browser")
    tab.fill("input[type=password]", "hidden from view")
    tab.click("text=Save")
    tab.until(lambda: "/blocks/block/" in tab.path, "the block's page does not come")
    tab.sees("from-browser")
    made = world.api.get(path).json()
    assert made["data"] == {"value": "hidden from view"}
    assert "hidden from view" not in tab.text
    tab.goto(f"{site}/v2/blocks/block/{made['id']}/edit")
    tab.sees("Value")
    tab.fill("input[type=password]", "changed")
    tab.click("text=Save")
    tab.until(lambda: world.api.get(path).json()["data"] == {"value": "changed"}, "the block is as it was")
    wrong = [fault for fault in faults(tab, site) if "/block_documents/name/from-browser" not in fault]
    assert wrong == [], "but for the 404 from which the page learns that the name is free"
    # The pages of blocks are looked at too, and count them.
    assert world.api.delete(f"/block_documents/{made['id']}").status_code == 204


def test_a_variable_is_edited_and_deleted(tab: Tab, site: str, world: World) -> None:
    world.make("edited", "/variables/", {"name": "edited", "value": "before", "tags": []})
    tab.goto(f"{site}/v2/variables?name=edited")
    tab.sees("1 Variable", "before")
    tab.click("text=Open menu")
    tab.click("text=Edit")
    tab.fill("[role=dialog] input[name=name]", "edited_now")
    tab.click("text=Save")
    tab.sees("Variable updated")
    assert world.api.get("/variables/name/edited_now").json()["value"] == "before"
    tab.click("text=Open menu")
    tab.click("text=Delete")
    tab.sees("Are you sure")
    tab.click("[role=dialog] button, [role=alertdialog] button", 1)
    tab.until(lambda: world.api.get("/variables/name/edited_now").status_code == 404, "the variable is still there")
    assert faults(tab, site) == []


def test_a_concurrency_limit_is_edited(tab: Tab, site: str, world: World) -> None:
    world.make("a_limit", "/v2/concurrency_limits/", {"name": "a-limit-to-edit", "limit": 5})
    tab.goto(f"{site}/v2/concurrency-limits?search=a-limit-to-edit")
    tab.sees("a-limit-to-edit")
    tab.click("text=Open menu")
    tab.click("text=Edit")
    tab.fill("[role=dialog] input[name=limit]", "7")
    tab.click("text=Update")
    path = "/v2/concurrency_limits/a-limit-to-edit"
    tab.until(lambda: world.api.get(path).json()["limit"] == 7, "the limit is as it was")
    assert faults(tab, site) == []


def test_an_automation_is_made_and_edited(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/v2/automations/create")
    tab.sees("Trigger Template")
    choose(tab, "#automations-trigger-template-select", "Flow run state")
    tab.sees("Any state")
    tab.click("text=Next")
    choose(tab, "[aria-label='select action']", "Cancel a flow run")
    tab.click("text=Next")
    tab.fill("input[name=name]", "from-browser")
    tab.click("text=Save")
    made = tab.until(lambda: automation(world, "from-browser"), "there is no automation")
    assert [action["type"] for action in made["actions"]] == ["cancel-flow-run"]
    assert (made["enabled"], made["trigger"]["posture"]) == (True, "Reactive")
    tab.goto(f"{site}/v2/automations/automation/{made['id']}/edit")
    tab.sees("Trigger Template")
    tab.click("text=Next")
    tab.sees("Cancel a flow run")
    tab.click("text=Next")
    tab.fill("input[name=name]", "from-browser-again")
    tab.click("text=Save")
    changed = tab.until(lambda: automation(world, "from-browser-again"), "the automation is as it was")
    assert changed["id"] == made["id"]
    assert faults(tab, site) == []
    # It would cancel the runs of the tests after this.
    assert world.api.delete(f"/automations/{made['id']}").status_code == 204


def choose(tab: Tab, what: str, option: str) -> None:
    tab.click(what)
    tab.until(lambda: option in tab.run(OPTIONS), f"{option!r} is not among the options")
    tab.click("[role=option]", tab.run(OPTIONS).index(option))


OPTIONS = "[...document.querySelectorAll('[role=option]')].map((one) => one.innerText.trim())"


def automation(world: World, name: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = world.api.post("/automations/filter", json={}).json()
    return next((one for one in found if one["name"] == name), None)


def test_a_schedule_is_paused_and_resumed(tab: Tab, site: str, world: World) -> None:
    path = f"/deployments/{world.ids['deployment']}"
    tab.goto(f"{site}/v2{path.replace('deployments/', 'deployments/deployment/')}")
    for active in (False, True):
        shown = str(not active).lower()
        tab.click(f"[role=switch][aria-label^='toggle At'][aria-checked={shown}]")
        tab.until(lambda active=active: is_active(world, path) is active, f"the schedule is not {active}")  # type: ignore[misc]
    assert faults(tab, site) == []


def is_active(world: World, deployment: str) -> bool:
    return bool(world.api.get(deployment).json()["schedules"][0]["active"])
