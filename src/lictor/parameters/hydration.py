"""Values with a `__prefect_kind` are filled in: JSON text is parsed, Jinja is rendered, variables are looked up.

`{"__prefect_kind": "json", "value": "[1, 2]"}` stands for `[1, 2]`; other kinds are `none`, `jinja` (with `template`)
and `workspace_variable` (with `variable_name`). A kind that is not known stands for its `value`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.kit.lazy import lazy

if TYPE_CHECKING:
    from lictor.kit import templates
else:
    templates = lazy("lictor.kit.templates")

KIND = "__prefect_kind"

ABSENT: Final = object()
"""Stands for nothing: the key or item that it would be the value of is left out."""


class Variable(Struct):
    name: str
    value: Any


VARIABLE = sql("parameters.variable", Variable, "select name, value from variable where name = :name")

Lookup = Callable[[str], Any]


class HydrationError(Exception):
    """A value that cannot be filled in; the message says why, in the reference's words."""


def hydrate(tx: Tx, value: Any) -> Any:
    """The value with everything in it filled in. Raises HydrationError."""
    filled = fill(value, lambda name: _variable(tx, name))
    return {} if filled is ABSENT else filled


def fill(value: Any, lookup: Lookup) -> Any:
    """As `hydrate`, with variables looked up by the caller; ABSENT if nothing is left."""
    if isinstance(value, dict):
        if KIND in value:
            kind = _KINDS.get(value[KIND]) if isinstance(value[KIND], str) else None
            return value.get("value") if kind is None else kind(value, lookup)
        pairs = ((key, fill(item, lookup)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not ABSENT}
    if isinstance(value, list):
        return [item for item in (fill(item, lookup) for item in value) if item is not ABSENT]
    return value


def _none(value: dict[str, Any], lookup: Lookup) -> Any:
    if "value" not in value:
        raise HydrationError("Missing 'value' key in __prefect object")
    return fill(value["value"], lookup)


def _json(value: dict[str, Any], lookup: Lookup) -> Any:
    if "value" not in value:
        return ABSENT  # what a form sends for a field that is still empty
    text = _inner(value["value"], lookup)
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise HydrationError(f"Invalid JSON: {error}") from error


def _jinja(value: dict[str, Any], lookup: Lookup) -> Any:
    if "template" not in value:
        raise HydrationError("Missing 'template' key in __prefect object")
    template = _inner(value["template"], lookup)
    if template is ABSENT:
        return ABSENT
    try:
        return templates.render(template, {})
    except templates.TemplateError as error:
        raise HydrationError(f"Invalid jinja: {error}") from error


def _workspace_variable(value: dict[str, Any], lookup: Lookup) -> Any:
    if "variable_name" not in value:
        return ABSENT
    name = _inner(value["variable_name"], lookup)
    return ABSENT if name is ABSENT else lookup(name)


def _inner(value: Any, lookup: Lookup) -> Any:
    return fill(value, lookup) if isinstance(value, dict) else value


_KINDS: dict[str, Callable[[dict[str, Any], Lookup], Any]] = {
    "none": _none,
    "json": _json,
    "jinja": _jinja,
    "workspace_variable": _workspace_variable,
}


def _variable(tx: Tx, name: Any) -> Any:
    row = tx.one(VARIABLE, name=name) if isinstance(name, str) else None
    if row is None:
        raise HydrationError(f"Variable '{name}' not found in workspace.")
    return row.value
