"""Conditions of a list, gathered at run time: which filters a client sets is known only then."""

from __future__ import annotations

import re
from typing import Any

_NAME = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_FRAGMENT = re.compile(r"\{(in|not_in|ts|uuid|text|int|json|has_all|has_any|starts|matches|contains)((?::[^{}:]*)+)\}")

# Fragments whose first argument is a column, and whose second the parameter.
_COLUMN_FIRST = frozenset({"has_all", "has_any", "starts", "matches", "contains"})


class Where:
    """An AND of conditions with their parameters. Parameters of different conditions are kept apart by renaming."""

    __slots__ = ("conditions", "params")

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.params: dict[str, Any] = {}

    def add(self, condition: str, **params: Any) -> None:
        """Add one condition; its parameters may use any names."""
        self.conditions.append(self._own(condition, params))

    def add_any(self, alternatives: list[Where]) -> None:
        """Add the OR of several conjunctions; an empty conjunction is true."""
        self.conditions.append("(" + " or ".join(f"({self.take(one)})" for one in alternatives) + ")")

    def add_exists(self, select: str, inner: Where) -> None:
        """Add ``exists (select … and <inner>)``; ``select`` ends where conditions may be added with ``and``."""
        self.conditions.append(f"exists ({select} and {self.take(inner)})")

    def text(self) -> str:
        return " and ".join(self.conditions) if self.conditions else "true"

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def take(self, other: Where) -> str:
        """The text of other conditions, whose parameters are these ones' from now on."""
        return self._own(other.text(), other.params)

    def _own(self, condition: str, params: dict[str, Any]) -> str:
        if not params:
            return condition
        names = {name: f"p{len(self.params) + index}" for index, name in enumerate(params)}
        self.params.update({names[name]: value for name, value in params.items()})
        condition = _FRAGMENT.sub(lambda match: _rename_fragment(match, names), condition)
        return _NAME.sub(lambda match: ":" + names.get(match.group(1), match.group(1)), condition)


def _rename_fragment(match: re.Match[str], names: dict[str, str]) -> str:
    kind, arguments = match.group(1), match.group(2)[1:].split(":")
    at = 1 if kind in _COLUMN_FIRST else 0
    arguments[at] = names.get(arguments[at], arguments[at])
    return "{" + ":".join([kind, *arguments]) + "}"
