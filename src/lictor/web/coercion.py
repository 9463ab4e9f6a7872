"""Scalars in pydantic's lax mode: "5" is 5, "true" is true, a number is an instant. Messages are pydantic's."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect

from lictor.kit import times

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})
_INTEGER = re.compile(r"\s*([+-]?\d+(?:_\d+)*)(?:\.0+)?\s*")
_MOST_DIGITS = 4300
_HEX = frozenset("0123456789abcdefABCDEF")
_GROUPS = (8, 4, 4, 4, 12)
_LONGEST_UUID = 45
_CLOCK = re.compile(r"([+-])?(?:(\d+)\s*(?:d|days?),?\s*)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?", re.IGNORECASE)
_PERIOD = re.compile(
    r"([+-])?P(?:(\d+(?:\.\d+)?)Y)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_PERIOD_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)


class Bad(Exception):
    """A value that cannot be coerced: pydantic's error type, message and context."""

    def __init__(self, type: str, msg: str, ctx: Mapping[str, Any] | None = None) -> None:
        self.type = type
        self.msg = msg
        self.ctx = ctx


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Bad("string_type", "Input should be a valid string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise half_a_pair() from None
    return value


def half_a_pair() -> Bad:
    words = "Input should be a valid string, unable to parse raw data as a unicode string"
    return Bad("string_unicode", words)


def integer(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _integral(value)
    if not isinstance(value, str):
        raise Bad("int_type", "Input should be a valid integer")
    found = _INTEGER.fullmatch(value)
    if not found:
        raise Bad("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
    if len(found[1]) > _MOST_DIGITS:
        raise Bad("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size")
    return int(found[1])


def _integral(value: float) -> int:
    if not math.isfinite(value):
        raise Bad("finite_number", "Input should be a finite number")
    if not value.is_integer():
        raise Bad("int_from_float", "Input should be a valid integer, got a number with a fractional part")
    if abs(value) >= 2**63:
        raise Bad("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size")
    return int(value)


def number(value: Any) -> float:
    if not isinstance(value, int | float | str):
        raise Bad("float_type", "Input should be a valid number")
    try:
        found = float(value)
    except OverflowError:
        raise Bad("float_type", "Input should be a valid number") from None
    except ValueError:
        raise Bad("float_parsing", "Input should be a valid number, unable to parse string as a number") from None
    if not math.isfinite(found):
        # The reference takes it, and stores null.
        raise Bad("finite_number", "Input should be a finite number")
    return found


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str | int):
        raise Bad("bool_parsing", "Input should be a valid boolean, unable to interpret input")
    raise Bad("bool_type", "Input should be a valid boolean")


def uuid(value: Any) -> UUID:
    if not isinstance(value, str):
        raise Bad("uuid_type", "UUID input should be a string, bytes or UUID object")
    bare = value.removeprefix("urn:uuid:")
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    size = len(value.encode("utf-8", "surrogatepass"))
    fault = f"invalid length: found {size}" if size > _LONGEST_UUID else _uuid_fault(bare)
    if fault:
        raise Bad("uuid_parsing", f"Input should be a valid UUID, {fault}", {"error": fault})
    return UUID(bare)


def _uuid_fault(value: str) -> str | None:
    for place, character in enumerate(value):
        if character not in _HEX and character != "-":
            return f"invalid character: found `{character}` at {place}"
    if "-" not in value:
        return None if len(value) == 32 else f"invalid length: found {len(value)}"
    groups = value.split("-")
    if len(groups) != len(_GROUPS):
        return f"invalid group count: expected {len(_GROUPS)}, found {len(groups)}"
    for place, (group, length) in enumerate(zip(groups, _GROUPS, strict=True)):
        if len(group) != length:
            return f"invalid group length in group {place}: expected {length}, found {len(group)}"
    return None


def instant(value: Any) -> datetime:
    """Any of the forms the reference reads; without an offset it is UTC."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Bad("value_error", "value is not a valid datetime")
    try:
        moment = times.parse(value)
    except (ValueError, OverflowError):
        if not isinstance(value, str):
            raise Bad("value_error", "value is not a valid datetime") from None
        raise Bad("value_error", f"Value error, Unable to parse string [{value}]", {"error": {}}) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def seconds(value: Any) -> float:
    """A duration as float seconds: a number, `PT1H`, `1:00:00` or `1 day, 1:00:00`."""
    if isinstance(value, int | float):
        if math.isfinite(value):
            return float(value)
        raise _bad_duration("NaN values not permitted")
    if not isinstance(value, str):
        raise Bad("time_delta_type", "Input should be a valid timedelta")
    if clock := _CLOCK.fullmatch(value.strip()):
        sign, days, hours, minutes, rest = clock.groups()
        total = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest or 0)
        return -total if sign == "-" else total
    period = _PERIOD.fullmatch(value.strip())
    if period and any(period.groups()[1:]):
        total = sum(float(n) * size for n, size in zip(period.groups()[1:], _PERIOD_SECONDS, strict=True) if n)
        return -total if period[1] == "-" else total
    raise _bad_duration("invalid digit in duration" if value else "input is too short")


def duration(value: Any) -> timedelta:
    try:
        return timedelta(seconds=seconds(value))
    except OverflowError:
        raise _bad_duration("durations may not exceed 999,999,999 days") from None


def _bad_duration(why: str) -> Bad:
    return Bad("time_delta_parsing", f"Input should be a valid timedelta, {why}", {"error": why})


def _any(kind: Any, value: Any) -> Any:
    return value


def _raw(kind: Any, value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except UnicodeEncodeError:
        raise half_a_pair() from None


def _none(kind: Any, value: Any) -> None:
    if value is not None:
        raise Bad("none_required", "Input should be None")


def _bool(kind: Any, value: Any) -> bool:
    return boolean(value)


def _int(kind: inspect.IntType, value: Any) -> int:
    return int(_bounded(kind, integer(value), int))


def _float(kind: inspect.FloatType, value: Any) -> float:
    return float(_bounded(kind, number(value), float))


_BOUNDS: tuple[tuple[str, str, str, Callable[[float, float], bool]], ...] = (
    ("ge", "greater_than_equal", "greater than or equal to", operator.ge),
    ("gt", "greater_than", "greater than", operator.gt),
    ("le", "less_than_equal", "less than or equal to", operator.le),
    ("lt", "less_than", "less than", operator.lt),
)


def _bounded(kind: inspect.IntType | inspect.FloatType, value: float, cast: Callable[[Any], float]) -> float:
    for key, type, words, holds in _BOUNDS:
        bound = getattr(kind, key)
        if bound is not None and not holds(value, bound):
            raise Bad(type, f"Input should be {words} {bound:g}", {key: cast(bound)})
    return value


def _str(kind: inspect.StrType, value: Any) -> str:
    found = text(value)
    if kind.max_length is not None and len(found) > kind.max_length:
        words = f"String should have at most {counted(kind.max_length, 'character')}"
        raise Bad("string_too_long", words, {"max_length": kind.max_length})
    if kind.min_length is not None and len(found) < kind.min_length:
        words = f"String should have at least {counted(kind.min_length, 'character')}"
        raise Bad("string_too_short", words, {"min_length": kind.min_length})
    if kind.pattern is not None and not re.search(kind.pattern, found):
        words = f"String should match pattern '{kind.pattern}'"
        raise Bad("string_pattern_mismatch", words, {"pattern": kind.pattern})
    return found


def _uuid(kind: Any, value: Any) -> UUID:
    return uuid(value)


def _instant(kind: Any, value: Any) -> datetime:
    return instant(value)


def _duration(kind: Any, value: Any) -> timedelta:
    return duration(value)


def _enum(kind: inspect.EnumType, value: Any) -> Any:
    for member in kind.cls:
        if member.value == value and isinstance(value, type(member.value)):
            return member
    raise one_of("enum", [member.value for member in kind.cls])


def _literal(kind: inspect.LiteralType, value: Any) -> Any:
    for allowed in kind.values:
        if allowed == value:
            return allowed
    raise one_of("literal_error", kind.values)


def one_of(type: str, values: Iterable[Any]) -> Bad:
    """The error of a value that is not among `values`, which are listed as pydantic lists them."""
    words = [repr(value) for value in values]
    expected = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    return Bad(type, f"Input should be {expected}", {"expected": expected})


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


SCALARS: dict[type[inspect.Type], Callable[[Any, Any], Any]] = {
    inspect.AnyType: _any,
    inspect.RawType: _raw,
    inspect.NoneType: _none,
    inspect.BoolType: _bool,
    inspect.IntType: _int,
    inspect.FloatType: _float,
    inspect.StrType: _str,
    inspect.UUIDType: _uuid,
    inspect.DateTimeType: _instant,
    inspect.TimeDeltaType: _duration,
    inspect.EnumType: _enum,
    inspect.LiteralType: _literal,
}
