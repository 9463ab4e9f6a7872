"""Saved searches, as the reference answers."""

from __future__ import annotations

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import saved_searches
from lictor.db import Database

FILTER = {"object": "flow_run", "property": "state", "type": "string", "operation": "equals", "value": {"z": [1]}}


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, saved_searches.router)


def test_the_filters_of_a_name_are_replaced(client: TestClient) -> None:
    first = client.put("/saved_searches/", json={"name": "s", "filters": [FILTER, {**FILTER, "extra": 1}]})
    again = client.put("/saved_searches/", json={"name": "s", "filters": [{**FILTER, "value": None}]})
    bare = client.put("/saved_searches/", json={"name": "s"})

    assert (first.status, again.status, bare.status) == (201, 200, 200)
    assert first.json["filters"] == [FILTER, FILTER]
    assert again.json == {**first.json, "filters": [{**FILTER, "value": None}]}
    assert bare.json == {**first.json, "filters": []}
    assert client.get(f"/saved_searches/{first.json['id']}").json == bare.json


def test_they_are_listed_by_name(client: TestClient) -> None:
    for name in ("b", "", "a"):
        client.put("/saved_searches/", json={"name": name})

    assert [one["name"] for one in client.post("/saved_searches/filter").json] == ["", "a", "b"]
    assert [one["name"] for one in client.post("/saved_searches/filter", json={"limit": 1, "offset": 1}).json] == ["a"]


def test_deleting(client: TestClient) -> None:
    id = client.put("/saved_searches/", json={"name": "s"}).json["id"]

    assert client.delete(f"/saved_searches/{id}").status == 204
    for answer in (client.delete(f"/saved_searches/{id}"), client.get(f"/saved_searches/{id}")):
        assert (answer.status, answer.json) == (404, {"detail": "Saved search not found"})


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            {"name": "s", "filters": [{"object": 1}]},
            [
                ("string_type", ["body", "filters", 0, "object"]),
                ("missing", ["body", "filters", 0, "property"]),
                ("missing", ["body", "filters", 0, "type"]),
                ("missing", ["body", "filters", 0, "operation"]),
                ("missing", ["body", "filters", 0, "value"]),
            ],
        ),
        (
            {"name": "s", "x": 1, "filters": None},
            [("list_type", ["body", "filters"]), ("extra_forbidden", ["body", "x"])],
        ),
    ],
)
def test_what_cannot_be_saved(client: TestClient, body: object, found: object) -> None:
    assert calls.errors(client.put("/saved_searches/", json=body)) == found
