"""From a row's values to a Struct: one converter a column, chosen once from the field's type."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

R = TypeVar("R")
Convert = Callable[[Any], Any]


class Joined:
    """Marks a Struct field whose own columns stand in the select at this place (all null: the field is None)."""


@lru_cache(maxsize=256)
def json_decoder(type_: Any) -> Callable[[Any], Any]:
    return msgspec.json.Decoder(type_).decode


def instant(value: Any) -> datetime:
    """A stored instant: text in SQLite, a datetime in PostgreSQL."""
    if type(value) is str:
        return datetime.fromisoformat(value)
    return cast(datetime, value) if value.tzinfo is UTC else value.astimezone(UTC)


class Shape(Generic[R]):
    """How the rows of one select become values of one type."""

    __slots__ = ("_build", "width")

    def __init__(self, build: Callable[[Sequence[Any]], Any], width: int) -> None:
        self._build = build
        self.width = width

    def build(self, row: Sequence[Any]) -> R:
        return cast(R, self._build(row))

    @staticmethod
    def of(into: Any) -> Shape[Any]:
        if isinstance(into, type) and issubclass(into, Struct):
            return _struct_shape(into)
        convert = _converter(into)
        if convert is None:
            return Shape(lambda row: row[0], 1)
        return Shape(lambda row: None if row[0] is None else convert(row[0]), 1)


def _struct_shape(into: type[Struct]) -> Shape[Any]:
    hints = get_type_hints(into, include_extras=True)
    parts = [_field(hints[name]) for name in into.__struct_fields__]
    if not any(isinstance(part, Shape) for part in parts):
        return _flat_shape(into, cast("list[Convert | None]", parts))
    return _nested_shape(into, parts)


def _flat_shape(into: type[Struct], converters: list[Convert | None]) -> Shape[Any]:
    # Only the columns that need work are touched; the rest is copied as it came.
    work = [(index, convert) for index, convert in enumerate(converters) if convert is not None]

    def build(row: Sequence[Any]) -> Any:
        values = list(row)
        for index, convert in work:
            value = values[index]
            if value is not None:
                values[index] = convert(value)
        return into(*values)

    return Shape(build, len(converters))


def _nested_shape(into: type[Struct], parts: list[Convert | Shape[Any] | None]) -> Shape[Any]:
    width = sum(part.width if isinstance(part, Shape) else 1 for part in parts)

    def build(row: Sequence[Any]) -> Any:
        values = []
        at = 0
        for part in parts:
            if isinstance(part, Shape):
                inner = row[at : at + part.width]
                values.append(None if inner[0] is None else part.build(inner))
                at += part.width
                continue
            value = row[at]
            values.append(part(value) if part is not None and value is not None else value)
            at += 1
        return into(*values)

    return Shape(build, width)


def _field(hint: Any) -> Convert | Shape[Any] | None:
    if get_origin(hint) is Annotated and Joined in get_args(hint)[1:]:
        return _struct_shape(_without_none(get_args(hint)[0]))
    return _converter(hint)


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
    return json_decoder(plain)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None) and part is not msgspec.UnsetType]
        return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - built at run time
    return hint
