"""The checksum of a schema's fields. Clients compute it too, and look schemas up by it: each byte counts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

PLACE = "#/definitions/"

Fields = dict[str, Any]


def checksum(fields: Fields) -> str:
    """The SHA-256 of the fields as Python's `json` writes them, without what is secret and without nested blocks."""
    counted = _without_secrets(fields)
    if counted.get("definitions"):
        kept = plain_definitions(counted, counted["definitions"])
        counted = {**counted, "definitions": kept}
        if not kept:
            del counted["definitions"]
    # Arguments of a call, as the client hashes them: the fields alone, and none by name.
    text = json.dumps([[counted], {}], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def plain_definitions(start: Any, definitions: Fields) -> Fields:
    """The definitions of all that is no block and is referred to from `start` on, in the order in which it is met."""
    found: Fields = {}
    _follow(start, definitions, found, set())
    return found


def references(value: Any) -> list[str]:
    """Every `$ref` within a value, outer ones first."""
    match value:
        case dict():
            own = value.get("$ref")
            inner = [name for item in value.values() for name in references(item)]
            return [own, *inner] if isinstance(own, str) and own else inner
        case list():
            return [name for item in value for name in references(item)]
    return []


def _follow(start: Any, definitions: Fields, found: Fields, seen: set[str]) -> None:
    for reference in references(start):
        name = reference.replace(PLACE, "")
        if name in seen:
            continue
        seen.add(name)
        definition = definitions.get(name)
        if isinstance(definition, dict) and definition and definition.get("block_type_slug") is None:
            found[name] = definition
            _follow(definition, definitions, found, seen)


def _without_secrets(value: Any) -> Any:
    # Lists are left as they are: so are they where the client computes it.
    if not isinstance(value, dict):
        return value
    return {name: _without_secrets(item) for name, item in value.items() if name != "secret_fields"}
