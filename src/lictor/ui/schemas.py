"""/ui/schemas: the values of a form that is being filled in, held against its JSON Schema."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lictor.db import Database, Tx
from lictor.kit.errors import Unprocessable
from lictor.parameters import hydrate_draft, schemas
from lictor.web import Embedded, Router

Tree = list[Any]
"""Texts, and {"property": name, "errors": Tree} or {"index": number, "errors": Tree}."""


class SchemaValues(Embedded):
    json_schema: dict[str, Any] = msgspec.field(name="schema")
    values: dict[str, Any]


class SchemaValuesValidationResponse(Struct):
    errors: Tree
    valid: bool


async def validate(db: Database, form: SchemaValues) -> SchemaValuesValidationResponse:
    """All errors, each at its place. Unprocessable for a schema that cannot be used."""
    values = await db.read(_hydrated, form.values)
    try:
        faults = schemas.draft_faults(values, form.json_schema)
    except schemas.CircularSchema:
        words = "Invalid schema: Unable to validate schema with circular references."
        raise Unprocessable(words) from None
    except schemas.Mismatch as mismatch:
        raise Unprocessable(str(mismatch)) from None
    return SchemaValuesValidationResponse(_tree(faults), not faults)


def _hydrated(tx: Tx, values: dict[str, Any]) -> Any:
    return hydrate_draft(tx, values)


def _tree(faults: list[Any]) -> Tree:
    root: Tree = []
    for place, message in faults:
        branch = root
        for part in place[:-1]:
            branch = _branch(branch, part)
        branch.append(_named(place[-1], [message]) if place else message)
    return root


def _branch(tree: Tree, part: str | int) -> Tree:
    """The errors of one part, which begin where there are none yet."""
    key = _key(part)
    for entry in tree:
        if isinstance(entry, dict) and entry.get(key) == part:
            found: Tree = entry["errors"]
            return found
    tree.append(_named(part, []))
    begun: Tree = tree[-1]["errors"]
    return begun


def _named(part: str | int, errors: Tree) -> dict[str, Any]:
    return {_key(part): part, "errors": errors}


def _key(part: str | int) -> str:
    return "index" if isinstance(part, int) else "property"


router = Router("/ui/schemas", tag="UI")


@router.post("/validate", name="validate_obj")
async def validate_form(body: SchemaValues, db: Database) -> SchemaValuesValidationResponse:
    return await validate(db, body)
