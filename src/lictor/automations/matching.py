"""Which triggers an event concerns: first by its name and its resources' ids, in dictionaries, then exactly.

The rules are the reference's. A name fits `prefect.flow-run.*` if something stands in the place of the star. A label's
value fits a pattern (`*`, `?`, `[…]`) or, after a leading `!`, anything that does not fit the rest; a label that is not
there fits nothing. All labels of a specification must fit one resource; of several `match_related`, each some resource.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate

from lictor.automations.triggers import PROACTIVE, EventTrigger
from lictor.automations.triggers import Labels as Wanted
from lictor.events.reading import Recorded
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Labels

# Names are few as a rule; whoever makes up a new one for each event must not fill the memory.
MOST_NAMES = 2_000
_SPECIAL = re.compile(r"[*?\[]")

Fits = Callable[[str], bool]
Label = tuple[str, str]


def fitting(pattern: str) -> Fits:
    """Whether a value fits one pattern."""
    if pattern.startswith("!"):
        inner = fitting_glob(pattern[1:])
        return lambda value: not inner(value)
    return fitting_glob(pattern)


def fitting_glob(pattern: str) -> Fits:
    if not _SPECIAL.search(pattern):
        return pattern.__eq__
    if pattern.endswith("*") and not _SPECIAL.search(pattern[:-1]):
        prefix = pattern[:-1]
        return lambda value: value.startswith(prefix)
    match = re.compile(translate(pattern)).match
    return lambda value: match(value) is not None


class Specification:
    """Labels that a resource must have."""

    def __init__(self, wanted: Wanted) -> None:
        self.handle = _handle(wanted)
        self._labels = [(label, [fitting(value) for value in _listed(values)]) for label, values in wanted.items()]

    def matches(self, resource: Labels) -> bool:
        for label, fits in self._labels:
            value = resource.get(label)
            if value is None or not any(fit(value) for fit in fits):
                return False
        return True

    def includes(self, resources: Iterable[Labels]) -> bool:
        """Whether any of the resources matches; without labels, nothing is asked."""
        return not self._labels or any(map(self.matches, resources))


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _handle(wanted: Wanted) -> list[Label]:
    """A label, with each of its values, that a resource must have to match, if there is one that is written out."""
    written = [
        (label, _listed(values))
        for label, values in wanted.items()
        if not any(value.startswith("!") or _SPECIAL.search(value) for value in _listed(values))
    ]
    if not written:
        return []
    # Ids tell resources apart best.
    label, values = min(written, key=lambda pair: pair[0] != RESOURCE_ID)
    return [(label, value) for value in set(values)]


class Watch:
    """An event trigger of an enabled automation, ready to be held against events."""

    def __init__(self, automation_id: str, since: int, trigger: EventTrigger) -> None:
        self.automation_id = automation_id
        self.since = since
        self.trigger = trigger
        self.trigger_id = str(trigger.id)
        self.keys = sorted(trigger.for_each)
        # Without expectations every event is expected, whatever it is to start after.
        self.names = frozenset(trigger.expect | trigger.after if trigger.expect else {"*"})
        self.primary = Specification(trigger.match)
        self.related = [Specification(labels) for labels in trigger.related]
        self.holds = trigger.posture == PROACTIVE and bool(trigger.after)
        self._own = f"prefect.automation.{automation_id}"
        self._names = [fitting_glob(name) for name in self.names]
        self._expect = [fitting(pattern) for pattern in trigger.expect]
        self._after = [fitting(pattern) for pattern in trigger.after]
        written = [re.escape(name).replace(r"\*", ".+") for name in sorted(trigger.expect | trigger.after)]
        self._pattern = re.compile("|".join(written) if trigger.expect else ".+")

    def fits_name(self, name: str) -> bool:
        return any(fits(name) for fits in self._names) and self._pattern.match(name) is not None

    def covers(self, event: Recorded) -> bool:
        """Whether an event whose name fits concerns this trigger. What the automation itself did, does not."""
        if event.position <= self.since or not self.primary.includes((event.resource,)):
            return False
        if event.resource.get(RESOURCE_ID) == self._own and _is_doing(event.event):
            return False
        return all(related.includes(event.related) for related in self.related)

    def expects(self, name: str) -> bool:
        return not self._expect or any(fit(name) for fit in self._expect)

    def starts_after(self, name: str) -> bool:
        return any(fit(name) for fit in self._after)

    def key(self, event: Recorded) -> tuple[str, ...]:
        """The values of the `for_each` labels, in the order of the labels' names."""
        return tuple(find_label(event, label) or "" for label in self.keys)


def _is_doing(name: str) -> bool:
    return name in ("prefect.automation.triggered", "prefect.automation.resolved") or name.startswith(
        "prefect.automation.action."
    )


def find_label(event: Recorded, label: str) -> str | None:
    """The value of a label of the resource, or for `related:<role>:<label>` of the first one in that role."""
    if label.startswith("related:") and label.count(":") > 1:
        directive, _, name = label.rpartition(":")
        role = directive.removeprefix("related:")
        for resource in event.related:
            if resource.get(RESOURCE_ROLE) == role:
                return resource.get(name)
    return event.resource.get(label)


class Shelf:
    """Watches that look for the same names, by a label that a resource must have."""

    def __init__(self) -> None:
        self._primary: dict[Label, list[Watch]] = defaultdict(list)
        self._related: dict[Label, list[Watch]] = defaultdict(list)
        self._others: list[Watch] = []

    def put(self, watch: Watch) -> None:
        if watch.primary.handle:
            for label in watch.primary.handle:
                self._primary[label].append(watch)
            return
        for related in watch.related:
            if related.handle:
                for label in related.handle:
                    self._related[label].append(watch)
                return
        self._others.append(watch)

    def candidates(self, event: Recorded) -> Iterator[Watch]:
        """Those that may concern the event; one may come more than once."""
        yield from self._others
        if self._primary:
            for label in event.resource.items():
                yield from self._primary.get(label, ())
        if self._related:
            for label in {label for labels in event.related for label in labels.items()}:
                yield from self._related.get(label, ())


class Index:
    """All watches; `interested` gives those that an event concerns, in the order in which they were made."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        self._order: dict[str, int] = {}
        self._exact: dict[str, Shelf] = defaultdict(Shelf)
        self._prefixes: dict[str, Shelf] = defaultdict(Shelf)
        self._patterns: dict[frozenset[str], Shelf] = defaultdict(Shelf)
        self._fits: dict[frozenset[str], Fits] = {}
        # Shelves by the names of events that have come.
        self._known: dict[str, list[Shelf]] = {}
        for watch in watches:
            self._put(watch)

    def _put(self, watch: Watch) -> None:
        self._order[watch.trigger_id] = len(self._order)
        # Of several names one may let through what another's beginning does: `a` and `a.*` together fit `a.` as well.
        several = len(watch.names) > 1 and any(name.endswith("*") for name in watch.names)
        if several or any(_SPECIAL.search(name.removesuffix("*")) for name in watch.names):
            self._patterns[watch.names].put(watch)
            self._fits.setdefault(watch.names, watch.fits_name)
            return
        for name in watch.names:
            shelves, key = (self._prefixes, name[:-1]) if name.endswith("*") else (self._exact, name)
            shelves[key].put(watch)

    def __len__(self) -> int:
        return len(self._order)

    def interested(self, event: Recorded) -> list[Watch]:
        shelves = self._known.get(event.event)
        if shelves is None:
            shelves = self._shelves(event.event)
        found: dict[str, Watch] = {}
        for shelf in shelves:
            for watch in shelf.candidates(event):
                if watch.trigger_id not in found and watch.covers(event):
                    found[watch.trigger_id] = watch
        if len(found) < 2:
            return list(found.values())
        return sorted(found.values(), key=lambda watch: self._order[watch.trigger_id])

    def _shelves(self, name: str) -> list[Shelf]:
        if len(self._known) >= MOST_NAMES:
            self._known.clear()
        shelves = [shelf for names, shelf in self._patterns.items() if self._fits[names](name)]
        # Something stands in the place of the star.
        shelves += [self._prefixes[name[:end]] for end in range(len(name)) if name[:end] in self._prefixes]
        if name in self._exact:
            shelves.append(self._exact[name])
        self._known[name] = shelves
        return shelves
