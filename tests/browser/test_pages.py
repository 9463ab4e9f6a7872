"""Every page of both dashboards in a real browser: it shows what it should, the API answers all that it asks, nothing
goes wrong on its console, and nothing goes to anybody else."""

from __future__ import annotations

import pytest

from .chromium import Tab
from .conftest import faults, filled_in
from .pages import V1, V2, Page
from .world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.flaky(reruns=1)]


@pytest.mark.parametrize("page", V2, ids=lambda page: page.path)
def test_a_page_of_v2(page: Page, tab: Tab, site: str, world: World) -> None:
    look(page, f"{site}/v2", tab, site, world)


@pytest.mark.parametrize("page", V1, ids=lambda page: page.path)
def test_a_page_of_v1(page: Page, tab: Tab, site: str, world: World) -> None:
    look(page, site, tab, site, world)


def look(page: Page, base: str, tab: Tab, site: str, world: World) -> None:
    tab.goto(base + filled_in(page.path, world))
    tab.until(lambda: page.texts[0].lower() in tab.text.lower(), f"{page.texts[0]!r} is not there")
    tab.settles()
    tab.sees(*page.texts)
    assert faults(tab, site) == []


def test_the_front_page_leads_to_the_newer_one_and_each_leads_to_the_other(tab: Tab, site: str, world: World) -> None:
    tab.goto(f"{site}/")
    tab.until(lambda: tab.path == "/v2/dashboard", "the front page does not lead to v2")
    tab.click("text=Switch to V1 UI")
    tab.until(lambda: tab.path == "/dashboard" or "Skip" in tab.text, "v2 does not lead to v1")
    tab.run("document.cookie = 'prefect_ui_version=v1; path=/'")
    tab.goto(f"{site}/")
    tab.until(lambda: tab.path == "/dashboard", "the cookie is not heeded")
    tab.run("document.cookie = 'prefect_ui_version=; path=/; max-age=0'")


def test_reloading_a_page_deep_inside_stays_there(tab: Tab, site: str, world: World) -> None:
    path = f"/v2/runs/flow-run/{world.ids['red-crab']}"
    tab.goto(site + path)
    tab.sees("red-crab")
    tab.send("Page.reload")
    tab.sees("red-crab")
    assert tab.path == path


def test_no_request_leaves_the_machine(tab: Tab, site: str, world: World) -> None:
    """In the browser's own log: whatever is meant for another host was stopped by the policy, before it was sent. v2
    does try, so the log would show it."""
    for path in ("/v2/dashboard", "/v2/blocks/catalog", "/blocks/catalog"):
        tab.goto(site + path)
        tab.sees("Dashboard", "Runs")
        tab.settles()
    outside = [one for one in tab.requests.values() if one.url.startswith("http") and not one.url.startswith(site)]
    assert outside
    assert [one.url for one in outside if one.blocked != "csp" or one.status is not None] == []
