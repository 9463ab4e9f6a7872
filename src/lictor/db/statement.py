"""A named SQL statement, written once for both databases, with the shape of its rows."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Generic, TypeVar, overload

from lictor.db.dialect import POSTGRES, SQLITE, Compiled, Dialect
from lictor.db.rows import Shape

R = TypeVar("R")


class Statement(Generic[R]):
    """SQL text with a name (for logs, metrics and tests), compiled for each database when it is first used."""

    __slots__ = ("by_dialect", "into", "name", "shape", "text")

    shape: Shape[R] | None

    def __init__(self, name: str, into: Any, text: str) -> None:
        self.name = name
        self.into = into
        self.text = text
        self.by_dialect: dict[str, Compiled] = {}

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there yet. To make the shapes of all statements took a fifth of the start.
        if name != "shape":
            raise AttributeError(name)
        self.shape = None if self.into is None else Shape.of(self.into)
        return self.shape

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"

    def compiled(self, dialect: Dialect) -> Compiled:
        found = self.by_dialect.get(dialect.name)
        if found is None:
            found = self.by_dialect[dialect.name] = dialect.compile(self.text)
        return found


# Read by the test that prepares every statement on both databases; nothing else looks here.
STATEMENTS: dict[str, Statement[Any]] = {}


@overload
def sql(name: str, into: type[R], text: str) -> Statement[R]: ...


@overload
def sql(name: str, into: None, text: str) -> Statement[tuple[Any, ...]]: ...


def sql(name: str, into: Any, text: str) -> Statement[Any]:
    """Declare a statement. ``into`` is a Struct, a scalar type, or None for plain tuples. Names are unique."""
    if name in STATEMENTS:
        raise ValueError(f"two statements are called {name!r}")
    statement: Statement[Any] = Statement(name, into, text)
    STATEMENTS[name] = statement
    return statement


@lru_cache(maxsize=2048)
def composed(into: Hashable, text: str) -> Statement[Any]:
    """A statement assembled at run time: lists differ only by which filters are set, so their texts repeat."""
    return Statement("composed", into, text)


__all__ = ["POSTGRES", "SQLITE", "STATEMENTS", "Statement", "composed", "sql"]
