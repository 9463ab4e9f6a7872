"""What the server shows after each script is what the reference shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.processes import Server

from . import play, scripts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_every_script_is_recorded_and_named() -> None:
    helpers = {"aside"}
    assert {path.stem for path in scripts.FOLDER.glob("*.py")} - helpers == set(scripts.NAMES)
    assert {path.stem for path in play.RECORDED.glob("*.json")} == set(scripts.NAMES)


@pytest.mark.parametrize("script", scripts.NAMES)
def test_a_script_shows_what_it_shows_on_the_reference(script: str, server: Server, tmp_path: Path) -> None:
    home = tmp_path / "client"
    home.mkdir()
    found, outcome = play.play(script, server.api_url, home)
    told = play.difference(script, found)
    assert not told, f"{told}\n\n{outcome.stderr[-3000:]}\n\n{server.log[-3000:]}"
