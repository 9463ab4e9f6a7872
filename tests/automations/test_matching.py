"""Which triggers an event concerns: the index agrees with a plain reading of the rules."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.automations.world import START

from lictor.automations.matching import Index, Watch, find_label
from lictor.automations.triggers import EventTrigger
from lictor.events.reading import Recorded

NAMES = st.sampled_from(["a", "a.b", "a.b.c", "a.", "b", "a.b.d"])
PATTERNS = st.sampled_from(["a", "a.b", "a.*", "a.b*", "*", "*.c", "b", "a.?", "!a"])
VALUES = st.sampled_from(["x", "y", "xy", "z"])
WANTED = st.sampled_from(["x", "y", "x*", "!x", "!x*", "*", "z", "[xy]"])
LABELS = st.sampled_from(["prefect.resource.id", "color", "size"])
specifications = st.dictionaries(LABELS, WANTED | st.lists(WANTED, max_size=2), max_size=2)
triggers = st.builds(
    EventTrigger,
    id=st.uuids(),
    posture=st.just("Reactive"),
    match=specifications,
    match_related=specifications | st.lists(specifications, max_size=2),
    expect=st.sets(PATTERNS, max_size=2),
    after=st.sets(PATTERNS, max_size=1),
)
resources = st.dictionaries(LABELS, VALUES).map(lambda labels: {"prefect.resource.id": "x", **labels})
roles = st.sampled_from(["flow", "tag"])
related = st.lists(
    st.builds(lambda labels, role: {**labels, "prefect.resource.role": role}, resources, roles), max_size=2
)


def happening(name: str, resource: dict[str, str], related: list[dict[str, str]]) -> Recorded:
    return Recorded(1, "id", START, START, name, None, resource, related, Raw(b"{}"))


def fits(pattern: str, value: str | None) -> bool:
    if value is None:
        return False
    return not fnmatchcase(value, pattern[1:]) if pattern.startswith("!") else fnmatchcase(value, pattern)


def matches(wanted: dict[str, Any], resource: dict[str, str]) -> bool:
    return all(
        any(fits(pattern, resource.get(label)) for pattern in ([values] if isinstance(values, str) else values))
        for label, values in wanted.items()
    )


def includes(wanted: dict[str, Any], resources: list[dict[str, str]]) -> bool:
    return not wanted or any(matches(wanted, resource) for resource in resources)


def concerns(trigger: EventTrigger, event: Recorded) -> bool:
    """The rules, as they are written down."""
    names = trigger.expect | trigger.after if trigger.expect else {"*"}
    pattern = "|".join(re.escape(name).replace(r"\*", ".+") for name in names)
    return (
        re.match(pattern, event.event) is not None
        and any(fnmatchcase(event.event, name) for name in names)
        and includes(trigger.match, [event.resource])
        and all(includes(wanted, event.related) for wanted in trigger.related)
    )


@settings(max_examples=100, deadline=None)
@example([EventTrigger(posture="Reactive", expect={"a"}, after={"a.*"})], [happening("a.", {"color": "x"}, [])])
@given(
    st.lists(triggers, max_size=6),
    st.lists(st.builds(happening, NAMES, resources, related), max_size=4),
)
def test_the_index_finds_what_the_rules_say(given: list[EventTrigger], events: list[Recorded]) -> None:
    index = Index(Watch("automation", 0, trigger) for trigger in given)
    for event in events:
        found = [watch.trigger for watch in index.interested(event)]
        assert found == [trigger for trigger in given if concerns(trigger, event)]


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("color", "red"),
        ("missing", None),
        ("related:flow:prefect.resource.id", "f1"),
        ("related:flow:missing", None),
        ("related:nobody:color", None),
        ("a:b", "c"),
    ],
)
def test_labels_of_the_resource_and_of_the_first_related_one_in_a_role(label: str, value: str | None) -> None:
    flows = [{"prefect.resource.id": id, "prefect.resource.role": "flow"} for id in ("f1", "f2")]
    event = happening("a", {"prefect.resource.id": "x", "color": "red", "a:b": "c"}, flows)
    assert find_label(event, label) == value
