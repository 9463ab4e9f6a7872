"""Block types, schemas and capabilities."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies

FIELDS: dict[str, Any] = {
    "title": "$uniq",
    "type": "object",
    "properties": {"x": {"type": "string", "title": "X"}},
    "required": ["x"],
    "block_type_slug": "$uniq",
    "secret_fields": [],
}


def make_type(s: Session, save: str = "type", slug: str = "$uniq", **more: Any) -> None:
    s.post("/block_types/", {"name": slug, "slug": slug, **more}, save=save, only="status")


def make_schema(s: Session, save: str = "schema", of: str = "type", **more: Any) -> None:
    body = {"block_type_id": f"{{{of}.id}}", "fields": FIELDS, **more}
    s.post("/block_schemas/", body, save=save, only="status")


@scenario
def create_type(s: Session) -> None:
    s.post(
        "/block_types/",
        {
            "name": "A name $uniq",
            "slug": "$uniq",
            "logo_url": "https://example.com/logo.png",
            "documentation_url": "not a url",
            "description": "<b>\"quoted\" & 'so'</b>",
            "code_example": "a < b and c > d",
        },
        save="type",
    )
    s.get("/block_types/{type.id}")
    s.get("/block_types/slug/$uniq")
    s.post("/block_types/", {"name": "Another $uniq", "slug": "$uniq"})
    s.post("/block_types/", {"name": "A name $uniq", "slug": "$uniq-2"})
    s.post("/block_types/", {"name": "Prefect $uniq", "slug": "$uniq-3"})
    s.post("/block_types/", {"name": "prefectly $uniq", "slug": "$uniq-3"})


@scenario
def create_type_badly(s: Session) -> None:
    for change in (
        {"name": "a/b"},
        {"name": "a%b"},
        {"name": ""},
        {"name": 1},
        {"name": None},
        {"slug": "Upper"},
        {"slug": "a_b"},
        {"slug": 1},
        {"slug": None},
        {"logo_url": 1},
        {"description": []},
        {"is_protected": True},
        {"unknown": 1},
    ):
        s.post("/block_types/", {"name": "N", "slug": "$uniq", **change})
    s.post("/block_types/", {"name": "N"})
    s.post("/block_types/", {"slug": "s"})
    bad_bodies(s, "POST", "/block_types/")


@scenario
def change_type(s: Session) -> None:
    make_type(s, description="<a>")
    s.patch("/block_types/{type.id}", {"description": "<b>", "logo_url": "l"})
    s.get("/block_types/{type.id}")
    s.patch("/block_types/{type.id}", {"description": None, "code_example": "c", "documentation_url": "d"})
    s.get("/block_types/{type.id}")
    s.patch("/block_types/{type.id}", {})
    for body in ({"name": "x"}, {"slug": "x"}, {"logo_url": 1}, {"unknown": 1}, []):
        s.patch("/block_types/{type.id}", body)
    s.patch(f"/block_types/{ZERO}", {"description": "x"})
    s.patch("/block_types/x", {})
    bad_bodies(s, "PATCH", "/block_types/{type.id}")


@scenario
def delete_type(s: Session) -> None:
    make_type(s)
    make_schema(s)
    s.post(
        "/block_documents/",
        {"name": "d", "data": {}, "block_schema_id": "{schema.id}", "block_type_id": "{type.id}"},
        save="document",
        only="status",
    )
    s.delete("/block_types/{type.id}")
    for path in ("/block_types/{type.id}", "/block_schemas/{schema.id}", "/block_documents/{document.id}"):
        s.get(path)
    s.delete("/block_types/{type.id}")
    s.delete("/block_types/x")
    s.get("/block_types/slug/secret", save="secret", only="status")
    s.delete("/block_types/{secret.id}")


@scenario
def missing_types(s: Session) -> None:
    for path in (f"/block_types/{ZERO}", "/block_types/x", "/block_types/slug/$uniq", "/block_types/slug/a%2Fb"):
        s.get(path)
    for end in ("", "/name/x", "?include_secrets=true", "?include_secrets=x"):
        s.get(f"/block_types/slug/$uniq/block_documents{end}")
    s.get("/block_types/")


@scenario
def list_types(s: Session) -> None:
    make_type(s, "b", "$uniq-b")
    make_type(s, "a", "$uniq-a")
    make_schema(s, of="a", capabilities=["run", "$uniq"])
    own = {"block_types": {"name": {"like_": "$uniq"}}}
    s.post("/block_types/filter", own)
    for asked in (
        {"block_types": {"slug": {"any_": ["$uniq-a", "$uniq-b", "none"]}}},
        {"block_types": {"slug": {"any_": []}}},
        {"block_types": {"name": {"like_": "$uniq-B"}}},
        {**own, "block_schemas": {}},
        {**own, "block_schemas": {"block_capabilities": {"all_": ["$uniq"]}}},
        {**own, "block_schemas": {"block_capabilities": {"all_": ["$uniq", "other"]}}},
        {**own, "block_schemas": {"block_capabilities": {"all_": []}}},
        {**own, "block_schemas": None, "limit": 1, "offset": 1},
        {**own, "sort": "x", "unknown": 1},
    ):
        s.post("/block_types/filter", asked, pick="slug")
    for asked in (
        {"block_types": {"operator": "or_"}},
        {"block_types": {"id": {"any_": []}}},
        {"block_types": {"name": {"any_": ["x"]}}},
        {"block_schemas": {"operator": "x"}},
        {"block_schemas": {"unknown": 1}},
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
    ):
        s.post("/block_types/filter", asked)


@scenario
def standard_types(s: Session) -> None:
    for slug in ("secret", "slack-webhook", "s3-bucket", "local-file-system", "dbt-cli-profile"):
        s.get(f"/block_types/slug/{slug}", save="type")
        asked = {"block_schemas": {"block_type_id": {"any_": ["{type.id}"]}}}
        s.post("/block_schemas/filter", asked, unordered=("capabilities",))
    s.post("/block_types/install_system_block_types")


@scenario
def change_a_protected_type(s: Session) -> None:
    s.get("/block_types/slug/webhook", save="type", only="status")
    s.patch("/block_types/{type.id}", {"description": "{type.description}", "code_example": "$uniq"})
    s.get("/block_types/{type.id}")
    s.post("/block_types/install_system_block_types")
    s.get("/block_types/{type.id}")


@scenario
def create_schema(s: Session) -> None:
    make_type(s)
    body = {"block_type_id": "{type.id}", "fields": FIELDS, "capabilities": ["b", "a", "b"], "version": "$uniq"}
    s.post("/block_schemas/", body, save="schema")
    s.get("/block_schemas/{schema.id}")
    s.get("/block_schemas/checksum/{schema.checksum}")
    s.get("/block_schemas/checksum/{schema.checksum}?version=$uniq")
    s.get("/block_schemas/checksum/{schema.checksum}?version=other")
    s.post("/block_schemas/", {**body, "capabilities": []})
    s.post("/block_schemas/", {**body, "version": "$uniq-2"}, save="newer")
    s.get("/block_schemas/checksum/{schema.checksum}")
    s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": {**FIELDS, "title": "Other"}})
    s.post("/block_schemas/", {"block_type_id": "{type.id}"}, only="status")


@scenario
def create_schema_badly(s: Session) -> None:
    make_type(s)
    s.post("/block_schemas/", {"block_type_id": ZERO, "fields": {}})
    for body in (
        {},
        {"block_type_id": "x"},
        {"block_type_id": None},
        {"block_type_id": "{type.id}", "fields": []},
        {"block_type_id": "{type.id}", "fields": None},
        {"block_type_id": "{type.id}", "capabilities": "x"},
        {"block_type_id": "{type.id}", "capabilities": [1]},
        {"block_type_id": "{type.id}", "version": None},
        {"block_type_id": "{type.id}", "version": 1},
        {"block_type_id": "{type.id}", "checksum": "x"},
    ):
        s.post("/block_schemas/", body)
    bad_bodies(s, "POST", "/block_schemas/")


def nested(name: str, slug: str, definitions: dict[str, Any], checksum: str = "sha256:none") -> dict[str, Any]:
    """A field that is a block."""
    return {
        "title": name,
        "type": "object",
        "properties": {"child": {"$ref": "#/definitions/Child"}, "plain": {"$ref": "#/definitions/Plain"}},
        "definitions": definitions,
        "block_schema_references": {"child": {"block_type_slug": slug, "block_schema_checksum": checksum}},
        "block_type_slug": "$uniq",
        "secret_fields": ["child.token"],
    }


CHILD = {
    "title": "Child",
    "type": "object",
    "properties": {"token": {"type": "string"}},
    "block_type_slug": "$uniq-child",
    "secret_fields": ["token"],
    "block_schema_references": {},
}
PLAIN = {"title": "Plain", "type": "object", "properties": {"deeper": {"$ref": "#/definitions/Deeper"}}}
DEFINITIONS = {"Child": CHILD, "Plain": PLAIN, "Deeper": {"title": "Deeper", "type": "string"}, "Unused": {"a": 1}}


@scenario
def nested_schemas(s: Session) -> None:
    make_type(s)
    make_type(s, "child", "$uniq-child")
    fields = nested("Parent", "$uniq-child", DEFINITIONS)
    s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": fields}, save="schema")
    s.get("/block_schemas/{schema.id}")
    s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": ["{child.id}"]}}})
    s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": fields}, only="status")
    s.get("/block_schemas/checksum/{schema.checksum}")
    missing = nested("Parent", "$uniq-nobody", DEFINITIONS)
    s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": missing})


@scenario
def either_of_two_blocks(s: Session) -> None:
    make_type(s)
    make_type(s, "one", "$uniq-one")
    make_type(s, "two", "$uniq-two")
    kinds = {
        name: {"title": name, "type": "object", "properties": {}, "block_type_slug": f"$uniq-{name.lower()}"}
        for name in ("One", "Two")
    }
    fields = {
        "title": "Either",
        "type": "object",
        "properties": {"it": {"anyOf": [{"$ref": "#/definitions/One"}, {"$ref": "#/definitions/Two"}]}},
        "definitions": kinds,
        "block_schema_references": {
            "it": [
                {"block_type_slug": "$uniq-one", "block_schema_checksum": "sha256:1"},
                {"block_type_slug": "$uniq-two", "block_schema_checksum": "sha256:2"},
            ]
        },
        "block_type_slug": "$uniq",
        "secret_fields": [],
    }
    s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": fields}, save="schema")
    s.get("/block_schemas/{schema.id}", masked=("it",))


@scenario
def nested_schemas_badly(s: Session) -> None:
    make_type(s)
    make_type(s, "child", "$uniq-child")
    for references in (
        {"child": {}},
        {"child": {"block_type_slug": "$uniq-child"}},
        {"child": {"block_schema_checksum": "x"}},
        {"child": "x"},
        {"other": {"block_type_slug": "$uniq-child", "block_schema_checksum": "x"}},
        "x",
    ):
        fields = {**nested("Bad", "$uniq-child", {}), "block_schema_references": references}
        s.post("/block_schemas/", {"block_type_id": "{type.id}", "fields": fields})


@scenario
def list_schemas(s: Session) -> None:
    make_type(s)
    make_schema(s, "a", version="$uniq-1", capabilities=["x", "y"])
    make_schema(s, "b", version="$uniq-2", capabilities=["x"])
    own = {"block_type_id": {"any_": ["{type.id}"]}}
    s.post("/block_schemas/filter", {"block_schemas": own})
    for one in (
        {"block_capabilities": {"all_": ["x"]}},
        {"block_capabilities": {"all_": ["x", "y"]}},
        {"block_capabilities": {"all_": []}},
        {"id": {"any_": ["{a.id}"]}},
        {"id": {"any_": []}},
        {"version": {"any_": ["$uniq-1"]}},
        {"version": {"any_": []}},
    ):
        s.post("/block_schemas/filter", {"block_schemas": {**own, **one}}, pick="version")
    either = {"operator": "or_", "id": {"any_": ["{a.id}"]}, "version": {"any_": ["$uniq-2"]}}
    s.post("/block_schemas/filter", {"block_schemas": either}, pick="version")
    for page in ({"limit": 1}, {"limit": 1, "offset": 1}, {"limit": 0}, {"offset": 5}):
        s.post("/block_schemas/filter", {"block_schemas": own, **page}, pick="version")
    for asked in ({"block_schemas": {"checksum": "x"}}, {"block_schemas": 1}, {"limit": 201}, {"offset": -1}):
        s.post("/block_schemas/filter", asked)


@scenario
def delete_schema(s: Session) -> None:
    make_type(s)
    make_schema(s)
    s.delete("/block_schemas/{schema.id}")
    s.get("/block_schemas/{schema.id}")
    s.get("/block_schemas/checksum/{schema.checksum}")
    s.delete("/block_schemas/{schema.id}")
    s.delete("/block_schemas/x")
    s.get("/block_types/slug/secret", save="secret", only="status")
    asked = {"block_schemas": {"block_type_id": {"any_": ["{secret.id}"]}}}
    s.post("/block_schemas/filter", asked, save="found", only="status")
    s.delete("/block_schemas/{found.0.id}")


@scenario
def missing_schemas(s: Session) -> None:
    for path in (f"/block_schemas/{ZERO}", "/block_schemas/x", "/block_schemas/checksum/x", "/block_schemas/"):
        s.get(path)


@scenario
def capabilities(s: Session) -> None:
    s.get("/block_capabilities/", only="status")
    s.post("/block_capabilities/", {})
