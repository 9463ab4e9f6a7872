"""The route table is the reference's: same operations, parameters, bodies and codes."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import lictor
from lictor.web.asgi import App
from lictor.web.routing import WEBSOCKET, Route, Router, table

REFERENCE = json.loads((Path(__file__).parents[1] / "parity" / "reference_openapi.json").read_text())

# What the reference has too, but only where a setting says so: its document was recorded without.
WITH_A_SETTING = {("/metrics", "get")}


class AnyService(dict[type, object]):
    """Services for whatever an endpoint asks for: the table is compiled, never called."""

    def __contains__(self, kind: object) -> bool:
        return True

    def __getitem__(self, kind: type) -> object:
        return object()


def routers() -> list[Router]:
    """Every router that a module of the package declares, wherever it is."""
    found: dict[int, Router] = {}
    for module in pkgutil.walk_packages(lictor.__path__, "lictor."):
        if not module.name.endswith("__main__"):
            members = vars(importlib.import_module(module.name)).values()
            found |= {id(member): member for member in members if isinstance(member, Router)}
    return list(found.values())


@pytest.fixture(scope="module")
def built() -> list[Route]:
    return table(routers())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = App(routers(), AnyService())
    return json.loads(app.document())


def test_every_operation_of_the_reference_is_there_and_no_other(document: dict[str, Any]) -> None:
    ours = {(path, method) for path, methods in document["paths"].items() for method in methods}
    theirs = {(path, method) for path, methods in REFERENCE["paths"].items() for method in methods}
    assert sorted(theirs - ours) == []
    assert ours - theirs == WITH_A_SETTING


def test_every_websocket_is_there(built: list[Route]) -> None:
    assert sorted({route.template for route in built if route.method == WEBSOCKET}) == REFERENCE["websockets"]


def test_operations_take_and_give_what_the_reference_declares(document: dict[str, Any]) -> None:
    differences = []
    for path, methods in REFERENCE["paths"].items():
        for method, theirs in methods.items():
            ours = described(document["paths"].get(path, {}).get(method, {}))
            codes = ours.pop("codes")
            if ours != {key: theirs[key] for key in ours} or theirs["status"] not in codes:
                differences.append((method, path, ours | {"codes": codes}, theirs))
    assert differences == []


def described(operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    named = [[each["name"], each["in"], each["required"]] for each in operation.get("parameters", [])]
    return {
        "body": "" if body is None else "required" if body["required"] else "optional",
        "parameters": sorted(named),
        "codes": [int(code) for code in operation.get("responses", {}) if code.startswith("2")],
    }
