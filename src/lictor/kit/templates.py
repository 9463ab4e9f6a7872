"""Jinja templates that users write: rendered in a sandbox, and kept from running for long."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes, sandbox
from jinja2.exceptions import SecurityError

MOST_RANGE = 100
MOST_LOOPS = 10
MOST_NESTED_LOOPS = 2


class TemplateError(Exception):
    """A template that cannot be read, may not run, or failed; the message says why."""


def check(template: str) -> None:
    """Raises TemplateError for a template that cannot be read or that loops more than it may."""
    try:
        tree = _environment().parse(template)
    except jinja2.TemplateError as error:
        raise TemplateError(str(error)) from error
    loops = list(tree.find_all(nodes.For))
    if len(loops) > MOST_LOOPS:
        raise TemplateError(f"Contains {len(loops)} for loops; templates may contain no more than {MOST_LOOPS}.")
    depth = _depth(tree)
    if depth > MOST_NESTED_LOOPS:
        raise TemplateError(f"Contains for loops nested {depth} deep; no more than {MOST_NESTED_LOOPS} are allowed.")


def render(template: Any, context: dict[str, Any]) -> str:
    """The text that the template gives. Raises TemplateError."""
    if not isinstance(template, str):
        raise TemplateError("A template must be a string.")
    check(template)
    try:
        return _environment().from_string(template).render(context)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise TemplateError(f"Failed to render template due to the following error: {error!r}\n{template}") from error


@lru_cache(maxsize=1)
def _environment() -> sandbox.ImmutableSandboxedEnvironment:
    environment = sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.ChainableUndefined)
    environment.globals["range"] = _range
    return environment


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MOST_RANGE:
        raise SecurityError(f"The range calculated is too large ({len(numbers)}); the most is {MOST_RANGE}.")
    return numbers


def _depth(node: nodes.Node) -> int:
    below = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)
