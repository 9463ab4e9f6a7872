"""The filter of events, as it is sent (`conditions` is what it means in SQL, `matching` for an event at hand).

A pattern of a label's value may hold `*` (any text) and `?` (any character); `!` in front negates it. A label that a
resource does not have matches no pattern, negated or not.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeVar
from uuid import UUID

from msgspec import Struct, field

from lictor.filters.leaves import TextSearch
from lictor.kit import clock
from lictor.web.shapes import Instant

T = TypeVar("T")

DEFAULT_PERIOD = timedelta(days=180)

# Labels to patterns, one or several.
Specification = dict[str, str | list[str]]


class Order(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


def _midnight() -> datetime:
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0)


class EventOccurredFilter(Struct, forbid_unknown_fields=True):
    """Both ends belong to the period."""

    since: Instant = field(default_factory=lambda: _midnight() - DEFAULT_PERIOD)
    until: Instant = field(default_factory=clock.now)


class EventNameFilter(Struct, forbid_unknown_fields=True):
    prefix: list[str] | None = None
    exclude_prefix: list[str] | None = None
    name: list[str] | None = None
    exclude_name: list[str] | None = None


class EventResourceFilter(Struct, forbid_unknown_fields=True):
    """The resource that the event is about; `distinct`: one event of each."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: Specification | None = None
    distinct: bool = False


class EventRelatedFilter(Struct, forbid_unknown_fields=True):
    """One of the related resources meets all of it."""

    id: list[str] | None = None
    role: list[str] | None = None
    resources_in_roles: list[tuple[str, str]] | None = None
    labels: Specification | None = None


class EventAnyResourceFilter(Struct, forbid_unknown_fields=True):
    """One of all resources, related or not, meets all of it."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: Specification | None = None


Part = EventResourceFilter | EventRelatedFilter | EventAnyResourceFilter


class EventIDFilter(Struct, forbid_unknown_fields=True):
    id: list[UUID] | None = None


class EventFilter(Struct, forbid_unknown_fields=True):
    """The AND of its fields, and of the items of those that are lists."""

    occurred: EventOccurredFilter = field(default_factory=EventOccurredFilter)
    event: EventNameFilter | None = None
    resource: EventResourceFilter | None = None
    related: EventRelatedFilter | list[EventRelatedFilter] | None = None
    any_resource: EventAnyResourceFilter | list[EventAnyResourceFilter] | None = None
    id: EventIDFilter = field(default_factory=EventIDFilter)
    text: TextSearch | None = None
    order: Order = Order.DESC

    @property
    def every_related(self) -> list[EventRelatedFilter]:
        return listed(self.related)

    @property
    def every_any_resource(self) -> list[EventAnyResourceFilter]:
        return listed(self.any_resource)

    @property
    def distinct(self) -> bool:
        return self.resource is not None and self.resource.distinct


def listed(given: T | list[T] | None) -> list[T]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


class Pattern(NamedTuple):
    """What a label's value should look like."""

    text: str
    negated: bool

    @property
    def exact(self) -> bool:
        return "*" not in self.text and "?" not in self.text


def patterns(given: str | list[str]) -> list[Pattern]:
    texts = [given] if isinstance(given, str) else given
    return [Pattern(text.removeprefix("!"), text.startswith("!")) for text in texts]
