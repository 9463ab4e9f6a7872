"""Jinja templates that users write: rendered in a sandbox, and kept from running for long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes, sandbox
from jinja2.utils import htmlsafe_json_dumps

MOST_RANGE = 100
MOST_LOOPS = 10
MOST_NESTED_LOOPS = 2

# Words for instants and numbers, such as `humanize_naturaltime`.
EXTENSIONS = ("jinja2_humanize_extension.HumanizeExtension",)


class TemplateError(Exception):
    """A template that cannot be read, may not run, or failed. `message` says why, `line` where, the text both."""

    def __init__(self, message: str, line: int = 0, text: str | None = None) -> None:
        super().__init__(text or message)
        self.message = message
        self.line = line


class Templates:
    """A sandbox with filters of its own; `jsonable` is what `tojson` makes of a value before it writes it."""

    def __init__(
        self,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        jsonable: Callable[[Any], Any] = msgspec.to_builtins,
    ) -> None:
        self._environment = sandbox.ImmutableSandboxedEnvironment(
            undefined=jinja2.ChainableUndefined, extensions=EXTENSIONS
        )
        self._environment.globals["range"] = _range
        self._environment.filters["tojson"] = lambda value, indent=None: htmlsafe_json_dumps(
            jsonable(value), indent=indent, sort_keys=True
        )
        self._environment.filters.update(filters or {})

    def parse(self, template: str) -> nodes.Template:
        """Raises TemplateError for a template that cannot be read or that loops more than it may."""
        try:
            tree = self._environment.parse(template)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(error.message or "", error.lineno, str(error)) from error
        loops = list(tree.find_all(nodes.For))
        if len(loops) > MOST_LOOPS:
            words = f"Contains {len(loops)} for loops. Templates can contain no more than {MOST_LOOPS} for loops."
            raise TemplateError(words)
        depth = _depth(tree)
        if depth > MOST_NESTED_LOOPS:
            raise TemplateError(
                f"Contains nested for loops at a depth of {depth}. "
                f"Templates can nest for loops no more than {MOST_NESTED_LOOPS} loops deep."
            )
        return tree

    def names(self, template: str) -> set[str]:
        """The variables that a template reads. Raises TemplateError."""
        return {name.name for name in self.parse(template).find_all(nodes.Name) if name.ctx == "load"}

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """The text that the template gives. Raises TemplateError."""
        self.parse(template)
        try:
            return self._environment.from_string(template).render(context)
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            words = f"Failed to render template due to the following error: {error!r}"
            raise TemplateError(repr(error), text=f"{words}\n{template}") from error


def check(template: str) -> None:
    """Raises TemplateError for a template that cannot be read or that loops more than it may."""
    plain().parse(template)


def render(template: Any, context: dict[str, Any]) -> str:
    """The text that the template gives. Raises TemplateError."""
    if not isinstance(template, str):
        raise TemplateError("A template must be a string.")
    return plain().render(template, context)


@lru_cache(maxsize=1)
def plain() -> Templates:
    return Templates()


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MOST_RANGE:
        raise OverflowError(f"Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE={MOST_RANGE}.")
    return numbers


def _depth(node: nodes.Node) -> int:
    below = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)
