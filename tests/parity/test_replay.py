"""Each recorded scenario, sent to Lictor on both databases."""

from __future__ import annotations

import pytest

from . import differences, recording
from .compare import compare
from .conftest import Connect
from .scenario import GROUPS, Group, Scenario, load, play

ALL = [(group, one) for group in map(load, GROUPS) for one in group.scenarios]

HASTE = 0.2  # Lictor has done what it answers, and what follows from that is a matter of milliseconds


@pytest.mark.parametrize(("group", "one"), ALL, ids=[f"{group.name}-{one.name}" for group, one in ALL])
def test_replay(dialect: str, group: Group, one: Scenario, connect: Connect) -> None:
    client = connect(dialect, group.env)
    recorded = recording.read(group.name)[one.name]
    steps, broken = play(client, one, HASTE)
    known = differences.of(f"{group.name}/{one.name}", dialect)
    unlike = compare(recorded, steps, known, broken)
    if unlike:
        pytest.fail(f"{group.name}/{one.name} on {dialect}\n\n" + "\n\n".join(unlike), pytrace=False)


def test_every_scenario_is_recorded() -> None:
    for group in map(load, GROUPS):
        assert list(recording.read(group.name)) == [one.name for one in group.scenarios]
