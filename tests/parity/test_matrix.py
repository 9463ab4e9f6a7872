"""Every transition of the matrix, sent to Lictor on both databases; one test for each initial state."""

from __future__ import annotations

import pytest

from . import differences, matrix, recording
from .conftest import Connect
from .differences import Difference

INITIALS = [
    (group, initial)
    for group in matrix.GROUPS.values()
    for initial in dict.fromkeys(case.initial for case in group.cases)
]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "initial"), INITIALS, ids=[f"{group.name}-{initial}" for group, initial in INITIALS])
def test_matrix(dialect: str, group: matrix.MatrixGroup, initial: str, connect: Connect) -> None:
    client = connect(dialect, group.env)
    recorded = recording.read(group.name)
    known = differences.of(f"{group.name}/{initial}", dialect)
    unlike = []
    for case in group.cases:
        if case.initial == initial:
            unlike += _unlike(case.name, recorded[case.name], matrix.answer(client, case), known)
    if unlike:
        pytest.fail(f"{len(unlike)} transitions on {dialect}\n" + "\n".join(unlike[:60]), pytrace=False)


def test_every_case_is_recorded() -> None:
    for group in matrix.GROUPS.values():
        names = [case.name for case in group.cases]
        assert len(names) == len(set(names))
        assert set(recording.read(group.name)) == set(names)


def _unlike(name: str, reference: str, lictor: str, known: list[Difference]) -> list[str]:
    listed = [one for one in known if one.covers(name)]
    if reference == lictor:
        return [f"{name}: the listed difference is gone: {one.reason}" for one in listed if one.step == name]
    return [] if listed else [f"{name}\n  reference {reference}\n  lictor    {lictor}"]
