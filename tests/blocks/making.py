"""Blocks for tests, made through the API."""

from __future__ import annotations

from typing import Any

from tests.web.client import TestClient

FIELDS: dict[str, Any] = {
    "title": "Thing",
    "type": "object",
    "properties": {"host": {"type": "string"}, "password": {"type": "string"}},
    "secret_fields": ["password", "headers.*", "login.token"],
}


def a_type(client: TestClient, slug: str = "thing", name: str | None = None, **more: Any) -> dict[str, Any]:
    answer = client.post("/block_types/", json={"name": name or slug.title(), "slug": slug, **more})
    assert answer.status == 201, answer
    return answer.json


def a_schema(
    client: TestClient, type_: dict[str, Any], fields: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    body = {"block_type_id": type_["id"], "fields": {**(fields or FIELDS), "block_type_slug": type_["slug"]}, **more}
    answer = client.post("/block_schemas/", json=body)
    assert answer.status == 201, answer
    return answer.json


def a_document(client: TestClient, schema: dict[str, Any], name: str | None = "one", **more: Any) -> dict[str, Any]:
    """With `data` and, perhaps, `is_anonymous`."""
    body = {"name": name, "block_schema_id": schema["id"], "block_type_id": schema["block_type_id"], **more}
    answer = client.post("/block_documents/", json=body)
    assert answer.status == 201, answer
    return answer.json


def secrets_of(client: TestClient, document: dict[str, Any]) -> dict[str, Any]:
    """The document's data in clear."""
    return client.get(f"/block_documents/{document['id']}?include_secrets=true").json["data"]


def referring_to(document: dict[str, Any]) -> dict[str, Any]:
    return {"$ref": {"block_document_id": document["id"]}}
