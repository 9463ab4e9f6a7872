"""Base job templates: what a job is made of (`job_configuration`), and a schema of what can be set (`variables`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from lictor.kit.errors import FieldError, Unprocessable
from lictor.parameters import schemas

# `{{ name }}`, also of what a client resolves itself (blocks, variables, the environment), as in the reference.
_PLACEHOLDER = re.compile(r"{{\s*([\w\.\-\[\]$]+)\s*}}")

_OF_DEFAULTS = "Validation failed for work pool's job variable defaults: "


def check_template(template: dict[str, Any] | None) -> None:
    """Raises FieldError unless it is empty, or has both parts and declares every variable that it uses."""
    if not template:
        return
    configuration, variables = template.get("job_configuration"), template.get("variables")
    if not (configuration and variables and isinstance(configuration, dict) and isinstance(variables, dict)):
        words = "The `base_job_template` must contain both a `job_configuration` key and a `variables` key."
        raise FieldError(words)
    undeclared = placeholders(configuration) - declared(variables)
    if undeclared:
        raise FieldError(
            "The variables specified in the job configuration template must be present as properties in the variables "
            "schema. Your job configuration uses the following undeclared "
            f"variable(s): {' ,'.join(sorted(undeclared))}.",
        )


def placeholders(configuration: Any) -> set[str]:
    """The names between double braces, at any depth."""
    return set(_PLACEHOLDER.findall(msgspec.json.encode(configuration).decode()))


def declared(variables: Any) -> set[str]:
    properties = variables.get("properties") if isinstance(variables, dict) else None
    return set(properties) if isinstance(properties, dict) else set()


def check_defaults(template: dict[str, Any], content: Callable[[str], Any]) -> None:
    """Raises Unprocessable where a variable's default is not what its own schema asks for.

    A default may be a block, by its id; `content` gives the block's data.
    """
    variables = template.get("variables")
    if not variables:
        return
    defaults = dict(_defaults(variables, content))
    try:
        schemas.validate(defaults, variables, require=False, allow_none_with_default=True)
    except (schemas.Mismatch, schemas.CircularSchema) as mismatch:
        about = "" if str(mismatch).startswith("Invalid schema") else _OF_DEFAULTS
        raise Unprocessable(f"{about}{mismatch}") from mismatch


def _defaults(variables: dict[str, Any], content: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    properties = variables.get("properties")
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        if isinstance(schema, dict) and "default" in schema:
            default = schema["default"]
            if not (isinstance(default, dict) and "$ref" in default):
                yield name, default
            elif isinstance(default["$ref"], dict) and default["$ref"].get("block_document_id") is not None:
                yield name, content(str(default["$ref"]["block_document_id"]))
