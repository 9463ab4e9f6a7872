"""Every public method of the SDK's two clients, called once or more with real objects, returns what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.processes import Server

from . import scripts

SCRIPT = Path(__file__).parent / "surface" / "main.py"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_every_public_method_of_both_clients_works(server: Server, tmp_path: Path) -> None:
    outcome = scripts.run(SCRIPT, server.api_url, tmp_path, limit=300)
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    clients = json.loads(outcome.stdout)
    assert clients.keys() == {"PrefectClient", "SyncPrefectClient"}
    for name, client in clients.items():
        assert not client["problems"], f"{name}:\n" + "\n".join(client["problems"])
        assert len(client["methods"]) > 100, "the methods were not found"
        assert set(client["methods"]) <= set(client["called"]), f"a method of {name} is not called"
