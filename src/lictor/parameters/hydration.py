"""Values with a `__prefect_kind` are filled in: JSON text is parsed, Jinja is rendered, variables are looked up.

`{"__prefect_kind": "json", "value": "[1, 2]"}` stands for `[1, 2]`; other kinds are `none`, `jinja` (with `template`)
and `workspace_variable` (with `variable_name`). A kind that is not known stands for its `value`.

While somebody still fills in a form the values are a *draft*: what is wrong with one stays in its place, so that it can
be told beside its field, and templates are checked but not rendered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


class Template:
    """Stands in a draft for what a template will give."""


class Filling(NamedTuple):
    lookup: Lookup
    draft: bool = False


def hydrate(tx: Tx, value: Any) -> Any:
    """The value with everything in it filled in. Raises HydrationError."""
    filled = fill(value, Filling(lambda name: _variable(tx, name)))
    return {} if filled is ABSENT else filled


def hydrate_draft(tx: Tx, value: Any) -> Any:
    """The value with what can be filled in, and a HydrationError or a Template in the places of the rest."""
    filled = fill(value, Filling(lambda name: _variable(tx, name), draft=True))
    return {} if filled is ABSENT else filled


def fill(value: Any, filling: Filling) -> Any:
    """As `hydrate`, with variables looked up by the caller; ABSENT if nothing is left."""
    if isinstance(value, dict):
        if KIND in value:
            return _fill_kind(value, filling)
        pairs = ((key, fill(item, filling)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not ABSENT}
    if isinstance(value, list):
        return [item for item in (fill(item, filling) for item in value) if item is not ABSENT]
    return value


def _fill_kind(value: dict[str, Any], filling: Filling) -> Any:
    kind = _KINDS.get(value[KIND]) if isinstance(value[KIND], str) else None
    if kind is None:
        return value.get("value")
    try:
        return kind(value, filling)
    except HydrationError as error:
        if filling.draft:
            return error
        raise


def _none(value: dict[str, Any], filling: Filling) -> Any:
    if "value" not in value:
        raise HydrationError("Missing 'value' key in __prefect object")
    return fill(value["value"], filling)


def _json(value: dict[str, Any], filling: Filling) -> Any:
    if "value" not in value:
        return ABSENT  # what a form sends for a field that is still empty
    text = _inner(value["value"], filling)
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise HydrationError(f"Invalid JSON: {error}") from error


def _jinja(value: dict[str, Any], filling: Filling) -> Any:
    if "template" not in value:
        raise HydrationError("Missing 'template' key in __prefect object")
    template = _inner(value["template"], filling)
    if _stands_for_another(template):
        return template
    try:
        if filling.draft and isinstance(template, str):
            templates.check(template)
            return Template()
        return templates.render(template, {})
    except templates.TemplateError as error:
        raise HydrationError(f"Invalid jinja: {error}") from error


def _workspace_variable(value: dict[str, Any], filling: Filling) -> Any:
    if "variable_name" not in value:
        return ABSENT
    name = _inner(value["variable_name"], filling)
    return name if _stands_for_another(name) else filling.lookup(name)


def _inner(value: Any, filling: Filling) -> Any:
    return fill(value, filling) if isinstance(value, dict) else value


def _stands_for_another(value: Any) -> bool:
    return value is ABSENT or isinstance(value, HydrationError | Template)


_KINDS: dict[str, Callable[[dict[str, Any], Filling], Any]] = {
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
