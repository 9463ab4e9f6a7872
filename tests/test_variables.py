"""Variables, as the reference answers."""

from __future__ import annotations

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import variables
from lictor.db import Database


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, variables.router)


def create(client: TestClient, name: str = "v", value: object = 1, **more: object) -> dict[str, object]:
    answer = client.post("/variables/", json={"name": name, "value": value, **more})
    assert answer.status == 201, answer
    return answer.json


def test_a_variable_is_made_and_found_by_id_and_by_name(client: TestClient) -> None:
    made = create(client, "v-1_x", {"b": [1, 2.5, {"c": None}], "a": "é"}, tags=["t", "t"])

    assert made["value"] == {"b": [1, 2.5, {"c": None}], "a": "é"}
    assert made["tags"] == ["t", "t"]
    assert client.get(f"/variables/{made['id']}").json == made
    assert client.get("/variables/name/v-1_x").json == made


@pytest.mark.parametrize("value", [None, "text", 0, -1.5, False, [], {}, 2**64 - 1, -(2**63)])
def test_any_json_is_a_value(client: TestClient, value: object) -> None:
    made = create(client, "v", value)

    assert made["value"] == value
    assert client.get("/variables/name/v").json["value"] == value


def test_a_name_is_taken_once(client: TestClient, db: Database) -> None:
    create(client, "v")

    answer = client.post("/variables/", json={"name": "v", "value": 2})

    assert (answer.status, answer.json) == (409, {"detail": "A variable with the name 'v' already exists."})
    assert calls.event_names(db) == ["prefect.variable.created"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"name": "V 1", "value": 1}, [("value_error", ["body", "name"])]),
        ({"name": "v" * 256, "value": 1}, [("too_long", ["body", "name"])]),
        ({"name": "v"}, [("missing", ["body", "value"])]),
        ({"name": "v", "value": "x" * 4999}, [("value_error", ["body", "value"])]),
        ({"name": "v", "value": "é" * 2500}, [("value_error", ["body", "value"])]),
        ({"name": "v", "value": {"a": [10**20]}}, [("value_error", ["body", "value"])]),
        ({"name": "v", "value": -(2**63) - 1}, [("value_error", ["body", "value"])]),
        ({"name": "v", "value": "\ud800"}, [("value_error", ["body", "value"])]),
        ({"name": 5, "value": 1.5, "x": 1}, [("string_type", ["body", "name"]), ("extra_forbidden", ["body", "x"])]),
        ({"name": "v", "value": 1, "tags": None}, [("list_type", ["body", "tags"])]),
    ],
)
def test_what_cannot_be_a_variable(client: TestClient, body: object, found: object) -> None:
    assert calls.errors(client.post("/variables/", json=body)) == found


def test_the_words_for_a_bad_name(client: TestClient) -> None:
    detail = client.post("/variables/", json={"name": "A", "value": 1}).json["exception_detail"]

    words = "Value error, Variable name must only contain lowercase letters, numbers, and dashes or underscores."
    assert detail == [
        {"type": "value_error", "loc": ["body", "name"], "msg": words, "input": "A", "ctx": {"error": {}}}
    ]


@pytest.mark.parametrize("name", ["", "v\n", "9-_"])
def test_names_that_are_accepted(client: TestClient, name: str) -> None:
    assert create(client, name)["name"] == name


def test_a_value_of_exactly_the_most_bytes(client: TestClient) -> None:
    create(client, "v", "x" * 4998)


def test_a_patch_changes_what_it_names(client: TestClient, db: Database) -> None:
    made = create(client, "v", {"a": 1}, tags=["t"])

    assert client.patch(f"/variables/{made['id']}", json={}).status == 204
    assert client.patch(f"/variables/{made['id']}", json={"value": None}).status == 204
    assert client.patch("/variables/name/v", json={"name": "w", "tags": ["q"]}).status == 204

    now = client.get("/variables/name/w").json
    assert (now["value"], now["tags"], now["created"]) == (None, ["q"], made["created"])
    assert now["updated"] > made["updated"]
    assert calls.event_names(db) == ["prefect.variable.created"] + ["prefect.variable.updated"] * 3


@pytest.mark.parametrize("patch", [{"name": "taken"}, {"name": None}, {"tags": None}])
def test_a_patch_that_conflicts_changes_nothing(client: TestClient, db: Database, patch: dict[str, object]) -> None:
    create(client, "taken")
    made = create(client, "v")

    answer = client.patch(f"/variables/{made['id']}", json=patch)

    assert answer.status == 409
    assert answer.json["detail"].startswith("Data integrity conflict.")
    assert client.get("/variables/name/v").json == made
    assert calls.event_names(db) == ["prefect.variable.created"] * 2


def test_deleting(client: TestClient, db: Database) -> None:
    made = create(client, "v", "secret", tags=["t"])
    create(client, "w")

    assert client.delete(f"/variables/{made['id']}").status == 204
    assert calls.last_event(db) == {
        "event": "prefect.variable.deleted",
        "id": f"prefect.variable.{made['id']}",
        "resource": {"prefect.resource.id": f"prefect.variable.{made['id']}", "prefect.resource.name": "v"},
        "payload": {"name": "v", "value": "secret", "tags": ["t"]},
    }
    assert client.delete("/variables/name/w").status == 204
    assert client.post("/variables/count").json == 0


@pytest.mark.parametrize("path", [f"/variables/{calls.NOWHERE}", "/variables/name/none"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_one_that_is_not_there(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, **({"json": {"value": 1}} if method == "PATCH" else {}))

    assert (answer.status, answer.json) == (404, {"detail": "Variable not found."})


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"variables": None, "sort": None, "limit": None, "offset": None}, ["a", "b", "c"]),
        ({"sort": "NAME_DESC", "limit": 1, "offset": 1}, ["b"]),
        ({"sort": "CREATED_DESC"}, ["c", "b", "a"]),
        ({"limit": 0}, []),
        ({"variables": {}}, ["a", "b", "c"]),
        ({"variables": {"name": {"any_": ["a", "c", "x"]}}}, ["a", "c"]),
        ({"variables": {"name": {"like_": "B"}}}, ["b"]),
        ({"variables": {"id": {"any_": []}}}, []),
        ({"variables": {"tags": {"all_": ["t"]}}}, ["a", "b"]),
        ({"variables": {"tags": {"is_null_": True}}}, ["c"]),
        ({"variables": {"operator": "or_", "name": {"any_": ["a"]}, "tags": {"is_null_": True}}}, ["a", "c"]),
    ],
)
def test_lists(client: TestClient, asked: dict[str, object], names: list[str]) -> None:
    create(client, "a", tags=["t"])
    create(client, "b", tags=["t", "u"])
    create(client, "c")

    assert [one["name"] for one in client.post("/variables/filter", json=asked).json] == names
    if set(asked) <= {"variables"}:
        assert client.post("/variables/count", json=asked).json == len(names)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"variables": {"foo": 1}}, [("extra_forbidden", ["body", "variables", "foo"])]),
        (
            {"variables": {"name": {"foo": 1}}, "sort": "zz"},
            [("extra_forbidden", ["body", "variables", "name", "foo"]), ("enum", ["body", "sort"])],
        ),
        ({"offset": -1}, [("greater_than_equal", ["body", "offset"])]),
    ],
)
def test_lists_that_cannot_be_asked_for(client: TestClient, asked: object, found: object) -> None:
    assert calls.errors(client.post("/variables/filter", json=asked)) == found


def test_an_offset_that_no_database_can_count_to(client: TestClient) -> None:
    assert client.post("/variables/filter", json={"offset": 10**20}).status == 422


def test_a_limit_over_the_page_size(client: TestClient) -> None:
    answer = client.post("/variables/filter", json={"limit": 201})

    assert answer.json == {"detail": "Invalid limit: must be less than or equal to 200."}
