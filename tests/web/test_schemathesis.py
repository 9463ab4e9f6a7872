"""Requests made from our own OpenAPI document, and spoilt ones, against a running server: no 5xx, no hang, and only
answers that the document declares.

`LICTOR_FUZZ_EXAMPLES=2000 pytest tests/web/test_schemathesis.py` looks longer, and at other requests each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from tests.databases import Postgres, Sqlite
from tests.processes import Server

from lictor import app
from lictor.web.asgi import App

LONG = "LICTOR_FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("LICTOR_FUZZ_EXAMPLES", "8"))
ANSWER_SECONDS = 10

CHECKS = [not_a_server_error, content_type_conformance, status_code_conformance, response_schema_conformance]

# What one or the other database, or Python itself, cannot hold, and what looks like something else.
ODD: list[Any] = [
    *(None, True, 0, -1, 0.5, -0.0, "", " ", [], {}, [[]], [None], {"": None}),
    *(2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 1e300, 1e-400, float("nan"), float("inf")),
    *(
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "\U0010ffff",
        "\u202e",
        "é" * 70_000,
        "x" * 300,
        "%",
        "_",
        "\\",
        "'",
        '"',
    ),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999-12:00", "0000-01-01", "2024-02-30", "1e400", "-1"),
    *("2024-01-01T00:00:00", "9" * 5000, "00000000-0000-0000-0000-000000000000", "urn:uuid:", "NaN", "true", "P1D"),
]


class AnyService(dict[type, object]):
    """Services for whatever an endpoint asks for: here the application only makes its document."""

    def __contains__(self, kind: object) -> bool:
        return True

    def __getitem__(self, kind: type) -> object:
        return object()


SCHEMA = schemathesis.openapi.from_dict(json.loads(App(app.ROUTERS, AnyService()).document()))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]

Connect = Callable[[str], "Target"]


class Target:
    """A server with a few rows, and the names of those."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = httpx.Client(base_url=server.api_url, timeout=ANSWER_SECONDS)

    def furnish(self) -> None:
        """Make the rows anew: some requests delete them."""
        flow = self._make("/flows/", {"name": "known"})
        run = self._make("/flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}, "tags": ["known"]})
        task_run = self._make("/task_runs/", {"flow_run_id": run, "task_key": "known", "dynamic_key": str(uuid4())})
        name = f"known-{uuid4()}"
        variable = self._make("/variables/", {"name": name, "value": 1})
        self.client.post(f"/flow_runs/{run}/input", json={"key": name, "value": "1"}).raise_for_status()
        self.known = {"flow_id": flow, "flow_run_id": run, "task_run_id": task_run, "name": name, "key": name}
        self.by_prefix = {"flows": flow, "flow_runs": run, "task_runs": task_run, "variables": variable}

    def _make(self, path: str, body: dict[str, Any]) -> str:
        made: str = self.client.post(path, json=body).raise_for_status().json()["id"]
        return made

    def send(self, case: Any, known: bool, spoilt: list[tuple[int, Any]]) -> httpx.Response:
        body = case.body
        if known:
            self._name_known(case, body)
        for place, value in spoilt:
            found = list(places(body))
            body = replaced(body, found[place % len(found)], value)
        content = None if isinstance(body, schemathesis.core.NotSet) else json.dumps(body).encode()
        # A version is seldom one that is served, and what comes after it is what is looked for.
        headers = {name: value for name, value in (case.headers or {}).items() if name != "x-prefect-api-version"}
        headers["content-type"] = "application/json"
        return self.client.request(
            case.method, case.formatted_path, params=case.query or {}, content=content, headers=headers
        )

    def _name_known(self, case: Any, body: Any) -> None:
        parameters = case.path_parameters or {}
        known = self.by_prefix.get(case.operation.path.split("/")[1])
        case.path_parameters = {
            name: known if name == "id" and known else self.known.get(name, value) for name, value in parameters.items()
        }
        for name in ("flow_id", "flow_run_id", "task_run_id"):
            if isinstance(body, dict) and name in body:
                body[name] = self.known[name]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to the value and to everything in it."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy of the value with something else at one place."""
    if not at:
        return new
    key, *rest = at
    copy = value.copy()
    copy[key] = replaced(value[key], tuple(rest), new)
    return copy


@pytest.fixture(scope="module")
def connect(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    targets: dict[str, Target] = {}
    with ExitStack() as stack:

        def target(dialect: str) -> Target:
            if dialect not in targets:
                server = Server(*_place(request, dialect, tmp_path_factory.mktemp("fuzz")), (), {})
                stack.callback(server.end)
                server.start()
                targets[dialect] = Target(server)
            return targets[dialect]

        yield target


def _place(request: pytest.FixtureRequest, dialect: str, directory: Path) -> tuple[Path, str]:
    if dialect == "sqlite":
        sqlite: Sqlite = request.getfixturevalue("_sqlite")
        return directory, sqlite.create(directory, migrated=True)
    postgres: Postgres = request.getfixturevalue("_postgres")
    return directory, postgres.create(migrated=True)


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_whatever_is_asked_has_a_declared_answer(operation: Any, dialect: str, connect: Connect) -> None:
    target = connect(dialect)
    target.furnish()
    spoiling = st.lists(st.tuples(st.integers(0, 50), st.sampled_from(ODD)), max_size=2)

    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if LONG else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.sampled_from([True, True, False]), spoilt=spoiling)
    def run(case: Any, known: bool, spoilt: list[tuple[int, Any]]) -> None:
        response = target.send(case, known, spoilt)
        try:
            case.validate_response(response, checks=CHECKS)
        except Exception as fault:
            # What schemathesis tells was made before it was spoilt.
            sent = f"{response.request.method} {response.request.url} {response.request.content[:3000].decode()}"
            raise AssertionError(f"{fault}\nreally sent: {sent}\n{target.server.log[-3000:]}") from None

    run()
