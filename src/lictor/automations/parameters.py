"""Templates among the parameters of a deployment that an automation runs.

A plain text with Jinja in it stands for its rendered text, and one that is a single `{{ expression }}` for that
expression's value, whatever its type. Values with a `__prefect_kind` say for themselves what they are (see
`lictor.parameters`); those of kind `jinja` are rendered here, with what is known of the event; the rest is filled in
when the run is created.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lictor.kit.lazy import lazy
from lictor.parameters.hydration import KIND

if TYPE_CHECKING:
    from lictor.kit import templates
else:
    templates = lazy("lictor.kit.templates")


def upgraded(value: Any) -> Any:
    """The parameters with each plain text that is a template put into the form that says so."""
    if isinstance(value, dict):
        return value if KIND in value else {key: upgraded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [upgraded(item) if isinstance(item, dict | str) else item for item in value]
    if isinstance(value, str) and maybe_template(value):
        return _wrapped(value)
    return value


def maybe_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _wrapped(template: str) -> dict[str, Any]:
    bare = template.strip()
    if bare.startswith("{{") and bare.endswith("}}") and bare.count("{{") == 1:
        as_json = "{{ (" + bare[2:-2].strip() + ") | tojson }}"
        return {KIND: "json", "value": {KIND: "jinja", "template": as_json}}
    return {KIND: "jinja", "template": template}


def jinja_in(value: Any) -> Iterator[str]:
    """The templates in upgraded parameters."""
    if isinstance(value, dict):
        if value.get(KIND) == "jinja" and isinstance(value.get("template"), str):
            yield value["template"]
            return
        for item in value.values():
            yield from jinja_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from jinja_in(item)


def rendered(value: Any, render: Callable[[str], str]) -> Any:
    """Upgraded parameters with each template in the place of its text."""
    if isinstance(value, dict):
        if value.get(KIND) == "jinja" and isinstance(value.get("template"), str):
            return render(value["template"])
        return {key: rendered(item, render) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, render) for item in value]
    return value


def problems(parameters: dict[str, Any]) -> list[str]:
    """What is wrong with the templates in the parameters, in the reference's words."""
    return [f"{path + ':' if path else ''} {words}" for path, words in _problems(upgraded(parameters), "")]


def _problems(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if KIND in value:
            if words := _fault(value):
                yield path, words
            return
        for key, item in value.items():
            yield from _problems(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _problems(item, f"{path}[{place}]")


def _fault(value: dict[str, Any]) -> str | None:
    match value[KIND]:
        case "jinja":
            return _jinja_fault(value)
        case "json":
            return _json_fault(value.get("value"))
        case "none":
            return None if "value" in value else "Missing 'value' key in __prefect object"
    return None


def _jinja_fault(value: dict[str, Any]) -> str | None:
    if "template" not in value:
        return "Missing 'template' key in __prefect object"
    if not isinstance(value["template"], str):
        return None
    try:
        templates.check(value["template"])
    except templates.TemplateError as error:
        return f"Invalid jinja: {error.message}"
    return None


def _json_fault(inner: Any) -> str | None:
    if isinstance(inner, dict) and KIND in inner:
        return _fault(inner)
    if not isinstance(inner, str):
        return None
    try:
        json.loads(inner)
    except ValueError as error:
        return f"Invalid JSON: {error}"
    return None
