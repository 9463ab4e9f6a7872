"""What the filter of events means in SQL: conditions on `events e`.

Texts are compared with regard to case on both databases.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lictor.db import Where
from lictor.events.filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventRelatedFilter,
    EventResourceFilter,
    Pattern,
    Specification,
    patterns,
)
from lictor.events.types import ABOUT, RESOURCE_ID, RESOURCE_ROLE
from lictor.filters.leaves import Condition, equals_any, equals_none, on
from lictor.kit.errors import Unprocessable

# SQLite has no room for a thousand alternatives. Lists of whole ids and names are one condition each.
MOST_CONDITIONS = 800


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
LAST_CHARACTER = chr(0x10FFFF)
TEXT = "concat_ws(' ', e.event, e.resource, e.related, e.payload)"


def add(found: Where, wanted: EventFilter, *, occurred: bool = True) -> None:
    """Add the filter as conditions on `events e`, but for `distinct`; those on when it `occurred` can be left out.

    Raises Unprocessable for more prefixes and patterns than a statement can hold.
    """
    if occurred:
        add_period(found, wanted, "e")
    if wanted.id.id:
        put(found, equals_any(on("e.id"), wanted.id.id, "uuid"))
    if wanted.event is not None:
        _add_name(found, wanted.event, "e.event")
    if wanted.resource is not None:
        _add_primary(found, wanted.resource)
    for related in wanted.every_related:
        _add_related(found, related)
    for any_resource in wanted.every_any_resource:
        _add_any_resource(found, any_resource)
    for condition in wanted.text.conditions(on(TEXT)) if wanted.text is not None else ():
        put(found, condition)
    refuse_many(found)


def refuse_many(found: Where) -> None:
    if len(found.params) > MOST_CONDITIONS:
        raise Unprocessable(f"The filter has more than {MOST_CONDITIONS} conditions.")


def add_period(found: Where, wanted: EventFilter, alias: str) -> None:
    found.add(f"{alias}.occurred >= {{ts:since}}", since=wanted.occurred.since)
    found.add(f"{alias}.occurred <= {{ts:until}}", until=wanted.occurred.until)


def names_alone(wanted: EventFilter) -> Where | None:
    """The conditions on `e.event` of a filter that asks for nothing but names and a time; None for any other."""
    found = names(wanted, "e.event") if nothing_but_names(wanted) else None
    return None if found is None or len(found.params) > MOST_CONDITIONS else found


def nothing_but_names(wanted: EventFilter) -> bool:
    resources = [*([wanted.resource] if wanted.resource else []), *wanted.every_any_resource, *wanted.every_related]
    if any(getattr(resource, name) for resource in resources for name in resource.__struct_fields__):
        return False
    return not wanted.id.id and (wanted.text is None or not wanted.text.conditions(on(TEXT)))


def names(wanted: EventFilter, column: str) -> Where:
    found = Where()
    if wanted.event is not None:
        _add_name(found, wanted.event, column)
    return found


def _add_name(found: Where, wanted: EventNameFilter, column: str) -> None:
    if wanted.prefix:
        put(found, _starts_with(column, wanted.prefix))
    if wanted.exclude_prefix:
        put(found, _not(_starts_with(column, wanted.exclude_prefix)))
    if wanted.name:
        put(found, equals_any(on(column), wanted.name, "text"))
    if excluded := equals_none(on(column), wanted.exclude_name or [], "text"):
        put(found, excluded)


def _add_primary(found: Where, wanted: EventResourceFilter) -> None:
    for condition in _of_resource(PRIMARY, wanted.id, wanted.id_prefix):
        put(found, condition)
    labels = dict(wanted.labels or {})
    if given := labels.pop(RESOURCE_ID, None):
        put(found, _like_any(PRIMARY.id, patterns(given)))
    for label, given in labels.items():
        put(found, _has_label(PRIMARY, label, patterns(given)))


def _add_related(found: Where, wanted: EventRelatedFilter) -> None:
    conditions = _of_resource(OTHER, wanted.id, None)
    if wanted.id and not (wanted.role or wanted.resources_in_roles or wanted.labels):
        related = alone(equals_any(on("r.resource_id"), wanted.id, "text"))
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
        own = alone(equals_any(on("r.resource_id"), wanted.id, "text"))
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


def in_range(column: str, prefixes: list[str]) -> Condition:
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


def put(found: Where, condition: Condition) -> None:
    found.add(condition.text, **condition.params)


def _all(conditions: list[Condition]) -> Where:
    found = Where()
    for condition in conditions:
        put(found, condition)
    return found


def alone(condition: Condition) -> Where:
    return _all([condition])
