"""The filter of events, and the SQL that it means (`matching` is what it means for an event at hand).

Texts are compared with regard to case on both databases. A pattern of a label's value may hold `*` (any text) and `?`
(any character); `!` in front negates it. A label that a resource does not have matches no pattern, negated or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from lictor.db import Where
from lictor.events.types import ABOUT, BOTH, RELATED, RESOURCE_ID, RESOURCE_ROLE
from lictor.filters.leaves import Condition, TextSearch, equals_any, equals_none, on
from lictor.kit import clock
from lictor.kit.errors import Unprocessable
from lictor.web.shapes import Instant

T = TypeVar("T")

# SQLite has no room for a thousand alternatives. Lists of whole ids and names are one condition each.
MOST_CONDITIONS = 800

# Parts of a filter that name resources, each of which is a condition with conditions of its own.
MOST_PARTS = 200

# Resources whose events are brought into one order.
MOST_MERGED = 100

# Parts of a filter that a mention is held against before its event is looked at.
MOST_OTHERS = 10

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
        return _listed(self.related)

    @property
    def every_any_resource(self) -> list[EventAnyResourceFilter]:
        return _listed(self.any_resource)

    @property
    def distinct(self) -> bool:
        return self.resource is not None and self.resource.distinct


def _listed(given: T | list[T] | None) -> list[T]:
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


class At(NamedTuple):
    """Where in the SQL one resource of an event is."""

    labels: str
    id: str
    role: str


PRIMARY = At("e.resource", "e.resource_id", "''")
OTHER = At("x.labels", "x.id", "x.role")
# The related resources, one a row.
EACH_RELATED = (
    f"(select value as labels, {{key:value:{RESOURCE_ID}}} as id, {{key:value:{RESOURCE_ROLE}}} as role"
    " from {elements:e.related}) x"
)
# The rows of an event's resources.
OF_EVENT = "select 1 from event_resources r where r.occurred = e.occurred and r.position = e.position"
OF_SAME_EVENT = "select 1 from event_resources o where o.occurred = r.occurred and o.position = r.position"
# Whether what stands beside it is the number of a name.
NUMBERED = "r.name in (select n.id from event_name n)"
KINDS = (ABOUT, RELATED, BOTH)
LAST_CHARACTER = chr(0x10FFFF)
TEXT = "concat_ws(' ', e.event, e.resource, e.related, e.payload)"


def add(found: Where, wanted: EventFilter, *, occurred: bool = True) -> None:
    """Add the filter as conditions on `events e`, but for `distinct`; those on when it `occurred` can be left out.

    Raises Unprocessable for more prefixes and patterns than a statement can hold.
    """
    if occurred:
        _add_period(found, wanted, "e")
    if wanted.id.id:
        _add(found, equals_any(on("e.id"), wanted.id.id, "uuid"))
    if wanted.event is not None:
        _add_name(found, wanted.event, "e.event")
    if wanted.resource is not None:
        _add_primary(found, wanted.resource)
    for related in wanted.every_related:
        _add_related(found, related)
    for any_resource in wanted.every_any_resource:
        _add_any_resource(found, any_resource)
    for condition in wanted.text.conditions(on(TEXT)) if wanted.text is not None else ():
        _add(found, condition)
    _refuse_many(found)


def _refuse_many(found: Where) -> None:
    if len(found.params) > MOST_CONDITIONS:
        raise Unprocessable(f"The filter has more than {MOST_CONDITIONS} conditions.")


def _add_period(found: Where, wanted: EventFilter, alias: str) -> None:
    found.add(f"{alias}.occurred >= {{ts:since}}", since=wanted.occurred.since)
    found.add(f"{alias}.occurred <= {{ts:until}}", until=wanted.occurred.until)


def names_alone(wanted: EventFilter) -> Where | None:
    """The conditions on `e.event` of a filter that asks for nothing but names and a time; None for any other."""
    found = _names(wanted, "e.event") if nothing_but_names(wanted) else None
    return None if found is None or len(found.params) > MOST_CONDITIONS else found


def nothing_but_names(wanted: EventFilter) -> bool:
    resources = [*([wanted.resource] if wanted.resource else []), *wanted.every_any_resource, *wanted.every_related]
    if any(getattr(resource, name) for resource in resources for name in resource.__struct_fields__):
        return False
    return not wanted.id.id and (wanted.text is None or not wanted.text.conditions(on(TEXT)))


def _names(wanted: EventFilter, column: str) -> Where:
    found = Where()
    if wanted.event is not None:
        _add_name(found, wanted.event, column)
    return found


def _add_names_beside(found: Where, wanted: EventFilter) -> None:
    """What is said of names, by their numbers beside `event_resources r`; the event is looked at for what is none."""
    numbered = _names(wanted, "n.name")
    if numbered:
        meant = f"r.name in (select n.id from event_name n where {numbered.text()})"
        own = f"(select {_names(wanted, 'o.event').text()} from events o where o.position = r.position)"
        found.add(f"case when {meant} then true when {NUMBERED} then false else {own} end", **numbered.params)
        _refuse_many(found)


class Mention(NamedTuple):
    """Resources that a filter names by their ids, and as what they may concern an event: each event that it lets
    through has a row of one of them in `event_resources r`, which tells its name, too, and rows of all of the `others`.
    `rest` is what it asks beside the resources."""

    ids: list[str]
    kinds: tuple[int, ...]
    rest: EventFilter
    others: tuple[Mention, ...] = ()

    @property
    def single(self) -> bool:
        """Whether each event has one such row, and those rows are in the order of the events."""
        return len(self.ids) == 1

    @property
    def several(self) -> bool:
        """Whether they are few enough to look at each."""
        return len(self.ids) <= MOST_MERGED

    @property
    def alone(self) -> bool:
        """Whether nothing is asked beside that but names and a time, so that the rows tell which events they are."""
        return nothing_but_names(self.rest)

    def add(self, found: Where, *, occurred: bool = True, ids: bool = True) -> None:
        """What the rows tell, as conditions on `event_resources r`."""
        if ids:
            _add(found, equals_any(on("r.resource_id"), self.ids, "text"))
        if occurred:
            _add_period(found, self.rest, "r")
        self._add_kinds(found, "r")
        _add_names_beside(found, self.rest)
        for other in self.others:
            rows = _alone(equals_any(on("o.resource_id"), other.ids, "text"))
            other._add_kinds(rows, "o")
            found.add_exists(OF_SAME_EVENT, rows)

    def add_rest(self, found: Where) -> None:
        """What they do not tell, as conditions on `events e`."""
        add(found, replace(self.rest, event=None), occurred=False)

    def _add_kinds(self, found: Where, alias: str) -> None:
        if len(self.kinds) < len(KINDS):
            found.add(f"{alias}.kind in ({', '.join(str(kind) for kind in self.kinds)})")


def own_rows(wanted: EventFilter) -> Where | None:
    """Conditions on `event_resources r` that the row of its own resource meets, for each event that the filter lets
    through and for no other; None if it asks for more than names, a time and how that resource's id begins."""
    resource = wanted.resource or EventResourceFilter()
    if resource.id or resource.labels or not nothing_but_names(replace(wanted, resource=None)):
        return None
    found = Where()
    if resource.id_prefix:
        _add(found, _in_range("r.resource_id", resource.id_prefix))
    Mention([], (ABOUT, BOTH), wanted).add(found, ids=False)
    return found if len(found.params) <= MOST_CONDITIONS else None


# As what the resources concern an event that a part of a filter names.
PLACES = (("any_resource", KINDS), ("related", (RELATED, BOTH)), ("resource", (ABOUT, BOTH)))


def mentions(wanted: EventFilter) -> list[Mention]:
    """By which resources the filter's events may be found, what is likely to be best first.

    Raises Unprocessable for more parts than a statement can hold.
    """
    named = [
        (name, kinds, part, ids) for name, kinds in PLACES for part, ids in _with_ids(_listed(getattr(wanted, name)))
    ]
    if len(named) > MOST_PARTS:
        raise Unprocessable(f"The filter has more than {MOST_PARTS} conditions on resources.")
    found: list[Mention] = []
    for name, kinds, part, ids in named:
        rest = _without(wanted, name, [part]) if _ids_alone(part) else wanted
        found.append(_with_others(Mention(ids, kinds, rest), part))
    return sorted(found, key=lambda one: (not one.single, not one.several, not one.alone))


def _with_ids(parts: list[Part]) -> Iterator[tuple[Part, list[str]]]:
    for part in parts:
        ids = part.id or [id for id, _ in getattr(part, "resources_in_roles", None) or ()] or _exact_ids(part.labels)
        if ids:
            yield part, list(dict.fromkeys(ids))


def _with_others(mention: Mention, own: Part) -> Mention:
    """The same, with what else its rest says of ids alone."""
    for name, kinds in PLACES:
        alone = (part for part in _listed(getattr(mention.rest, name)) if part is not own and _ids_alone(part))
        if others := list(islice(alone, MOST_OTHERS - len(mention.others))):
            rest = _without(mention.rest, name, others)
            rows = tuple(Mention(part.id or [], kinds, replace(rest, event=None)) for part in others)
            mention = mention._replace(rest=rest, others=mention.others + rows)
    return mention


def _without(wanted: EventFilter, name: str, parts: list[Any]) -> EventFilter:
    gone = {id(part) for part in parts}
    left = [part for part in _listed(getattr(wanted, name)) if id(part) not in gone]
    return replace(wanted, **{name: left if name != "resource" else None})


def _ids_alone(part: Part) -> bool:
    return [field for field in part.__struct_fields__ if getattr(part, field)] == ["id"]


def candidates(wanted: EventFilter) -> list[tuple[Where, bool]]:
    """Conditions on `event_resources r`: an event that the filter lets through has a row that meets each of them.

    With each, whether it names whole ids, so that the row of an event is found at once.
    """
    ids: list[list[str] | None] = []
    prefixes: list[list[str] | None] = []
    for one in ([wanted.resource] if wanted.resource else []) + wanted.every_any_resource:
        ids.append(one.id or _exact_ids(one.labels))
        prefixes.append(one.id_prefix)
    for related in wanted.every_related:
        in_roles = [id for id, _ in related.resources_in_roles or ()]
        ids.append(related.id or in_roles or _exact_ids(related.labels))
    found = [(_alone(equals_any(on("r.resource_id"), known, "text")), True) for known in ids if known]
    return found + [(_alone(_in_range("r.resource_id", known)), False) for known in prefixes if known]


def _exact_ids(labels: Specification | None) -> list[str] | None:
    wanted = patterns((labels or {}).get(RESOURCE_ID) or [])
    return [pattern.text for pattern in wanted] if all(p.exact and not p.negated for p in wanted) else None


def _add_name(found: Where, wanted: EventNameFilter, column: str) -> None:
    if wanted.prefix:
        _add(found, _starts_with(column, wanted.prefix))
    if wanted.exclude_prefix:
        _add(found, _not(_starts_with(column, wanted.exclude_prefix)))
    if wanted.name:
        _add(found, equals_any(on(column), wanted.name, "text"))
    if excluded := equals_none(on(column), wanted.exclude_name or [], "text"):
        _add(found, excluded)


def _add_primary(found: Where, wanted: EventResourceFilter) -> None:
    for condition in _of_resource(PRIMARY, wanted.id, wanted.id_prefix):
        _add(found, condition)
    labels = dict(wanted.labels or {})
    if given := labels.pop(RESOURCE_ID, None):
        _add(found, _like_any(PRIMARY.id, patterns(given)))
    for label, given in labels.items():
        _add(found, _has_label(PRIMARY, label, patterns(given)))


def _add_related(found: Where, wanted: EventRelatedFilter) -> None:
    conditions = _of_resource(OTHER, wanted.id, None)
    if wanted.id and not (wanted.role or wanted.resources_in_roles or wanted.labels):
        related = _alone(equals_any(on("r.resource_id"), wanted.id, "text"))
        related.add(f"r.kind <> {ABOUT}")
        found.add_exists(OF_EVENT, related)
        return
    if wanted.role:
        conditions.append(equals_any(on(OTHER.role), wanted.role, "text"))
    if wanted.resources_in_roles:
        conditions.append(_in_roles(OTHER, wanted.resources_in_roles))
    if wanted.labels:
        conditions += _of_labels(OTHER, wanted.labels)
    if conditions or wanted.labels:
        found.add_exists(f"select 1 from {EACH_RELATED} where true", _all(conditions))


def _add_any_resource(found: Where, wanted: EventAnyResourceFilter) -> None:
    if wanted.id and not wanted.id_prefix and not wanted.labels:
        own = _alone(equals_any(on("r.resource_id"), wanted.id, "text"))
        found.add_exists(OF_EVENT, own)
        return
    either = []
    for at in (PRIMARY, OTHER):
        either.append(_of_resource(at, wanted.id, wanted.id_prefix) + _of_labels(at, wanted.labels or {}))
    if not either[0]:
        return
    of_related = Where()
    of_related.add_exists(f"select 1 from {EACH_RELATED} where true", _all(either[1]))
    found.add_any([_all(either[0]), of_related])


def _of_resource(at: At, ids: list[str] | None, prefixes: list[str] | None) -> list[Condition]:
    conditions = []
    if ids:
        conditions.append(equals_any(on(at.id), ids, "text"))
    if prefixes:
        conditions.append(_starts_with(at.id, prefixes))
    return conditions


def _of_labels(at: At, wanted: Specification) -> list[Condition]:
    """Id and role are apart: an empty list says nothing of them, and roles are not patterns."""
    labels = dict(wanted)
    conditions = []
    if given := labels.pop(RESOURCE_ID, None):
        conditions.append(_like_any(at.id, patterns(given)))
    if roles := labels.pop(RESOURCE_ROLE, None):
        conditions.append(equals_any(on(at.role), [roles] if isinstance(roles, str) else roles, "text"))
    return conditions + [_has_label(at, label, patterns(given)) for label, given in labels.items()]


def _has_label(at: At, label: str, wanted: list[Pattern]) -> Condition:
    if not wanted:
        return Condition("false", {})
    values = _like_any("l.value", wanted)
    select = f"select 1 from {{pairs:{at.labels}}} l where l.key = {{text:label}} and {values.text}"
    return Condition(f"exists ({select})", {"label": label} | values.params)


def _like_any(column: str, wanted: list[Pattern]) -> Condition:
    tests, params = [], {}
    for index, pattern in enumerate(wanted):
        name = f"pattern{index}"
        params[name] = pattern.text
        test = f"{column} = {{text:{name}}}" if pattern.exact else f"{{matches:{column}:{name}}}"
        tests.append(f"not ({test})" if pattern.negated else f"({test})")
    return Condition(f"({' or '.join(tests)})", params)


def _starts_with(column: str, prefixes: list[str]) -> Condition:
    tests = [f"{{starts:{column}:prefix{index}}}" for index in range(len(prefixes))]
    return Condition(f"({' or '.join(tests)})", {f"prefix{index}": prefix for index, prefix in enumerate(prefixes)})


def _in_range(column: str, prefixes: list[str]) -> Condition:
    """The same of a column in the order of its bytes, which its index is in: PostgreSQL, which keeps one plan for all
    beginnings, does not see that in a function."""
    tests, params = [], {}
    for index, prefix in enumerate(prefixes):
        params[f"first{index}"] = prefix
        test = f"{column} >= {{text:first{index}}}"
        if (behind := text_behind(prefix)) is not None:
            params[f"behind{index}"] = behind
            test += f" and {column} < {{text:behind{index}}}"
        tests.append(f"({test})")
    return Condition(f"({' or '.join(tests)})", params)


def text_behind(prefix: str) -> str | None:
    """The first text behind all that begin so, in the order of code points, which is that of UTF-8; None if there is
    none."""
    stem = prefix.rstrip(LAST_CHARACTER)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)


def _in_roles(at: At, wanted: Iterable[tuple[str, str]]) -> Condition:
    tests: list[str] = []
    params: dict[str, str] = {}
    for index, (id, role) in enumerate(wanted):
        tests.append(f"({at.id} = {{text:id{index}}} and {at.role} = {{text:role{index}}})")
        params |= {f"id{index}": id, f"role{index}": role}
    return Condition(f"({' or '.join(tests)})", params)


def _not(condition: Condition) -> Condition:
    return Condition(f"not {condition.text}", condition.params)


def _add(found: Where, condition: Condition) -> None:
    found.add(condition.text, **condition.params)


def _all(conditions: list[Condition]) -> Where:
    found = Where()
    for condition in conditions:
        _add(found, condition)
    return found


def _alone(condition: Condition) -> Where:
    return _all([condition])
