"""What a filter of events means for an event at hand: the same as its SQL, without asking the database.

`related` is looked at, too, which the reference forgets for live events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property

import msgspec
from msgspec import Raw, Struct

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
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Labels
from lictor.filters.leaves import TextSearch
from lictor.kit import text_search, times

_labels = msgspec.json.Decoder(Labels).decode
_related = msgspec.json.Decoder(list[Labels]).decode


class Line(Struct, dict=True):
    """An event as it stands in the log, its JSON read only when somebody looks inside."""

    position: int
    id: str
    occurred: datetime
    received: datetime
    event: str
    follows: str | None
    resource_id: str
    resource: Raw
    related: Raw
    payload: Raw

    @cached_property
    def labels(self) -> Labels:
        return _labels(self.resource)

    @cached_property
    def others(self) -> list[Labels]:
        return _related(self.related)

    @cached_property
    def text(self) -> str:
        parts = (self.resource, self.related, self.payload)
        return " ".join([self.event, *(bytes(part).decode() for part in parts)]).lower()


Test = Callable[[Line], bool]
LabelsTest = Callable[[Labels], bool]


def matcher(wanted: EventFilter) -> Test:
    """Whether the filter lets an event through, but for `distinct`; what is quickly said is asked first."""
    tests = [*_names(wanted.event), *_occurred(wanted), *_ids(wanted), *_primary(wanted.resource)]
    tests += [_some_related(one) for one in wanted.every_related if one != EventRelatedFilter()]
    tests += [_any_resource(one) for one in wanted.every_any_resource]
    tests += _text(wanted.text)
    return lambda line: all(test(line) for test in tests)


def _occurred(wanted: EventFilter) -> list[Test]:
    since, until = times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)
    return [lambda line: since <= line.occurred <= until]


def _ids(wanted: EventFilter) -> list[Test]:
    ids = {str(id) for id in wanted.id.id or ()}
    return [lambda line: line.id in ids] if ids else []


def _names(wanted: EventNameFilter | None) -> list[Test]:
    if wanted is None:
        return []
    meant = names(wanted)
    return [lambda line: meant(line.event)]


def names(wanted: EventNameFilter) -> Callable[[str], bool]:
    """Whether events of a name are meant."""
    tests: list[Callable[[str], bool]] = []
    prefixes, excluded_prefixes = tuple(wanted.prefix or ()), tuple(wanted.exclude_prefix or ())
    exact, excluded = frozenset(wanted.name or ()), frozenset(wanted.exclude_name or ())
    if exact:
        tests.append(lambda name: name in exact)
    if prefixes:
        tests.append(lambda name: name.startswith(prefixes))
    if excluded:
        tests.append(lambda name: name not in excluded)
    if excluded_prefixes:
        tests.append(lambda name: not name.startswith(excluded_prefixes))
    return lambda name: all(test(name) for test in tests)


def _primary(wanted: EventResourceFilter | None) -> list[Test]:
    if wanted is None:
        return []
    tests: list[Test] = []
    ids, prefixes = frozenset(wanted.id or ()), tuple(wanted.id_prefix or ())
    labels = dict(wanted.labels or {})
    if not labels.get(RESOURCE_ID):
        labels.pop(RESOURCE_ID, None)
    specified = [_label(label, patterns(given)) for label, given in labels.items()]
    if ids:
        tests.append(lambda line: line.resource_id in ids)
    if prefixes:
        tests.append(lambda line: line.resource_id.startswith(prefixes))
    if specified:
        tests.append(lambda line: all(test(line.labels) for test in specified))
    return tests


def _some_related(wanted: EventRelatedFilter) -> Test:
    tests = _of_resource(wanted.id, None, wanted.labels)
    if wanted.role:
        tests.append(_one_of(RESOURCE_ROLE, wanted.role))
    if wanted.resources_in_roles:
        pairs = {tuple(pair) for pair in wanted.resources_in_roles}
        tests.append(lambda labels: (labels[RESOURCE_ID], labels[RESOURCE_ROLE]) in pairs)
    if not tests and not wanted.labels:
        return lambda line: True
    return lambda line: _some(line.others, tests)


def _any_resource(wanted: EventAnyResourceFilter) -> Test:
    tests = _of_resource(wanted.id, wanted.id_prefix, wanted.labels)
    # The resource that an event is about has no role, whatever its labels say.
    return lambda line: _some([{**line.labels, RESOURCE_ROLE: ""}], tests) or _some(line.others, tests)


def _some(resources: Iterable[Labels], tests: list[LabelsTest]) -> bool:
    return any(all(test(labels) for test in tests) for labels in resources)


def _of_resource(
    ids: list[str] | None, prefixes: list[str] | None, specification: Specification | None
) -> list[LabelsTest]:
    tests: list[LabelsTest] = []
    if ids:
        tests.append(_one_of(RESOURCE_ID, ids))
    if prefixes:
        beginnings = tuple(prefixes)
        tests.append(lambda labels: labels[RESOURCE_ID].startswith(beginnings))
    labels = dict(specification or {})
    if given := labels.pop(RESOURCE_ID, None):
        tests.append(_label(RESOURCE_ID, patterns(given)))
    if roles := labels.pop(RESOURCE_ROLE, None):
        tests.append(_one_of(RESOURCE_ROLE, [roles] if isinstance(roles, str) else roles))
    return tests + [_label(label, patterns(given)) for label, given in labels.items()]


def _one_of(label: str, values: Iterable[str]) -> LabelsTest:
    wanted = frozenset(values)
    return lambda labels: labels.get(label) in wanted


def _label(label: str, wanted: list[Pattern]) -> LabelsTest:
    tests = [_fits(pattern) for pattern in wanted]
    return lambda labels: (value := labels.get(label)) is not None and any(test(value) for test in tests)


def _fits(pattern: Pattern) -> Callable[[str], bool]:
    parts = re.split(r"([*?])", pattern.text)
    expression = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
    found = re.compile(expression, re.DOTALL).fullmatch
    return lambda value: (found(value) is None) == pattern.negated


def _text(wanted: TextSearch | None) -> list[Test]:
    if wanted is None:
        return []
    search = text_search.parse(wanted.query)
    tests: list[Test] = []
    if search.any:
        tests.append(lambda line: any(term in line.text for term in search.any))
    if search.required or search.excluded:
        tests.append(lambda line: all(term in line.text for term in search.required))
        tests.append(lambda line: not any(term in line.text for term in search.excluded))
    return tests
