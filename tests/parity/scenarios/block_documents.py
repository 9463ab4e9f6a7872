"""Block documents, their secrets and what they refer to."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .block_types import make_type
from .common import ZERO, bad_bodies

FIELDS: dict[str, Any] = {
    "title": "$uniq",
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "block_type_slug": "$uniq",
    "secret_fields": ["password", "login.token", "headers.*"],
}
DATA: dict[str, Any] = {
    "x": "1",
    "password": "p",
    "login": {"user": "u", "token": "t"},
    "headers": {"a": "b", "c": {"d": None, "e": {}}},
    "n": 1.5,
    "none": None,
}
OWN = {"block_types": {"slug": {"any_": ["$uniq"]}}}


def ready(s: Session) -> None:
    make_type(s)
    body = {"block_type_id": "{type.id}", "fields": FIELDS, "capabilities": ["run"], "version": "1"}
    s.post("/block_schemas/", body, save="schema", only="status")


def document(s: Session, save: str = "a", data: Any = None, **more: Any) -> dict[str, Any]:
    body = {
        "name": save,
        "data": DATA if data is None else data,
        "block_schema_id": "{schema.id}",
        "block_type_id": "{type.id}",
        **more,
    }
    s.post("/block_documents/", body, save=save, only="status")
    return body


def ref(name: str) -> dict[str, Any]:
    return {"$ref": {"block_document_id": f"{{{name}.id}}"}}


@scenario
def create_and_read(s: Session) -> None:
    ready(s)
    body = {"name": "a", "data": DATA, "block_schema_id": "{schema.id}", "block_type_id": "{type.id}"}
    s.post("/block_documents/", body, save="a")
    s.get("/block_documents/{a.id}")
    s.get("/block_documents/{a.id}?include_secrets=true")
    s.get("/block_documents/{a.id}?include_secrets=false")
    s.get("/block_documents/{a.id}?include_secrets=maybe")
    s.get("/block_types/slug/$uniq/block_documents/name/a")
    s.get("/block_types/slug/$uniq/block_documents/name/a?include_secrets=true")
    s.get("/block_types/slug/$uniq/block_documents")
    s.get("/block_types/slug/$uniq/block_documents?include_secrets=1")
    s.get("/block_types/slug/$uniq/block_documents/name/none")
    s.post("/block_documents/", body)
    s.post("/block_documents/", {**body, "name": "b", "data": {}}, save="b")
    s.post("/block_documents/", {key: value for key, value in body.items() if key != "data"} | {"name": "c"})


@scenario
def names(s: Session) -> None:
    ready(s)
    common = {"data": {}, "block_schema_id": "{schema.id}", "block_type_id": "{type.id}"}
    for name in ("Upper", "a_b", "a b", "a/b", "a%", "é", "", None, 1, "a\n", "-", "9"):
        s.post("/block_documents/", {**common, "name": name}, only="status" if name in ("a\n", "-", "9") else None)
    s.post("/block_documents/", common)
    s.post("/block_documents/", {**common, "is_anonymous": False, "name": None})


@scenario
def anonymous(s: Session) -> None:
    ready(s)
    common = {"data": {}, "block_schema_id": "{schema.id}", "block_type_id": "{type.id}", "is_anonymous": True}
    s.post("/block_documents/", common, save="a")
    s.post("/block_documents/", {**common, "name": "named"}, save="b")
    s.post("/block_documents/", {**common, "name": "named"})
    s.get("/block_documents/{b.id}")
    s.get("/block_types/slug/$uniq/block_documents")
    s.get("/block_types/slug/$uniq/block_documents/name/named")
    s.post("/block_documents/filter", OWN)
    for anonymous in (None, {}, {"eq_": True}, {"eq_": False}, {"eq_": None}, {"eq_": "x"}):
        asked = {**OWN, "block_documents": {"is_anonymous": anonymous, "name": {"any_": ["named"]}}}
        s.post("/block_documents/filter", asked, pick="name")
        s.post("/block_documents/count", asked)
    s.delete("/block_documents/{a.id}")


@scenario
def create_badly(s: Session) -> None:
    ready(s)
    good = {"name": "a", "data": {}, "block_schema_id": "{schema.id}", "block_type_id": "{type.id}"}
    for change in (
        {"data": []},
        {"data": None},
        {"block_schema_id": "x"},
        {"block_type_id": None},
        {"is_anonymous": "x"},
        {"block_schema_id": ZERO},
        {"block_type_id": ZERO},
        {"unknown": 1},
        {"id": ZERO},
    ):
        s.post("/block_documents/", {**good, **change})
    for missing in ("block_schema_id", "block_type_id"):
        s.post("/block_documents/", {key: value for key, value in good.items() if key != missing})
    bad_bodies(s, "POST", "/block_documents/")
    s.post("/block_documents/count", OWN)


@scenario
def change(s: Session) -> None:
    ready(s)
    document(s)
    secret = "/block_documents/{a.id}?include_secrets=true"
    for body in (
        {"data": {"x": "2"}},
        {"data": {"password": "********", "x": "3"}},
        {"data": {"password": "new", "login": {"token": "********"}}},
        {"data": {"headers": {"a": "********"}}},
        {"data": {"headers": {"a": "z"}}},
        {},
        {"data": {}},
        {"merge_existing_data": False, "data": {"x": "4", "password": "********"}},
        {"merge_existing_data": False, "data": {"login": {"token": "********"}}},
        {"merge_existing_data": False},
        {"data": {"password": "again"}, "merge_existing_data": True, "block_schema_id": "{schema.id}"},
    ):
        s.patch("/block_documents/{a.id}", body)
        s.get(secret)
    s.get("/block_documents/{a.id}")


@scenario
def change_badly(s: Session) -> None:
    ready(s)
    document(s)
    for body in (
        {"data": []},
        {"data": None},
        {"merge_existing_data": "x"},
        {"block_schema_id": "x"},
        {"block_schema_id": ZERO, "data": {"x": "1"}},
        {"name": "x"},
        {"block_type_id": "{type.id}"},
        [],
    ):
        s.patch("/block_documents/{a.id}", body)
    bad_bodies(s, "PATCH", "/block_documents/{a.id}")
    s.patch(f"/block_documents/{ZERO}", {"data": {}})
    s.patch("/block_documents/x", {"data": {}})
    s.get("/block_documents/{a.id}?include_secrets=true")


@scenario
def another_schema(s: Session) -> None:
    ready(s)
    body = {"block_type_id": "{type.id}", "fields": {**FIELDS, "secret_fields": ["x"]}, "version": "2"}
    s.post("/block_schemas/", body, save="newer", only="status")
    make_type(s, "other", "$uniq-other")
    s.post("/block_schemas/", {"block_type_id": "{other.id}", "fields": {}, "version": "$uniq"}, save="foreign")
    document(s)
    s.patch("/block_documents/{a.id}", {"block_schema_id": "{newer.id}"})
    s.get("/block_documents/{a.id}")
    s.patch("/block_documents/{a.id}", {"block_schema_id": "{newer.id}", "data": {"x": "2"}})
    s.get("/block_documents/{a.id}")
    s.patch("/block_documents/{a.id}", {"block_schema_id": "{foreign.id}", "data": {"x": "3"}})
    s.get("/block_documents/{a.id}?include_secrets=true")


@scenario
def delete(s: Session) -> None:
    ready(s)
    document(s)
    document(s, "b", {"child": ref("a")})
    s.delete("/block_documents/{a.id}")
    s.get("/block_documents/{a.id}")
    s.get("/block_documents/{b.id}")
    s.delete("/block_documents/{a.id}")
    s.delete("/block_documents/x")
    s.get("/block_documents/x")


@scenario
def references(s: Session) -> None:
    ready(s)
    document(s, "a", {"password": "p", "x": "1"})
    document(s, "b", {"child": ref("a"), "x": "2"})
    document(s, "c", {"child": ref("b"), "other": ref("a"), "list": [ref("a")], "deep": {"in": ref("a")}})
    for name in "abc":
        s.get(f"/block_documents/{{{name}.id}}")
        s.get(f"/block_documents/{{{name}.id}}?include_secrets=true")
    s.post("/block_documents/filter", OWN, pick="data")
    s.patch("/block_documents/{a.id}", {"data": {"x": "changed"}})
    s.get("/block_types/slug/$uniq/block_documents/name/c")
    s.patch("/block_documents/{c.id}", {"data": {"child": ref("a"), "other": ref("a"), "list": [], "deep": 1}})
    s.get("/block_documents/{c.id}")
    s.patch("/block_documents/{c.id}", {"data": {"child": "no block", "x": "1"}, "merge_existing_data": False})
    s.get("/block_documents/{c.id}")


@scenario
def a_patch_keeps_references(s: Session) -> None:
    ready(s)
    document(s, "a", {"x": "1"})
    document(s, "b", {"child": ref("a"), "x": "2"})
    s.patch("/block_documents/{b.id}", {"data": {"x": "3"}})
    s.get("/block_documents/{b.id}")


@scenario
def references_badly(s: Session) -> None:
    ready(s)
    document(s, "a", {"x": "1"})
    document(s, "b", {"child": ref("a")})
    for reference in ("x", None, {}, {"block_document_id": None}, {"block_document_id": "x"}):
        body = {"name": "c", "block_schema_id": "{schema.id}", "block_type_id": "{type.id}"}
        s.post("/block_documents/", {**body, "data": {"child": {"$ref": reference}}})
    s.post("/block_documents/", {**body, "data": {"child": {"$ref": {"block_document_id": ZERO}}}})
    s.patch("/block_documents/{a.id}", {"data": {"up": ref("b")}})
    s.patch("/block_documents/{a.id}", {"data": {"self": ref("a")}})
    s.get("/block_documents/{a.id}")
    s.post("/block_documents/count", OWN)


@scenario
def a_secret_that_is_an_object(s: Session) -> None:
    ready(s)
    document(s, "a", {"password": {"user": "u", "token": "t"}})
    s.get("/block_documents/{a.id}")
    s.patch("/block_documents/{a.id}", {"data": {"password": "********"}})
    s.get("/block_documents/{a.id}?include_secrets=true")


@scenario
def lists(s: Session) -> None:
    ready(s)
    for name in ("b", "a", "cc"):
        document(s, name, {"x": name})
    s.post("/block_documents/filter", OWN | {"limit": 1})
    for one in (
        {},
        {"name": {"any_": ["a", "b"]}},
        {"name": {"any_": []}},
        {"name": {"like_": "C"}},
        {"id": {"any_": ["{a.id}"]}},
        {"block_type_id": {"any_": ["{type.id}"]}},
        {"block_type_id": {"any_": []}},
        {"operator": "or_", "name": {"any_": ["a"]}, "id": {"any_": ["{b.id}"]}, "is_anonymous": None},
        {"operator": "or_", "name": {"any_": ["a"]}},
    ):
        s.post("/block_documents/filter", {**OWN, "block_documents": one}, pick="name")
        s.post("/block_documents/count", {**OWN, "block_documents": one})
    for more in (
        {"sort": "NAME_DESC"},
        {"sort": "BLOCK_TYPE_AND_NAME_ASC"},
        {"sort": None},
        {"limit": 1, "offset": 1},
        {"limit": 0},
        {"block_schemas": {}},
        {"block_schemas": {"block_capabilities": {"all_": ["run"]}}},
        {"block_schemas": {"block_capabilities": {"all_": ["walk"]}}},
        {"block_schema_type": None},
        {"include_secrets": True},
    ):
        s.post("/block_documents/filter", {**OWN, **more}, pick="name")
    for asked in (
        {"block_documents": 1},
        {"block_documents": {"unknown": 1}},
        {"block_documents": {"id": {"any_": ["x"]}}},
        {"block_types": {"operator": "and_"}},
        {"include_secrets": "x"},
        {"sort": "ID_DESC"},
        {"limit": 201},
        {"offset": -1},
    ):
        s.post("/block_documents/filter", asked)
    s.post("/block_documents/count", {"block_documents": 1})


@scenario
def default_result_storage(s: Session) -> None:
    ready(s)
    s.post(
        "/block_schemas/",
        {"block_type_id": "{type.id}", "fields": {"title": "W $uniq"}, "capabilities": ["write-path"]},
        save="writing",
        only="status",
    )
    document(s)
    document(s, "w", {}, block_schema_id="{writing.id}")
    s.put("/admin/storage", {"default_result_storage_block_id": "{a.id}"})
    s.put("/admin/storage", {"default_result_storage_block_id": ZERO})
    for path in ("/block_documents/{w.id}", "/block_schemas/{writing.id}", "/block_types/{type.id}"):
        s.put("/admin/storage", {"default_result_storage_block_id": "{w.id}"})
        s.get("/admin/storage")
        s.delete(path)
        s.get("/admin/storage")
        if "documents" in path:
            document(s, "w", {}, block_schema_id="{writing.id}")
        elif "schemas" in path:
            body = {"block_type_id": "{type.id}", "fields": {"title": "V $uniq"}, "capabilities": ["write-path"]}
            s.post("/block_schemas/", body, save="writing", only="status")
            document(s, "w", {}, block_schema_id="{writing.id}")
