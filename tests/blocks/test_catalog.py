"""Block types and schemas, as the reference answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests import calls
from tests.blocks import making
from tests.web.client import TestClient

from lictor.blocks import standard
from lictor.blocks.checksums import checksum
from lictor.db import Database


def test_a_type_is_made_changed_and_deleted(client: TestClient, db: Database) -> None:
    made = making.a_type(client, "thing", "A thing", description="a < b", code_example='"c"')
    assert (made["description"], made["code_example"], made["is_protected"]) == ("a &lt; b", '"c"', False)

    assert client.patch(f"/block_types/{made['id']}", json={"description": "a < b"}).status == 204
    assert client.get("/block_types/slug/thing").json == made  # it is the same
    assert client.patch(f"/block_types/{made['id']}", json={"description": None, "logo_url": "l"}).status == 204
    changed = client.get(f"/block_types/{made['id']}").json
    assert (changed["description"], changed["logo_url"], changed["code_example"]) == (None, "l", '"c"')
    assert client.delete(f"/block_types/{made['id']}").status == 204
    assert client.get("/block_types/slug/thing").status == 404

    assert calls.event_names(db) == [f"prefect.block-type.{action}" for action in ("created", "updated", "deleted")]
    told = calls.last_event(db)
    assert told["resource"]["prefect.resource.name"] == "A thing"
    assert told["payload"]["slug"] == "thing"


def test_a_slug_is_taken_once(client: TestClient) -> None:
    making.a_type(client, "thing")

    answer = client.post("/block_types/", json={"name": "Other", "slug": "thing"})

    assert (answer.status, answer.json["detail"]) == (409, 'Block type with name "Other" already exists')


def test_a_type_goes_with_its_schemas_and_documents(client: TestClient) -> None:
    schema = making.a_schema(client, making.a_type(client))
    document = making.a_document(client, schema, data={})

    client.delete(f"/block_types/{schema['block_type_id']}")

    assert client.get(f"/block_schemas/{schema['id']}").status == 404
    assert client.get(f"/block_documents/{document['id']}").status == 404


def test_a_schema_is_found_again_by_what_is_in_it(client: TestClient) -> None:
    type_ = making.a_type(client)
    made = making.a_schema(client, type_, version="1", capabilities=["run"])
    body = {"block_type_id": type_["id"], "fields": {**made["fields"]}, "version": "1"}
    del body["fields"]["block_schema_references"]

    again = client.post("/block_schemas/", json=body)

    assert (again.status, again.json) == (200, made)
    newer = making.a_schema(client, type_, version="2")
    assert client.get(f"/block_schemas/checksum/{made['checksum']}").json == newer
    assert client.get(f"/block_schemas/checksum/{made['checksum']}?version=1").json == made
    assert client.get("/block_capabilities/").json == ["run"]


def nested_fields(**references: Any) -> dict[str, Any]:
    inner = {"title": "Inner", "type": "object", "properties": {"y": {"type": "string"}}, "block_type_slug": "inner"}
    return {
        "title": "Outer",
        "type": "object",
        "properties": {"inner": {"$ref": "#/definitions/Inner"}, "plain": {"$ref": "#/definitions/Plain"}},
        "definitions": {"Inner": inner, "Plain": {"properties": {"itself": {"$ref": "#/definitions/Plain"}}}},
        "block_schema_references": references,
    }


def test_a_nested_block_gets_a_schema_of_its_own(client: TestClient) -> None:
    outer, inner = making.a_type(client, "outer"), making.a_type(client, "inner")
    reference = {"block_type_slug": "inner", "block_schema_checksum": "sha256:unknown"}

    made = making.a_schema(client, outer, nested_fields(inner=reference))

    [own] = client.post(
        "/block_schemas/filter", json={"block_schemas": {"block_type_id": {"any_": [inner["id"]]}}}
    ).json
    assert (own["version"], own["fields"]["title"]) == ("non-versioned", "Inner")
    read = client.get(f"/block_schemas/{made['id']}").json["fields"]
    assert read["block_schema_references"]["inner"]["block_schema_checksum"] == own["checksum"]
    assert set(read["definitions"]) == {"Inner", "Plain"}
    assert client.post("/block_schemas/", json={"block_type_id": outer["id"], "fields": made["fields"]}).status == 200


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ({"block_type_slug": "nobody", "block_schema_checksum": "x"}, 409),
        ({"block_type_slug": "outer"}, 400),
        ("x", 400),
        ([1], 400),
    ],
)
def test_references_that_lead_nowhere(client: TestClient, reference: Any, status: int) -> None:
    outer = making.a_type(client, "outer")

    answer = client.post(
        "/block_schemas/", json={"block_type_id": outer["id"], "fields": nested_fields(inner=reference)}
    )

    assert answer.status == status
    assert client.post("/block_schemas/filter", json={}).json == []  # nothing is left of it


@pytest.mark.parametrize("fields", [{"definitions": [1]}, {"definitions": "x"}, {"properties": 1}])
def test_fields_that_are_no_schema(client: TestClient, fields: Any) -> None:
    type_ = making.a_type(client)

    assert client.post("/block_schemas/", json={"block_type_id": type_["id"], "fields": fields}).status == 400


def test_the_standard_blocks_are_installed_once(client: TestClient, db: Database) -> None:
    assert standard.install_if_new(db)
    assert not standard.install_if_new(db)

    types = client.post("/block_types/filter", json={}).json
    assert len(types) == 54
    assert {one["slug"] for one in types if one["is_protected"]} == {"secret", "webhook", "local-file-system"}
    wanted = {"secret", "slack-webhook", "custom-webhook", "remote-file-system", "smb", "s3-bucket"}
    assert wanted <= {one["slug"] for one in types}
    assert calls.event_names(db) == []
    capable = {"block_schemas": {"block_capabilities": {"all_": ["notify"]}}}
    assert len(client.post("/block_types/filter", json=capable).json) == 9


def test_what_was_changed_or_deleted_comes_back_on_request(client: TestClient, db: Database) -> None:
    standard.install_if_new(db)
    slack = client.get("/block_types/slug/slack-webhook").json
    client.delete(f"/block_types/{slack['id']}")
    secret = client.get("/block_types/slug/secret").json
    client.patch(f"/block_types/{secret['id']}", json={"description": "mine"})
    assert client.delete(f"/block_types/{secret['id']}").status == 403

    assert client.post("/block_types/install_system_block_types").status == 200

    assert client.get("/block_types/slug/slack-webhook").status == 200
    again = client.get("/block_types/slug/secret").json
    assert (again["id"], again["description"]) == (secret["id"], secret["description"])
    assert len(client.post("/block_types/filter", json={}).json) == 54


def test_the_client_s_checksums_are_ours() -> None:
    found = standard.edition().blocks().schemas
    plain = [one for one in found if not one.references and one.version != "non-versioned"]
    wrong = []
    for one in plain:
        # As the client has them: with the references, which are none.
        fields = json.loads(bytes(one.fields)) | {"block_schema_references": {}}
        if checksum(fields) != one.checksum:
            wrong.append(one.slug)
    assert len(plain) > 30
    assert wrong == []


def test_a_checksum_does_not_depend_on_secrets_or_order() -> None:
    one = {"title": "T", "secret_fields": ["x"], "properties": {"é": {"type": "string", "secret_fields": []}}}
    two = {"properties": {"é": {"type": "string"}}, "title": "T"}

    assert checksum(one) == checksum(two)
    assert checksum(two) == "sha256:" + EXPECTED


# As `prefect.blocks.core.Block._calculate_schema_checksum` of these fields.
EXPECTED = "7ffb111c8c7fa1488431c1604f7cb08c92eae8ee6c58b401ec45a404d575e1cc"
