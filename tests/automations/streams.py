"""Random triggers of every kind and random streams of events, and what the reference makes of them.

`python -m tests.automations.streams` makes them anew, asks the reference's own evaluator (`reference_streams.py`, run
by the Python of the reference's virtual environment, see tests/parity/README.md) and writes `recorded_streams.json`.

A stream goes by seconds. In each, the events come in that it names, at some tenth of the second before, and then time
is looked at. Some streams have events that come in late.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from tests.parity.recording import pretty
from tests.parity.servers import reference_executable

RECORDED = Path(__file__).with_name("recorded_streams.json")
REFERENCE = Path(__file__).with_name("reference_streams.py")

SECONDS = 60
AUTOMATIONS = 16
# How many seconds late the events of a stream may be.
STREAMS: dict[str, list[float]] = {
    "in time": [0],
    "late": [0, 0, 0, 1, 4.2],
    "very late": [0, 0, 9, 31, 62.4],
    "in time again": [0],
    "half of it late": [0, 2.6, 8],
    "most of it late": [0, 12, 0.4, 40],
}

NAMES = ["a", "b", "c", "d.one", "d.two"]
PATTERNS = ["a", "b", "c", "d.*", "d.one"]
LABELS = ["prefect.resource.id", "kind"]
RESOURCES = {"x": "odd", "y": "even", "z": "odd"}


def make(name: str, lags: list[float]) -> dict[str, Any]:
    dice = random.Random(name)
    made = [trigger(dice) for _ in range(AUTOMATIONS)]
    said = events(dice, lags)
    return {"name": name, "triggers": [each for each in made if not hears_all(each)], "events": said}


def hears_all(trigger: dict[str, Any]) -> bool:
    """Whether it also hears what the automations themselves say."""
    if trigger["type"] != "event":
        return any(map(hears_all, trigger["triggers"]))
    return not trigger["expect"] and trigger["match"]["prefect.resource.id"] == "!x"


def events(dice: random.Random, lags: list[float]) -> list[Any]:
    """Each `[second, tenth, name, resource, how late]`: crowds and silences."""
    found: list[Any] = []
    second = 1
    while second < SECONDS:
        chance = dice.choice([0, 0.1, 0.4, 0.8])
        for within in range(second, min(second + dice.randrange(6, 25), SECONDS)):
            for tenth in (-8, -5, -3):
                if dice.random() < chance:
                    found.append([within, tenth, dice.choice(NAMES), dice.choice(list(RESOURCES)), dice.choice(lags)])
            second = within + 1
    return found


def trigger(dice: random.Random, depth: int = 0, *, reactive: bool = False) -> dict[str, Any]:
    if depth == 2 or dice.random() < (0.6 if depth == 0 else 0.85):
        return event_trigger(dice, reactive=reactive)
    # Two that fire because time is over may do so at the same moment, and then stand in no order.
    first = dice.random() < 0.5
    parts = [trigger(dice, depth + 1, reactive=reactive or not first)]
    parts += [trigger(dice, depth + 1, reactive=True) for _ in range(dice.choice([1, 1, 2]))]
    dice.shuffle(parts)
    within = dice.choice([None, 5.05, 20.05, 45.05])
    if dice.random() < 0.4:
        return {"type": "sequence", "triggers": parts, "within": within}
    require = dice.choice(["any", "all", "all", 1, 2])
    return {"type": "compound", "triggers": parts, "within": within, "require": require}


def event_trigger(dice: random.Random, *, reactive: bool) -> dict[str, Any]:
    posture = "Reactive" if reactive or dice.random() < 0.3 else "Proactive"
    made: dict[str, Any] = {"type": "event", "posture": posture, "threshold": dice.choice([1, 1, 1, 2, 3])}
    made["expect"] = sorted(dice.sample(PATTERNS, dice.choice([1, 1, 2])))
    if dice.random() < 0.4:
        made["after"] = sorted(dice.sample(PATTERNS, dice.choice([1, 1, 2])))
    if dice.random() < 0.5:
        made["for_each"] = sorted(dice.sample(LABELS, dice.choice([1, 1, 2])))
    if dice.random() < 0.2:
        made["match"] = {"prefect.resource.id": dice.choice(["x", "!x", ["y", "z"]])}
        made["expect"] = dice.choice([[], made["expect"]])
    made["within"] = dice.choice([0, 5.5, 20.25] if posture == "Reactive" else [10, 12.5, 17, 25.25])
    return made


def main() -> None:
    python = Path(reference_executable()).with_name("python")
    streams = [make(name, lags) for name, lags in STREAMS.items()]
    said = subprocess.run([python, REFERENCE], input=json.dumps(streams), text=True, stdout=subprocess.PIPE, check=True)
    for stream, fired in zip(streams, json.loads(said.stdout), strict=True):
        stream["fired"] = fired
    RECORDED.write_text(pretty(streams) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
