"""Values held against a JSON Schema, Draft 2020-12, after mending what Pydantic 1 writes differently."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NoReturn

import jsonschema
import referencing.exceptions

Schema = dict[str, Any]


class Mismatch(Exception):
    """Values that are not what their schema asks for; the message is the reference's."""


class CircularSchema(Exception):
    """A schema whose references lead round in a circle."""


def validate(values: Any, schema: Any, *, require: bool = True, allow_none_with_default: bool = False) -> None:
    """Raises Mismatch for the most telling difference, CircularSchema for a schema that cannot be followed."""
    schema = mended(schema, allow_none_with_default)
    if not require:
        schema = without_required(schema)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry(retrieve=_never))  # type: ignore[call-arg]
        error = jsonschema.exceptions.best_match(validator.iter_errors(values))
    except RecursionError as circular:
        raise CircularSchema from circular
    except referencing.exceptions.Unresolvable as missing:
        raise Mismatch(f"Validation failed. Failure reason: {missing}") from missing
    except jsonschema.exceptions.SchemaError as broken:
        raise Mismatch(f"Invalid schema: {broken.message}") from broken
    if error is not None:
        where = "" if error.json_path == "$" else f" for field {error.json_path.replace('$.', '')!r}"
        raise Mismatch(f"Validation failed{where}. Failure reason: {error.message}")


def mended(schema: Any, allow_none_with_default: bool = False) -> Any:
    """A copy in which optional properties may be null and tuples are spelled as Draft 2020-12 has them."""
    schema = deepcopy(schema)
    if not isinstance(schema, dict):
        return schema
    _mend_object(schema, allow_none_with_default)
    definitions = schema.get("definitions")
    if isinstance(definitions, dict):
        for definition in list(definitions.values()):
            if isinstance(definition, dict):
                _mend_object(definition, allow_none_with_default)
                if "block_type_slug" in definition:
                    definitions[definition["title"]] = {"oneOf": [definition, _BLOCK_REFERENCE]}
    return schema


# A block may be given by its id instead of by its content.
_BLOCK_REFERENCE: Schema = {
    "type": "object",
    "properties": {
        "$ref": {
            "oneOf": [
                {"type": "string", "format": "uuid"},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        }
    },
    "required": ["$ref"],
}


def _mend_object(schema: Schema, allow_none_with_default: bool) -> None:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    required = schema.get("required") or []
    for name, found in properties.items():
        if not isinstance(found, dict):
            continue
        optional = name not in required and ("default" not in found or allow_none_with_default)
        if optional and found.get("type", "null") != "null":
            found["anyOf"] = [{"type": found.pop("type")}, {"type": "null"}]
        if isinstance(found.get("items"), list) and found["items"] and not found.get("prefixItems"):
            found["prefixItems"] = found.pop("items")
        _mend_object(found, allow_none_with_default)


def without_required(schema: Any) -> Any:
    """A copy in which nothing is required, at any depth."""
    if isinstance(schema, dict):
        return {key: without_required(value) for key, value in schema.items() if key != "required"}
    if isinstance(schema, list):
        return [without_required(item) for item in schema]
    return schema


def _never(uri: str) -> NoReturn:
    """Schemas are not fetched from anywhere."""
    raise referencing.exceptions.NoSuchResource(ref=uri)  # type: ignore[call-arg]
