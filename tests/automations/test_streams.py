"""Random streams of events fire what a plain reading of the rules says, however they are cut and whoever reads."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from tests.automations.world import START, World

from lictor.db import Database

TRIGGERS = {
    "each": {"expect": ["a"]},
    "pairs": {"expect": ["a"], "threshold": 2},
    "burst": {"expect": ["a", "b"], "threshold": 3, "within": 20},
    "burst of one": {"expect": ["b"], "threshold": 2, "within": 15, "for_each": ["prefect.resource.id"]},
}


def fires(times: list[float], threshold: int, within: float) -> int:
    """How often a reactive trigger without `after` fires for events at these times, in order."""
    fired = count = 0
    opens = closes = None
    for time in times:
        if not within:
            count += 1
        elif closes is None or time >= closes:
            opens, closes, count = (time if closes is not None else time - 900), time + within, 1
        elif opens is not None and time >= opens:
            count += 1
        else:
            continue
        if count >= threshold:
            fired, count = fired + 1, 0
            if closes is not None:
                opens, closes = closes, closes + within
    return fired


def times_of(stream: list[tuple[float, str, str]], name: str, resource: str) -> list[float]:
    return [event[0] for event in stream if event[1:] == (name, resource)]


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_fires_what_the_rules_say(db: Database, seed: int) -> None:
    dice, world = random.Random(seed), World(db)
    for name, trigger in TRIGGERS.items():
        world.automate(trigger, name=name)
    stream: list[tuple[float, str, str]] = []
    for _ in range(60):
        world.now += timedelta(seconds=dice.choice([0.5, 1, 3, 7, 12]))
        event = ((world.now - START).total_seconds(), dice.choice("abc"), dice.choice("xy"))
        stream.append(event)
        world.happen(event[1], event[2])
        if dice.random() < 0.3:
            world.round()
        if dice.random() < 0.1:
            world.restart()
    world.round()
    burst = [time for time, name, _ in stream if name in "ab"]
    expected = Counter(
        {
            "each": sum(name == "a" for _, name, _ in stream),
            "pairs": sum(name == "a" for _, name, _ in stream) // 2,
            "burst": fires(burst, 3, 20),
            "burst of one": sum(fires(times_of(stream, "b", resource), 2, 15) for resource in "xy"),
        }
    )
    assert Counter(world.fired()) == +expected
