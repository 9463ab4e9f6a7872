"""Values held against a JSON Schema, Draft 2020-12, after mending what Pydantic 1 writes differently."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import jsonschema
import msgspec
import referencing.exceptions

from lictor.parameters.hydration import HydrationError, Template

Schema = dict[str, Any]

# Bytes of JSON: larger schemas are not kept once they are prepared, as anybody may send them.
LARGE = 50_000


class Mismatch(Exception):
    """Values that are not what their schema asks for; the message is the reference's."""


class CircularSchema(Exception):
    """A schema whose references lead round in a circle."""


def validate(
    values: Any, schema: Any, *, require: bool = True, mend: bool = True, allow_none_with_default: bool = False
) -> None:
    """Raises Mismatch for the most telling difference, CircularSchema for a schema that cannot be followed."""
    try:
        written = msgspec.json.encode(schema)
        prepare = _validator if len(written) <= LARGE else _validator.__wrapped__
        validator = prepare(written, require, mend, allow_none_with_default)
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


# To hold a schema against the schema of schemas takes much longer than to hold values against it, and each run of a
# deployment asks for the same.
@lru_cache(maxsize=64)
def _validator(written: bytes, require: bool, mend: bool, allow_none_with_default: bool) -> Any:
    schema = msgspec.json.decode(written)
    if mend:
        schema = mended(schema, allow_none_with_default)
    if not require:
        schema = without_required(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry(retrieve=_never))  # type: ignore[call-arg]


class Fault(NamedTuple):
    """One thing that is wrong with values; `place` leads there by keys and indexes."""

    place: tuple[str | int, ...]
    message: str


def draft_faults(values: Any, schema: Any) -> list[Fault]:
    """All that is wrong with the values of a form (see `hydration.hydrate_draft`), formats such as dates included.

    Raises Mismatch for a schema that cannot be used, CircularSchema for one that cannot be followed.
    """
    schema = mended(schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    try:
        _DraftValidator.check_schema(schema, format_checker=checker)
        validator = _DraftValidator(schema, format_checker=checker, registry=referencing.Registry(retrieve=_never))  # type: ignore[call-arg]
        errors = list(validator.iter_errors(values))
    except RecursionError as circular:
        raise CircularSchema from circular
    except referencing.exceptions.Unresolvable as missing:
        raise Mismatch(f"Invalid schema: Validation failed. Failure reason: {missing}") from missing
    except jsonschema.exceptions.SchemaError as broken:
        raise Mismatch(f"Invalid schema: {broken.message}") from broken
    return [_fault(error) for error in _by_place(errors) if not isinstance(error.instance, Template)]


def _fault(error: Any) -> Fault:
    place = tuple(error.relative_path)
    if error.validator == "required":  # told of the object; it belongs beside the field that is missing
        place = (*place, error.message.partition(" ")[0].strip("'"))
    return Fault(place, error.message)


def _by_place(errors: list[Any]) -> list[Any]:
    """The errors place by place; where a value could not be filled in, nothing else is said of it."""
    places: dict[str, list[Any]] = {}
    for error in errors:
        places.setdefault("->".join(map(str, error.relative_path)), []).append(error)
    kept = ([one for one in group if one.validator == _FILLED_IN] or group for group in places.values())
    return [error for group in kept for error in group]


_FILLED_IN = "_placeholders"


def _filled_in(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, HydrationError):
        yield jsonschema.ValidationError(str(instance))


_Draft = jsonschema.Draft202012Validator
_DraftValidator: Any = jsonschema.validators.create(
    meta_schema=_Draft.META_SCHEMA,
    validators={**_Draft.VALIDATORS, _FILLED_IN: _filled_in},
    version="draft of a form",
    type_checker=_Draft.TYPE_CHECKER,
    format_checker=_Draft.FORMAT_CHECKER,
    id_of=_Draft.ID_OF,
    # Every schema asks it, also those within.
    applicable_validators=lambda schema: {**schema, _FILLED_IN: None}.items(),
)


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
    given = schema.get("required")
    required = given if isinstance(given, list) else []  # anything else is refused when the schema is checked
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
    """A copy in which nothing is required, at any depth; what is no list of names stays, as it is to be refused."""
    if isinstance(schema, dict):
        return {
            key: without_required(value)
            for key, value in schema.items()
            if key != "required" or not isinstance(value, (list, dict))
        }
    if isinstance(schema, list):
        return [without_required(item) for item in schema]
    return schema


def _never(uri: str) -> NoReturn:
    """Schemas are not fetched from anywhere."""
    raise referencing.exceptions.NoSuchResource(ref=uri)  # type: ignore[call-arg]
