"""Where Lictor's answer is meant to differ from the reference's. Each has a line in docs/differences.md that says why.

A listed difference that no longer differs fails the replay, so the list can only tell the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Difference:
    """`scenario` is "group/name" and `step` a recorded step such as "03 GET *", both as shell patterns."""

    scenario: str
    step: str
    reason: str  # a line of docs/differences.md, word for word
    status: int | None = None  # what Lictor answers instead; None: anything but a 5xx
    body: Mapping[str, Any] = field(default_factory=dict)  # keys that Lictor's normalised body must have
    databases: tuple[str, ...] = ("sqlite", "postgresql")

    def applies(self, scenario: str, database: str) -> bool:
        return database in self.databases and fnmatchcase(scenario, self.scenario)

    def covers(self, step: str) -> bool:
        return fnmatchcase(step, self.step)

    def allows(self, answer: Mapping[str, Any]) -> bool:
        status = answer["status"]
        if self.status is not None and status != self.status:
            return False
        if self.status is None and status >= 500:
            return False
        got = answer.get("body")
        return all(isinstance(got, dict) and got.get(key) == value for key, value in self.body.items())


DIFFERENCES: tuple[Difference, ...] = ()


def of(scenario: str, database: str) -> list[Difference]:
    return [one for one in DIFFERENCES if one.applies(scenario, database)]
