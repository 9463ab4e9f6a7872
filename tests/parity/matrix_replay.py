"""Transitions of the matrix, sent to Lictor and compared with what the reference answered.

Two files of tests do so, for a worker takes whole files, and this takes minutes.
"""

from __future__ import annotations

import pytest

from . import differences, matrix, recording
from .conftest import Connect
from .differences import Difference


def each_initial(*groups: str) -> pytest.MarkDecorator:
    """A test for each initial state of these groups, named after both."""
    found = [
        (group, initial)
        for group in matrix.GROUPS.values()
        if group.name in groups
        for initial in dict.fromkeys(case.initial for case in group.cases)
    ]
    ids = [f"{group.name}-{initial}" for group, initial in found]
    return pytest.mark.parametrize(("group", "initial"), found, ids=ids)


def replay(dialect: str, group: matrix.MatrixGroup, initial: str, connect: Connect) -> None:
    """Fails with every transition from the initial state whose answer is another."""
    client = connect(dialect, group.env)
    recorded = recording.read(group.name)
    known = differences.of(f"{group.name}/{initial}", dialect)
    unlike = []
    for case in group.cases:
        if case.initial == initial:
            unlike += _unlike(case.name, recorded[case.name], matrix.answer(client, case), known)
    if unlike:
        pytest.fail(f"{len(unlike)} transitions on {dialect}\n" + "\n".join(unlike[:60]), pytrace=False)


def _unlike(name: str, reference: str, lictor: str, known: list[Difference]) -> list[str]:
    listed = [one for one in known if one.covers(name)]
    if reference == lictor:
        return [f"{name}: the listed difference is gone: {one.reason}" for one in listed if one.step == name]
    return [] if listed else [f"{name}\n  reference {reference}\n  lictor    {lictor}"]
