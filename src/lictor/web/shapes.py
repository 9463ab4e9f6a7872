"""The words with which a concept declares what it takes from the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple

from msgspec import UNSET, Meta, Struct

from lictor.kit.errors import FieldError

__all__ = [
    "DEFAULT_LIMIT",
    "Checked",
    "Checks",
    "Choice",
    "Each",
    "Embedded",
    "FieldError",
    "Header",
    "Instant",
    "Limit",
    "Offset",
    "PageNumber",
    "Query",
    "Seconds",
]


class Embedded(Struct):
    """A body whose top-level keys are separate parameters, as the reference declares them with several body arguments.

    The body may be absent, null or {} when no field is required; unknown top-level keys are ignored;
    null for a field that has a default means the default.
    """


Check = Callable[[Any], None]
Checks = Mapping[str, Check]


class Each:
    """In `Checked.checks`: a check of each item of a list."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def __call__(self, items: list[Any]) -> None:
        for item in items:
            self.check(item)


class Checked:
    """A Struct with rules for single fields beyond their types: `class VariableCreate(Checked, Struct)`.

    `checks` has a function for each of these fields, which raises FieldError. Each field is held against its own, so
    that an answer lists everything that is wrong, in the order of the fields. What concerns several fields stands in
    `__post_init__`, which calls this one, or does the same faster; it is told when nothing else is wrong.
    """

    __slots__ = ()
    checks: ClassVar[Checks] = {}

    def __post_init__(self) -> None:
        for name, check in self.checks.items():
            value = getattr(self, name)
            if value is not UNSET:
                check(value)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The input whose fields are to be read; raises ValueError for what is wrong before they are looked at.

        Only the slow path calls it, so `__post_init__` has to refuse or fill in the same.
        """
        return given


class Choice:
    """An untagged union of Structs: `class Schedule(Choice)`, then `class CronSchedule(Schedule, Struct)` and so on.

    A field of type `Schedule` takes the first member, in order of definition, that fits. A member's `wire_label`
    is its name in error locations.
    """

    __slots__ = ()
    wire_label: ClassVar[str]

    @classmethod
    def members(cls) -> list[type[Any]]:
        return cls.__subclasses__()


class Query(NamedTuple):
    """`Annotated[T, Query("page-token")]`: a query parameter; without a name, the parameter's own."""

    name: str | None = None


class Header(NamedTuple):
    """`Annotated[T, Header("prefect-csrf-token")]`: a request header; without a name, the parameter's with dashes.

    One that is not `shown` is left out of the OpenAPI document.
    """

    name: str | None = None
    shown: bool = True


# What a `Limit` field holds between decoding and the check against the settings; never seen by an endpoint.
DEFAULT_LIMIT = -(2**31)

Limit = Annotated[int, Meta(extra={"lictor": "limit"})]
"""`limit: Limit = DEFAULT_LIMIT`: 0 to the configured page size, which is also the default; more is a 422."""

Offset = Annotated[int, Meta(ge=0)]
PageNumber = Annotated[int, Meta(ge=1)]

Seconds = Annotated[float, Meta(extra={"lictor": "seconds"})]
"""A duration: float seconds on the wire and inside; ISO 8601 durations and `HH:MM:SS` are accepted as input."""

Instant = Annotated[datetime, Meta(tz=True)]
"""An aware datetime; input without an offset is taken as UTC."""
