"""The reference's transition matrix, played on the decisions alone: every initial × proposed state, forced and not."""

from __future__ import annotations

import pytest
from tests.parity import differences, matrix, recording
from tests.states import world

GROUPS = [name for name in matrix.GROUPS if recording.exists(name)]
INITIALS = [
    (name, initial) for name in GROUPS for initial in {case.initial: None for case in matrix.GROUPS[name].cases}
]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "initial"), INITIALS)
def test_decides_as_the_reference(group: str, initial: str) -> None:
    recorded = recording.read(group)
    played = world.client()
    known = differences.of(f"{group}/{initial}", "sqlite")
    unlike = []
    for case in matrix.GROUPS[group].cases:
        if any(one.covers(case.name) for one in known):
            continue
        if case.initial == initial and (answer := matrix.answer(played, case)) != recorded[case.name]:
            unlike.append(f"{case.name}\n  reference {recorded[case.name]}\n  decided   {answer}")
    assert not unlike, "\n".join([f"{len(unlike)} transitions", *unlike[:40]])
