"""Block documents: what is stored, who sees it, and what refers to what."""

from __future__ import annotations

from typing import Any

import pytest
from tests import calls
from tests.blocks import making
from tests.blocks.making import a_document, referring_to, secrets_of
from tests.web.client import TestClient

from lictor.blocks import secrets
from lictor.db import Database, sql

STORED = sql("test.blocks.stored", str, "select data from block_document order by id")
PAYLOADS = sql("test.blocks.payloads", None, "select payload from events order by position")

DATA: dict[str, Any] = {
    "host": "h",
    "password": "p4ss",
    "headers": {"Authorization": "b3arer"},
    "login": {"user": "u", "token": "t0ken"},
}


@pytest.fixture
def schema(client: TestClient) -> dict[str, Any]:
    return making.a_schema(client, making.a_type(client))


def test_secrets_are_for_those_who_ask(client: TestClient, schema: dict[str, Any]) -> None:
    made = a_document(client, schema, "one", data=DATA)

    mask = secrets.MASK
    shown = {
        "host": "h",
        "password": mask,
        "headers": {"Authorization": mask},
        "login": {"user": "u", "token": mask},
    }
    by_name = "/block_types/slug/thing/block_documents/name/one"
    listed = client.post("/block_documents/filter", json={}).json
    assert made["data"] == shown
    assert client.get(by_name).json == made
    assert listed == [made]
    assert client.get(f"{by_name}?include_secrets=true").json["data"] == DATA
    assert client.post("/block_documents/filter", json={"include_secrets": True}).json[0]["data"] == DATA
    assert client.get("/block_types/slug/thing/block_documents?include_secrets=true").json[0]["data"] == DATA


def test_no_secret_is_in_the_database(client: TestClient, schema: dict[str, Any], db: Database) -> None:
    document = a_document(client, schema, "one", data=DATA)
    changed = {"password": "n3w-passw0rd", "host": "another.host"}
    client.patch(f"/block_documents/{document['id']}", json={"data": changed})
    client.delete(f"/block_documents/{a_document(client, schema, 'two', data=DATA)['id']}")

    kept = "".join(db.read_now(lambda tx: tx.all(STORED)))
    told = "".join(str(row[0]) for row in db.read_now(lambda tx: tx.all(PAYLOADS)))

    for text in ("p4ss", "b3arer", "t0ken", "n3w-passw0rd"):
        assert text not in kept
        assert text not in told
    assert "another.host" not in kept
    assert "another.host" in told


def test_events_tell_of_named_documents(client: TestClient, schema: dict[str, Any], db: Database) -> None:
    document = a_document(client, schema, "one", data=DATA)
    anonymous = a_document(client, schema, None, data={}, is_anonymous=True)
    client.patch(f"/block_documents/{anonymous['id']}", json={"data": {"host": "x"}})
    client.delete(f"/block_documents/{anonymous['id']}")
    client.patch(f"/block_documents/{document['id']}", json={"data": {"host": "x"}})
    client.delete(f"/block_documents/{document['id']}")

    names = [name for name in calls.event_names(db) if "document" in name]
    assert names == [f"prefect.block-document.{action}" for action in ("created", "updated", "deleted")]
    told = calls.last_event(db)
    assert (told["payload"]["name"], told["payload"]["data"]) == ("one", {"host": "x"})
    assert told["payload"]["block_schema"]["block_type"]["name"] == "Thing"


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({"data": {"host": "x"}}, DATA | {"host": "x"}),
        ({"data": {"password": secrets.MASK}}, DATA),
        ({"data": {"login": {"user": "v", "token": secrets.MASK}}}, DATA | {"login": {"user": "v", "token": "t0ken"}}),
        ({"data": {"headers": {"Authorization": secrets.MASK, "X": "y"}}},
         DATA | {"headers": {"Authorization": "b3arer", "X": "y"}}),
        ({"data": {"headers": secrets.MASK}}, DATA),
        ({"data": {"x": secrets.MASK}}, DATA | {"x": secrets.MASK}),
        ({"data": {"password": secrets.MASK}, "merge_existing_data": False}, {"password": "p4ss"}),
        ({"merge_existing_data": False}, {}),
        ({}, DATA),
    ],
)  # fmt: skip
def test_patches(client: TestClient, schema: dict[str, Any], patch: dict[str, Any], data: dict[str, Any]) -> None:
    document = a_document(client, schema, data=DATA)

    assert client.patch(f"/block_documents/{document['id']}", json=patch).status == 204

    assert secrets_of(client, document) == data


def test_a_document_moves_to_another_schema_of_its_type(client: TestClient, schema: dict[str, Any]) -> None:
    document = a_document(client, schema, data={"host": "h", "password": "p"})
    newer = making.a_schema(client, schema["block_type"], {**making.FIELDS, "secret_fields": ["host"]}, version="2")
    other = making.a_schema(client, making.a_type(client, "other"))
    path = f"/block_documents/{document['id']}"

    assert client.patch(path, json={"block_schema_id": newer["id"], "data": {}}).status == 204
    assert client.get(path).json["data"] == {"host": secrets.MASK, "password": "p"}
    answer = client.patch(path, json={"block_schema_id": other["id"], "data": {"host": "x"}})
    assert (answer.status, answer.json["detail"]) == (
        400,
        "Must migrate block document to a block schema of the same block type.",
    )
    assert client.patch(path, json={"block_schema_id": calls.NOWHERE, "data": {}}).status == 400
    assert secrets_of(client, document)["host"] == "h"


def test_a_document_has_the_data_of_those_that_it_refers_to(client: TestClient, schema: dict[str, Any]) -> None:
    low = a_document(client, schema, "low", data={"password": "p"})
    middle = a_document(client, schema, "middle", data={"low": referring_to(low), "host": "m"})
    top = a_document(client, schema, "top", data={"middle": referring_to(middle), "low": referring_to(low)})

    assert top["data"] == {
        "middle": {"host": "m", "low": {"password": secrets.MASK}},
        "low": {"password": secrets.MASK},
    }
    assert secrets_of(client, top)["middle"]["low"] == {"password": "p"}
    inner = top["block_document_references"]["middle"]["block_document"]
    assert (inner["id"], inner["name"], inner["block_type"]["slug"]) == (middle["id"], "middle", "thing")
    assert inner["block_document_references"]["low"]["block_document"]["id"] == low["id"]

    client.patch(f"/block_documents/{low['id']}", json={"data": {"password": "new"}})
    client.patch(f"/block_documents/{top['id']}", json={"data": {"host": "t"}})
    assert secrets_of(client, top) == {
        "host": "t",
        "middle": {"host": "m", "low": {"password": "new"}},
        "low": {"password": "new"},
    }
    client.delete(f"/block_documents/{low['id']}")
    assert secrets_of(client, top) == {"host": "t", "middle": {"host": "m"}}


def test_references_in_a_circle(client: TestClient, schema: dict[str, Any]) -> None:
    one = a_document(client, schema, "one", data={"host": "1"})
    two = a_document(client, schema, "two", data={"up": referring_to(one)})

    for target in (one, two):
        answer = client.patch(f"/block_documents/{one['id']}", json={"data": {"x": referring_to(target)}})
        assert answer.status == 400
        assert "cycle" in answer.json["detail"]
    assert secrets_of(client, one) == {"host": "1"}


def test_references_without_end(client: TestClient, schema: dict[str, Any]) -> None:
    last = a_document(client, schema, "d0", data={})
    for depth in range(1, 51):
        last = a_document(client, schema, f"d{depth}", data={"below": referring_to(last)})

    body = {"name": "d51", "block_schema_id": schema["id"], "block_type_id": schema["block_type_id"]}
    answer = client.post("/block_documents/", json={**body, "data": {"below": referring_to(last)}})

    assert answer.status == 400
    assert "exceeds max depth 50" in answer.json["detail"]


@pytest.mark.parametrize("reference", ["x", None, {}, 1, {"block_document_id": None}, {"block_document_id": 5}])
def test_references_that_are_none(client: TestClient, schema: dict[str, Any], reference: Any) -> None:
    body = {"name": "a", "block_schema_id": schema["id"], "block_type_id": schema["block_type_id"]}

    assert client.post("/block_documents/", json={**body, "data": {"x": {"$ref": reference}}}).status == 400


def test_what_is_not_there(client: TestClient, schema: dict[str, Any]) -> None:
    body = {"name": "a", "data": {}, "block_schema_id": schema["id"], "block_type_id": schema["block_type_id"]}
    assert client.post("/block_documents/", json=body | {"block_type_id": calls.NOWHERE}).status == 404
    assert client.post("/block_documents/", json=body | {"block_schema_id": calls.NOWHERE}).status == 409
    missing = referring_to({"id": calls.NOWHERE})
    assert client.post("/block_documents/", json=body | {"data": {"x": missing}}).status == 409
    assert client.post("/block_documents/count").json == 0


def test_lists_leave_anonymous_documents_out(client: TestClient, schema: dict[str, Any]) -> None:
    for name in ("b", "a"):
        a_document(client, schema, name, data={})
    hidden = a_document(client, schema, None, data={}, is_anonymous=True)
    assert hidden["name"].startswith("anonymous-")

    def names(**asked: Any) -> list[str]:
        return [one["name"] for one in client.post("/block_documents/filter", json=asked).json]

    assert names() == ["a", "b"]
    assert names(block_documents={"is_anonymous": {"eq_": True}}) == [hidden["name"]]
    assert len(names(block_documents={"is_anonymous": None})) == 3
    assert client.post("/block_documents/count").json == 2
    assert names(sort="NAME_DESC", limit=1) == ["b"]
    assert names(block_types={"slug": {"any_": ["other"]}}) == []


def test_the_default_result_storage_goes_with_its_block(client: TestClient) -> None:
    type_ = making.a_type(client)
    schema = making.a_schema(client, type_, capabilities=["write-path"])
    document = a_document(client, schema, data={})
    plain = a_document(client, making.a_schema(client, type_, {"title": "P"}), "plain", data={})

    assert client.put("/admin/storage", json={"default_result_storage_block_id": plain["id"]}).status == 422
    assert client.put("/admin/storage", json={"default_result_storage_block_id": document["id"]}).status == 200
    client.delete(f"/block_documents/{plain['id']}")
    assert client.get("/admin/storage").json == {"default_result_storage_block_id": document["id"]}
    client.delete(f"/block_schemas/{schema['id']}")
    assert client.get("/admin/storage").json == {"default_result_storage_block_id": None}


@pytest.mark.parametrize(
    ("data", "fields", "shown"),
    [
        ({"a": 1, "b": None}, ["a", "b", "c"], {"a": "********", "b": None}),
        ({"a": {"x": 1}}, ["a"], {"a": "********"}),
        ({"a": {"x": {}, "y": [1]}}, ["a.*"], {"a": {"x": "********", "y": "********"}}),
        ({"a": {"x": {"y": 1}, "z": 2}}, ["a.x.*"], {"a": {"x": {"y": "********"}, "z": 2}}),
        ({"a": {}}, ["a.*"], {"a": "********"}),
        ({"a": [{"b": 1}]}, ["a.b"], {"a": [{"b": 1}]}),
    ],
)
def test_what_is_masked(data: dict[str, Any], fields: list[str], shown: dict[str, Any]) -> None:
    assert secrets.masked(data, fields) == shown
    assert secrets.kept(shown, data, fields) == data
