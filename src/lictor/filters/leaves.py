"""The shapes of a filter on one column. A key means the same in every shape; a shape says which keys there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

from msgspec import Meta, Struct

from lictor.db import Where
from lictor.kit import text_search
from lictor.states.types import StateTypeName
from lictor.web.shapes import Instant


class Operator(StrEnum):
    and_ = "and_"
    or_ = "or_"


class on(NamedTuple):  # noqa: N801 - reads as a word of the declaration: Annotated[Ids | None, on("r.id")]
    """The column (or indexed expression) that a leaf filters; `null` is the one that its `is_null_` asks about."""

    column: str
    null: str | None = None


class Condition(NamedTuple):
    """SQL with parameters of its own."""

    text: str
    params: dict[str, Any]


class Leaf(Struct, forbid_unknown_fields=True):
    """A filter on one column. Keys that are absent or null say nothing, so a leaf may be true for every row."""

    # What PostgreSQL calls the values of `any_` and `not_any_`.
    kind: ClassVar[str] = "text"
    operator: ClassVar[Operator] = Operator.and_

    def conditions(self, at: on) -> list[Condition]:
        """One condition per key that says something; `operator` tells how they combine."""
        made = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and name in _KEYS:
                condition = _KEYS[name](at, value, self.kind)
                if condition is not None:
                    made.append(condition)
        return made

    def add_to(self, where: Where, at: on) -> None:
        conditions = self.conditions(at)
        if self.operator == Operator.and_ or len(conditions) == 1:
            add_all(where, conditions)
        elif conditions:
            where.add_any([alone([condition]) for condition in conditions])


def add_all(where: Where, conditions: list[Condition]) -> None:
    for condition in conditions:
        where.add(condition.text, **condition.params)


def alone(conditions: list[Condition]) -> Where:
    where = Where()
    add_all(where, conditions)
    return where


def equals_any(at: on, values: list[Any], kind: str) -> Condition:
    # One value is an equality, which lets an index give the rest of its order.
    if len(values) == 1:
        return Condition(f"{at.column} = {{{kind}:value}}", {"value": values[0]})
    return Condition(f"{at.column} {{in:values:{kind}}}", {"values": values})


def equals_none(at: on, values: list[Any], kind: str) -> Condition | None:
    return Condition(f"{at.column} {{not_in:values:{kind}}}", {"values": values}) if values else None


def like(at: on, value: str, _kind: str) -> Condition | None:
    # `%` and `_` in what the client sends are wildcards, as in the reference.
    if not value:
        return None
    if value.isascii():  # so that PostgreSQL need not fold each name by the rules of a language
        return Condition(f"{{ascii_lower:{at.column}}} like {{text:pattern}}", {"pattern": f"%{value.lower()}%"})
    return Condition(f"{at.column} {{like}} {{text:pattern}}", {"pattern": f"%{value}%"})


def starts_with(at: on, values: list[str], _kind: str) -> Condition | None:
    if not values:
        return None
    alternatives = [f"{at.column} {{like}} {{text:pattern{index}}}" for index in range(len(values))]
    patterns = {f"pattern{index}": f"{value}%" for index, value in enumerate(values)}
    return Condition(f"({' or '.join(alternatives)})", patterns)


def is_null(at: on, value: bool, _kind: str) -> Condition:
    return Condition(f"{at.null or at.column} {'is null' if value else 'is not null'}", {})


def before(at: on, value: datetime, _kind: str) -> Condition:
    return Condition(f"{at.column} <= {{ts:instant}}", {"instant": value})


def after(at: on, value: datetime, _kind: str) -> Condition:
    return Condition(f"{at.column} >= {{ts:instant}}", {"instant": value})


def equals(at: on, value: bool, _kind: str) -> Condition:
    return Condition(f"{at.column} = :value", {"value": value})


_KEYS: dict[str, Callable[[on, Any, str], Condition | None]] = {
    "any_": equals_any,
    "not_any_": equals_none,
    "like_": like,
    "startswith_": starts_with,
    "is_null_": is_null,
    "before_": before,
    "after_": after,
    "eq_": equals,
}


class AnyId(Leaf):
    kind = "uuid"
    any_: list[UUID] | None = None


class Ids(Leaf):
    kind = "uuid"
    any_: list[UUID] | None = None
    not_any_: list[UUID] | None = None


class IdOrNull(Leaf):
    kind = "uuid"
    operator: Operator = Operator.and_  # type: ignore[misc]
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class AnyText(Leaf):
    any_: list[str] | None = None


class Texts(Leaf):
    any_: list[str] | None = None
    not_any_: list[str] | None = None


class TextOrNull(Leaf):
    operator: Operator = Operator.and_  # type: ignore[misc]
    any_: list[str] | None = None
    is_null_: bool | None = None


class Name(Leaf):
    any_: list[str] | None = None
    like_: str | None = None


class NameLike(Leaf):
    like_: str | None = None


class NamePrefix(Leaf):
    any_: list[str] | None = None
    startswith_: list[str] | None = None


class Flag(Leaf):
    eq_: bool | None = None


class Period(Leaf):
    """Both ends belong to the period."""

    before_: Instant | None = None
    after_: Instant | None = None


class PeriodOrNull(Leaf):
    before_: Instant | None = None
    after_: Instant | None = None
    is_null_: bool | None = None


class AnyStateType(Leaf):
    any_: list[StateTypeName] | None = None

    def conditions(self, at: on) -> list[Condition]:
        if self.any_ is None:
            return []
        if len(self.any_) == 1:
            # Written into the text, not bound: only then can a planner see that an index of that type will do.
            return [Condition(f"{at.column} = '{self.any_[0]}'", {})]
        return [equals_any(at, [str(type_) for type_ in self.any_], self.kind)]


class StateTypes(Leaf):
    any_: list[StateTypeName] | None = None
    not_any_: list[StateTypeName] | None = None

    def conditions(self, at: on) -> list[Condition]:
        made = AnyStateType(self.any_).conditions(at)
        excluded = equals_none(at, [str(type_) for type_ in self.not_any_ or ()], self.kind)
        return made if excluded is None else [*made, excluded]


class AllTags(Leaf):
    """Tags of a row: `all_` of these are among them (an empty list says nothing); `is_null_` means none at all."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    all_: list[str] | None = None
    is_null_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        return _tags(at, self.all_, None, self.is_null_)


class Tags(Leaf):
    """As `AllTags`, or with `any_` of these among them (an empty list matches nothing)."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    all_: list[str] | None = None
    any_: list[str] | None = None
    is_null_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        return _tags(at, self.all_, self.any_, self.is_null_)


def _tags(at: on, all_: list[str] | None, any_: list[str] | None, is_null_: bool | None) -> list[Condition]:
    made = []
    if all_:
        made.append(Condition(f"{{has_all:{at.column}:wanted}}", {"wanted": all_}))
    if any_ is not None:
        made.append(Condition(f"{{has_any:{at.column}:wanted}}", {"wanted": any_}))
    if is_null_ is not None:
        made.append(Condition(f"{at.column} {'=' if is_null_ else '<>'} '[]'", {}))
    return made


class TextSearch(Leaf):
    """Words in a text, in whatever case (see `kit.text_search`)."""

    query: Annotated[str, Meta(max_length=200)]

    def conditions(self, at: on) -> list[Condition]:
        search = text_search.parse(self.query)
        made = [_contains(at.column, term) for term in search.required]
        excluded = [_contains(at.column, term) for term in search.excluded]
        made += [Condition(f"not {one.text}", one.params) for one in excluded]
        if search.any:
            either = [_contains(at.column, term, str(index)) for index, term in enumerate(search.any)]
            params = {name: value for one in either for name, value in one.params.items()}
            made.append(Condition(f"({' or '.join(one.text for one in either)})", params))
        return made


def _contains(column: str, term: str, number: str = "") -> Condition:
    """Whether a text has a term (in lower case) in it.

    To lower what is not ASCII costs PostgreSQL three times as much as the rest together, so it is only done where the
    term has such letters, and for texts that have what it has beside them.
    """
    name, plain = f"term{number}", f"plain{number}"
    parts = ["".join(letters) for same, letters in groupby(term, _lowered_alike) if same]
    if parts == [term]:
        return Condition(f"({{contains:{column}:{name}}})", {name: term})
    whole = f"({{contains:lower({column}):{name}}})"
    if not parts:
        return Condition(whole, {name: term})
    return Condition(f"({{contains:{column}:{plain}}} and {whole})", {name: term, plain: max(parts, key=len)})


def _lowered_alike(letter: str) -> bool:
    """Whether ASCII's rules suffice to lower what this letter may be written as."""
    return letter.isascii() or letter.lower() == letter.upper()
