"""Base job templates: what a job is made of (`job_configuration`), and a schema of what can be set (`variables`)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lictor.kit.errors import FieldError, Unprocessable
from lictor.parameters import schemas

# `{{ name }}`, also of what a client resolves itself (blocks, variables, the environment), as in the reference.
_PLACEHOLDER = re.compile(r"{{\s*([\w\.\-\[\]$]+)\s*}}")


def check_template(template: dict[str, Any]) -> None:
    """Raises FieldError unless it is empty, or has both parts and declares every variable that it uses."""
    if not template:
        return
    configuration, variables = template.get("job_configuration"), template.get("variables")
    if not (configuration and variables and isinstance(configuration, dict) and isinstance(variables, dict)):
        words = "The `base_job_template` must contain both a `job_configuration` key and a `variables` key."
        raise FieldError("base_job_template", words)
    undeclared = placeholders(configuration) - declared(variables)
    if undeclared:
        raise FieldError(
            "base_job_template",
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


def check_defaults(template: dict[str, Any]) -> None:
    """Raises Unprocessable where a variable's default is not what its own schema asks for."""
    variables = template.get("variables")
    if not variables:
        return
    properties = variables.get("properties")
    found = properties.items() if isinstance(properties, dict) else ()
    defaults = {
        name: schema["default"]
        for name, schema in found
        if isinstance(schema, dict) and "default" in schema and not _is_reference(schema["default"])
    }
    try:
        schemas.validate(defaults, variables, require=False, allow_none_with_default=True)
    except (schemas.Mismatch, schemas.CircularSchema) as mismatch:
        raise Unprocessable(f"Validation failed for work pool's job variable defaults: {mismatch}") from mismatch


def _is_reference(default: Any) -> bool:
    """Whether a default is a block, whose content is not here."""
    return isinstance(default, dict) and "$ref" in default
