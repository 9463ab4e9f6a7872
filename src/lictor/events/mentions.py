"""By which resources the events of a filter may be found: conditions on `event_resources r`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from lictor.db import Where
from lictor.events import conditions
from lictor.events.conditions import MOST_CONDITIONS, alone, in_range, names, put
from lictor.events.filters import (
    EventFilter,
    EventResourceFilter,
    Part,
    Specification,
    listed,
    patterns,
)
from lictor.events.types import ABOUT, BOTH, RELATED, RESOURCE_ID
from lictor.filters.leaves import equals_any, on
from lictor.kit.errors import Unprocessable

# Parts of a filter that name resources, each of which is a condition with conditions of its own.
MOST_PARTS = 200

# Resources whose events are brought into one order.
MOST_MERGED = 100

# Parts of a filter that a mention is held against before its event is looked at.
MOST_OTHERS = 10

OF_SAME_EVENT = "select 1 from event_resources o where o.occurred = r.occurred and o.position = r.position"
# Whether what stands beside it is the number of a name.
NUMBERED = "r.name in (select n.id from event_name n)"
KINDS = (ABOUT, RELATED, BOTH)


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
        return conditions.nothing_but_names(self.rest)

    def add(self, found: Where, *, occurred: bool = True, ids: bool = True) -> None:
        """What the rows tell, as conditions on `event_resources r`."""
        if ids:
            put(found, equals_any(on("r.resource_id"), self.ids, "text"))
        if occurred:
            conditions.add_period(found, self.rest, "r")
        self._add_kinds(found, "r")
        add_names_beside(found, self.rest)
        for other in self.others:
            found.add_exists(OF_SAME_EVENT, other.rows("o"))

    def rows(self, alias: str) -> Where:
        """Conditions on the rows of its resources, but for what it asks beside them."""
        found = alone(equals_any(on(f"{alias}.resource_id"), self.ids, "text"))
        self._add_kinds(found, alias)
        return found

    def add_rest(self, found: Where) -> None:
        """What they do not tell, as conditions on `events e`."""
        conditions.add(found, replace(self.rest, event=None), occurred=False)

    def _add_kinds(self, found: Where, alias: str) -> None:
        if len(self.kinds) < len(KINDS):
            found.add(f"{alias}.kind in ({', '.join(str(kind) for kind in self.kinds)})")


def own_rows(wanted: EventFilter) -> Where | None:
    """Conditions on `event_resources r` that the row of its own resource meets, for each event that the filter lets
    through and for no other; None if it asks for more than names, a time and how that resource's id begins."""
    resource = wanted.resource or EventResourceFilter()
    if resource.id or resource.labels or not conditions.nothing_but_names(replace(wanted, resource=None)):
        return None
    found = Where()
    if resource.id_prefix:
        put(found, in_range("r.resource_id", resource.id_prefix))
    Mention([], (ABOUT, BOTH), wanted).add(found, ids=False)
    return found if len(found.params) <= MOST_CONDITIONS else None


# As what the resources concern an event that a part of a filter names.
PLACES = (("any_resource", KINDS), ("related", (RELATED, BOTH)), ("resource", (ABOUT, BOTH)))


def find(wanted: EventFilter) -> list[Mention]:
    """By which resources the filter's events may be found, what is likely to be best first.

    Raises Unprocessable for more parts than a statement can hold.
    """
    named = [
        (name, kinds, part, ids) for name, kinds in PLACES for part, ids in _with_ids(listed(getattr(wanted, name)))
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
        by_ids = (part for part in listed(getattr(mention.rest, name)) if part is not own and _ids_alone(part))
        if others := list(islice(by_ids, MOST_OTHERS - len(mention.others))):
            rest = _without(mention.rest, name, others)
            rows = tuple(Mention(part.id or [], kinds, replace(rest, event=None)) for part in others)
            mention = mention._replace(rest=rest, others=mention.others + rows)
    return mention


def _without(wanted: EventFilter, name: str, parts: list[Any]) -> EventFilter:
    gone = {id(part) for part in parts}
    left = [part for part in listed(getattr(wanted, name)) if id(part) not in gone]
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
    found = [(alone(equals_any(on("r.resource_id"), known, "text")), True) for known in ids if known]
    return found + [(alone(in_range("r.resource_id", known)), False) for known in prefixes if known]


def add_names_beside(found: Where, wanted: EventFilter) -> None:
    """What is said of names, by their numbers beside `event_resources r`; the event is looked at for what is none."""
    numbered = names(wanted, "n.name")
    if numbered:
        meant = f"r.name in (select n.id from event_name n where {numbered.text()})"
        own = f"(select {names(wanted, 'o.event').text()} from events o where o.position = r.position)"
        found.add(f"case when {meant} then true when {NUMBERED} then false else {own} end", **numbered.params)
        conditions.refuse_many(found)


def _exact_ids(labels: Specification | None) -> list[str] | None:
    wanted = patterns((labels or {}).get(RESOURCE_ID) or [])
    return [pattern.text for pattern in wanted] if all(p.exact and not p.negated for p in wanted) else None
