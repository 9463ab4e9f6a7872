"""Forms held against their schemas while they are filled in."""

from __future__ import annotations

from typing import Any

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor.db import Database
from lictor.ui import schemas

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, schemas.router)


def validated(client: TestClient, values: Any, schema: Any = SCHEMA) -> Any:
    answer = client.post("/ui/schemas/validate", json={"schema": schema, "values": values})
    assert answer.status == 200, answer
    return answer.json


def test_errors_stand_at_their_places(client: TestClient) -> None:
    inner = {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer"}}}}
    schema = {"type": "object", "properties": {"in": inner, "n": {"type": "integer"}}, "required": ["n"]}
    assert validated(client, {"in": {"list": [1, "x", 2, "y"]}}, schema) == {
        "valid": False,
        "errors": [
            {
                "property": "in",
                "errors": [
                    {
                        "property": "list",
                        "errors": [
                            {"index": 1, "errors": ["'x' is not of type 'integer'"]},
                            {"index": 3, "errors": ["'y' is not of type 'integer'"]},
                        ],
                    }
                ],
            },
            {"property": "n", "errors": ["'n' is a required property"]},
        ],
    }


def test_a_template_is_only_checked(client: TestClient) -> None:
    good = {"n": {"__prefect_kind": "jinja", "template": "{{ flow_run.name }}"}}
    assert validated(client, good) == {"valid": True, "errors": []}
    bad = validated(client, {"n": {"__prefect_kind": "jinja", "template": "{{ 1"}})
    assert bad["errors"][0]["errors"][0].startswith("Invalid jinja: ")


def test_what_cannot_be_filled_in_is_the_only_thing_said_of_it(client: TestClient) -> None:
    found = validated(client, {"n": {"__prefect_kind": "json", "value": "{"}})
    ((error,),) = (entry["errors"] for entry in found["errors"])
    assert error.startswith("Invalid JSON: ")


def test_a_schema_without_end_is_refused(client: TestClient) -> None:
    answer = client.post("/ui/schemas/validate", json={"schema": {"$ref": "#"}, "values": {}})
    assert answer.status == 422
    assert "circular" in answer.json["detail"]


def test_no_schema_is_fetched_from_elsewhere(client: TestClient) -> None:
    schema = {"type": "object", "properties": {"n": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    answer = client.post("/ui/schemas/validate", json={"schema": schema, "values": {"n": 1}})
    assert answer.status == 422
    assert "Unresolvable" in answer.json["detail"]
