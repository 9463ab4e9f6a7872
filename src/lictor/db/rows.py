"""From a row's values to a Struct: one converter a column, chosen once from the field's type."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from lictor.kit.decoding import decoder

R = TypeVar("R")
Convert = Callable[[Any], Any]


class Joined:
    """Marks a Struct field whose own columns stand in the select at this place (all null: the field is None)."""


def instant(value: Any) -> datetime:
    """A stored instant: text in SQLite, a datetime in PostgreSQL."""
    if type(value) is str:
        return datetime.fromisoformat(value)
    return cast(datetime, value) if value.tzinfo is UTC else value.astimezone(UTC)


class Shape(Generic[R]):
    """How the rows of one select become values of one type."""

    __slots__ = ("build", "width")

    def __init__(self, build: Callable[[Sequence[Any]], R], width: int) -> None:
        self.build = build
        self.width = width

    @staticmethod
    def of(into: Any) -> Shape[Any]:
        if isinstance(into, type) and issubclass(into, Struct):
            return _struct_shape(into)
        convert = _converter(into)
        if convert is None:
            return Shape(lambda row: row[0], 1)
        return Shape(lambda row: None if row[0] is None else convert(row[0]), 1)


class Part(NamedTuple):
    """A Struct within the columns of a row: where its fields begin, and the places of those that are Structs again."""

    into: type[Struct]
    begin: int
    end: int
    inner: tuple[Part, ...]


def _struct_shape(into: type[Struct]) -> Shape[Any]:
    # Only the columns that need work are touched; the rest is copied as it came.
    work: list[tuple[int, Convert]] = []
    part = _part(into, 0, work)
    make = _maker(part)

    def build(row: Sequence[Any]) -> Any:
        values = list(row)
        for index, convert in work:
            value = values[index]
            if value is not None:
                values[index] = convert(value)
        return make(values)

    return Shape(build, part.end)


def _part(into: type[Struct], begin: int, work: list[tuple[int, Convert]]) -> Part:
    hints = get_type_hints(into, include_extras=True)
    inner: list[Part] = []
    at = begin
    for name in into.__struct_fields__:
        joined = _joined(hints[name])
        if joined is not None:
            inner.append(_part(joined, at, work))
            at = inner[-1].end
            continue
        convert = _converter(hints[name])
        if convert is not None:
            work.append((at, convert))
        at += 1
    return Part(into, begin, at, tuple(inner))


def _maker(part: Part) -> Callable[[list[Any]], Any]:
    """Makes the Struct of converted values; a joined one whose first column is null is None."""
    into, begin, end, inner = part
    if not inner:
        return lambda values: into(*values[begin:end])
    # The values between the Structs, and the Structs, in order.
    pieces: list[tuple[int, int, Callable[[list[Any]], Any] | None]] = []
    at = begin
    for one in inner:
        pieces += [(at, one.begin, None), (one.begin, one.end, _maker(one))]
        at = one.end
    pieces = [piece for piece in (*pieces, (at, end, None)) if piece[0] < piece[1]]

    def make(values: list[Any]) -> Any:
        arguments: list[Any] = []
        for first, last, inner_make in pieces:
            if inner_make is None:
                arguments += values[first:last]
            else:
                arguments.append(None if values[first] is None else inner_make(values))
        return into(*arguments)

    return make


def _joined(hint: Any) -> type[Struct] | None:
    if get_origin(hint) is Annotated and Joined in get_args(hint)[1:]:
        found: type[Struct] = _without_none(get_args(hint)[0])
        return found
    return None


def _converter(hint: Any) -> Convert | None:
    """The conversion a column's value needs, or None where drivers already return the right thing."""
    plain = _without_none(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
    if plain in (str, int, bytes) or get_origin(plain) is Literal:
        return None
    simple: dict[Any, Convert] = {datetime: instant, bool: bool, float: float, Raw: Raw, UUID: UUID}
    if plain in simple:
        return simple[plain]
    if isinstance(plain, type) and issubclass(plain, str):
        return plain
    return decoder(plain)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None) and part is not msgspec.UnsetType]
        return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - built at run time
    return hint
