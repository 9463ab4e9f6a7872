"""Every operation of the reference has a recorded success and a recorded failure, which the replay checks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import recording
from .scenario import GROUPS

OPERATIONS = [
    (method.upper(), path)
    for path, methods in json.loads((Path(__file__).parent / "reference_openapi.json").read_text())["paths"].items()
    for method in methods
]
# Their paths and the segments of them, by method and number of segments.
SHAPES: dict[tuple[str, int], list[tuple[str, list[str]]]] = defaultdict(list)
for _method, _path in OPERATIONS:
    _parts = _path.strip("/").split("/")
    SHAPES[_method, len(_parts)].append((_path, _parts))

# Operations without a recorded failure, and why there is none.
CANNOT_FAIL = {("GET", "/health"): "takes no input and asks for no credentials"}


@pytest.fixture(scope="module")
def statuses() -> dict[tuple[str, str], set[int]]:
    """What the reference answered in the recorded scenarios, by operation."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for step in steps():
        method, path = f"{step['step']} ".split(" ", 2)[1:]
        operation = operation_of(method, path)
        if operation is not None and not is_of_no_route(step):
            found[operation].add(step["status"])
    return found


def steps() -> Iterator[dict[str, Any]]:
    for group in GROUPS:
        for scenario in recording.read(group).values():
            yield from scenario


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """The operation that a step's path leads to: of those that fit, the one with most words of its own in front."""
    segments = path.strip().partition("?")[0].strip("/").split("/")
    fitting = []
    for template, parts in SHAPES[method, len(segments)]:
        same = [part == segment for part, segment in zip(parts, segments, strict=True)]
        if all(own or part.startswith("{") for own, part in zip(same, parts, strict=True)):
            fitting.append((same, template))
    return (method, max(fitting)[1]) if fitting else None


def is_of_no_route(step: dict[str, Any]) -> bool:
    """Whether the answer says that no operation is there, rather than comes from one."""
    return step["status"] == 405 or (step["status"] == 404 and step.get("body") == {"detail": "Not Found"})


def test_there_are_188_operations() -> None:
    assert len(OPERATIONS) == 188


def test_each_has_a_recorded_success(statuses: dict[tuple[str, str], set[int]]) -> None:
    assert [one for one in OPERATIONS if not any(status < 300 for status in statuses[one])] == []


def test_each_has_a_recorded_failure_or_a_reason_why_it_cannot_fail(statuses: dict[tuple[str, str], set[int]]) -> None:
    without = {one for one in OPERATIONS if not any(400 <= status < 500 for status in statuses[one])}
    assert without == set(CANNOT_FAIL)
