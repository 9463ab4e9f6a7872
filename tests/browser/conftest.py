"""A browser, and a server with a little of everything.

`LICTOR_BROWSER_URL` names a server that runs already, `LICTOR_UI_DIR` a directory with other dashboards than those of
the installed prefect.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import Server

from lictor.dashboard import finding
from lictor.settings import read

from . import world as worlds
from .chromium import Chromium, Request, Tab, chromium, executable
from .world import World

# What the policy keeps the pages from is said on the console. The sockets of the pages that are left break off.
REFUSED = re.compile("Content Security Policy|net::ERR_BLOCKED_BY_CSP|amplitude", re.IGNORECASE)

PATTERN = re.compile(r"\{([\w-]+)(?::([^}]+))?\}")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if executable() is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="session")
def dashboards() -> str:
    """A directory with the files of the dashboards."""
    named = os.environ.get("LICTOR_UI_DIR")
    found = finding.within(Path(named), "") if named else finding.find(read({}))
    if found is None:
        pytest.skip("there is no dashboard here: install prefect or set LICTOR_UI_DIR")
    return str(next(iter(found.bundles.values())).parent)


@pytest.fixture(scope="module")
def site(dashboards: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server answers. Each file has its own: what one makes and changes, another counts."""
    named = os.environ.get("LICTOR_BROWSER_URL")
    if named:
        yield named
        return
    directory = tmp_path_factory.mktemp("site")
    server = Server(directory, f"sqlite:///{directory}/lictor.db", ("--ui-dir", dashboards), {})
    server.start()
    yield server.url
    server.end()


@pytest.fixture(scope="module")
def world(site: str) -> World:
    return worlds.build(f"{site}/api")


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened


def filled_in(path: str, world: World) -> str:
    """The path with ids of the world."""
    return PATTERN.sub(lambda match: match[2] or world.ids[match[1]], path)


def faults(tab: Tab, site: str) -> list[str]:
    """What went wrong on the pages since the last look: errors, refused requests, and requests to anybody else."""
    told = [f"console: {error}" for error in tab.errors if not REFUSED.search(error)]
    for request in tab.requests.values():
        shown = f"{request.method} {request.url} {request.status} {request.blocked or ''} {request.body or ''}"
        if _is_elsewhere(request, site):
            told.append(f"elsewhere: {shown}")
        elif (request.status or 0) >= 400:
            told.append(f"refused: {shown}")
    return told


def _is_elsewhere(request: Request, site: str) -> bool:
    """Whether it left for another host. What the policy stopped did not leave."""
    own = request.url.startswith((f"{site}/", "data:", "blob:"))
    return not own and request.blocked != "csp"
