"""Random streams fire random triggers of all kinds as they fire them in the reference (see `streams.py`)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.automations.streams import RECORDED, RESOURCES
from tests.automations.world import START, World

from lictor.automations import loops
from lictor.events import store as events
from lictor.events.types import Event

STREAMS = json.loads(RECORDED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"].replace(" ", "-"))
def test_a_stream_fires_what_it_fires_in_the_reference(world: World, stream: dict[str, Any]) -> None:
    for number, trigger in enumerate(stream["triggers"]):
        world.automate(trigger, name=f"{number:02}")
    for second in range(1, stream["events"][-1][0] + 30):
        for number, event in enumerate(stream["events"], 1):
            if event[0] == second:
                happen(world, number, *event)
        world.now = START + timedelta(seconds=second)
        if second % 30 == 0:
            world.restart()
        world.round()
        if second % 5 == 0:
            world.db.write_now(loops.sweep)
    assert in_order(firings(world)) == in_order(stream["fired"])


def happen(world: World, number: int, second: int, tenth: int, name: str, resource: str, late: float) -> None:
    came = START + timedelta(seconds=second, milliseconds=100 * tenth)
    labels = {"prefect.resource.id": resource, "kind": RESOURCES[resource]}
    event = Event(id=str(UUID(int=number)), occurred=came - timedelta(seconds=late), event=name, resource=labels)
    world.db.write_now(events.insert, [event], came)


def firings(world: World) -> list[Any]:
    """Each `[second, automation, labels, event]`."""
    found = []
    for second, id, told in world.triggered():
        name = world.names[id.rpartition(".")[2]]
        found.append([second, int(name), told["triggering_labels"], number_of(told["triggering_event"])])
    return found


def number_of(event: dict[str, Any] | None) -> int | None:
    return None if event is None else UUID(event["id"]).int


def in_order(fired: list[Any]) -> list[str]:
    """Which of several automations fires first in a second does not matter."""
    return [msgspec.json.encode(each).decode() for each in sorted(fired, key=lambda each: each[:2])]
