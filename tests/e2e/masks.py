"""Takes out of what a server shows everything that differs from run to run, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
SLUG = re.compile(r"[a-z]+(-[a-z]+)+")
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (UUID, "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "<hash>"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "<address>"),
    (re.compile(r"\bline \d+, in "), "line <n>, in "),
)
# Durations are compared as nothing or something; the rest of the numbers are compared as they are.
DURATIONS = frozenset({"total_run_time", "estimated_run_time", "estimated_start_time_delta"})
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n.*\n(?=\S)", re.DOTALL)
# The ending of a task's key hashes its code, which contains the path of its file.
TASK_KEY = re.compile(r"-[0-9a-f]{8}(?=$|-[0-9a-f]{32}$)")
TASK_KEYS = frozenset({"task_key", "dynamic_key"})


class Mask:
    """Knows the ids and generated names of one script's runs, and says what stands for them."""

    def __init__(self, labels: Mapping[str, str], names: Mapping[str, str], home: Path, flows: Path, api: str) -> None:
        self.labels = labels
        places = {str(home): "<home>", str(flows): "<flows>", api: "<api>", api.removesuffix("/api"): "<server>"}
        # Longest first: a place may begin with another.
        self.texts = dict(sorted((places | dict(names)).items(), key=lambda pair: -len(pair[0])))
        self.known = re.compile("|".join(rf"(?<![\w-]){re.escape(text)}(?![\w-])" for text in self.texts))

    def text(self, text: str) -> str:
        text = TRACEBACK.sub("<traceback>\n", text)
        text = self.known.sub(lambda found: self.texts[found[0]], text)
        text = UUID.sub(lambda found: self.labels.get(found[0], found[0]), text)
        for pattern, stands_for in PATTERNS:
            text = pattern.sub(stands_for, text)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """The masked JSON value that stands at `key`."""
        if isinstance(value, dict):
            return {self.text(name): self.value(item, name) for name, item in sorted(value.items())}
        if isinstance(value, list):
            # The SDK keeps tags in a set and sends them in any order.
            return [self.value(item, key) for item in (sorted(value) if key == "tags" else value)]
        if isinstance(value, str):
            return self.text(TASK_KEY.sub("-<hash>", value) if key in TASK_KEYS else value)
        if key in DURATIONS and isinstance(value, float):
            return "<seconds>" if value > 0 else value
        return value


def generated(name: str) -> bool:
    """Whether a run's name is an adjective and an animal: those from the scripts' templates have a space or a dot."""
    return SLUG.fullmatch(name) is not None


def numbered(names: Iterable[str]) -> list[str]:
    """The same names with "#2", "#3" … at repetitions."""
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return labels
