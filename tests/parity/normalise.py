"""What differs between two servers by nature (ids, instants, durations, random names) becomes a token of its form.

An id becomes the name under which the scenario saved it, or the numbers of the step and of the id in it, so equal ids
stay equal and different ones different. An instant that the scenario sent, or that lies far from now, is kept or named
exactly; the time of the run itself becomes `<now>`, and `<now~+2h>` if it is that many whole hours off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(?::\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
SECRET = re.compile(r"\b[0-9a-f]{64}\b")
SLUG = re.compile(r"[a-z]+(-[a-z]+)+")

DURATIONS = {
    "estimated_run_time",
    "total_run_time",
    "estimated_start_time_delta",
    "sum_estimated_run_time",
    "sum_estimated_lateness",
}
NEAR = 600.0
HOUR = 3600.0
LONG = 1e7  # since an instant far in the past that a scenario sent


class Normaliser:
    """Masks the answers of one scenario; `unique` is its unique text, `base` the URL of the server."""

    def __init__(self, unique: str, started: datetime, base: str) -> None:
        self.unique = unique
        self.started = started
        self.base = base
        self.ids: dict[str, str] = {"00000000-0000-0000-0000-000000000000": "<zero>"}
        self.instants: dict[datetime, str] = {}
        self.step = self.numbered = 0

    def next_step(self) -> None:
        """Numbers begin anew, so that one step with another number of ids does not change all that follow."""
        self.step += 1
        self.numbered = 0

    def name_id(self, value: Any, name: str) -> None:
        if isinstance(value, str) and ID.fullmatch(value):
            self.ids.setdefault(value.lower(), f"<{name}>")

    def name_instant(self, value: datetime, name: str) -> None:
        self.instants[value] = name

    def body(self, value: Any, *, masked: Iterable[str] = (), unordered: Iterable[str] = ()) -> Any:
        """`masked` and `unordered` name keys; "$" is the whole body."""
        masked, unordered = set(masked), set(unordered)
        return self._value(value, "$", masked, unordered)

    def text(self, value: str) -> str:
        value = value.replace(self.base, "<base>").replace(self.unique, "<uniq>")
        value = ID.sub(self._id, value)
        value = SECRET.sub("<secret>", value)
        return INSTANT.sub(self._instant, value)

    def _value(self, value: Any, key: str, masked: set[str], unordered: set[str]) -> Any:
        if key in masked:
            return _kind(value)
        if isinstance(value, dict):
            names = sorted(value, key=self._order)
            return {self.text(name): self._value(value[name], name, masked, unordered) for name in names}
        if isinstance(value, list):
            items = sorted(value, key=self._rank) if key in unordered else value
            return [self._value(item, "", masked, unordered) for item in items]
        if isinstance(value, str):
            return "<slug>" if key == "name" and self._random(value) else self.text(value)
        if key in DURATIONS and isinstance(value, float):
            return _duration(value)
        return value

    def _rank(self, item: Any) -> str:
        """The order of an unordered list, by what does not change: its named ids and texts."""
        text = json.dumps(item, sort_keys=True).replace(self.unique, "")
        return INSTANT.sub("", ID.sub(lambda match: self.ids.get(match.group().lower(), ""), text))

    def _order(self, key: Any) -> tuple[str, str]:
        """The order of the keys of an object: by the names of ids first, as which id is the smaller is chance."""
        text = str(key)
        return ID.sub(lambda match: self.ids.get(match.group().lower(), ""), text), text

    def _random(self, value: str) -> bool:
        return SLUG.fullmatch(value) is not None and self.unique not in value

    def _id(self, match: re.Match[str]) -> str:
        found = match.group().lower()
        if found not in self.ids:
            self.numbered += 1
            self.ids[found] = f"<id:{self.step}.{self.numbered}>"
        name = self.ids[found]
        return name if match.group() == found else f"{name[:-1]} UPPER>"

    def _instant(self, match: re.Match[str]) -> str:
        try:
            instant = datetime.fromisoformat(match.group())
        except ValueError:
            return match.group()
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        token = self._named(instant)
        return match.group() if token is None else f"<{token}{_form(match)}>"

    def _named(self, instant: datetime) -> str | None:
        if instant in self.instants:
            return self.instants[instant]
        off = (instant - self.started).total_seconds()
        hours = round(off / HOUR)
        if abs(off - hours * HOUR) > NEAR or abs(hours) > 100:
            return None
        return f"now~{hours:+d}h" if hours else "now"


def _form(match: re.Match[str]) -> str:
    """Nothing for `2024-01-01T00:00:00[.123456]Z`, which is the common form; else what is special about it."""
    separator, fraction, zone = match.groups()
    form = ""
    if separator != "T":
        form += " space"
    if fraction is not None and len(fraction) != 7:
        form += f" {len(fraction) - 1}-digits"
    if zone != "Z":
        form += f" {zone or 'naive'}"
    return form


def _duration(seconds: float) -> Any:
    if seconds == 0:
        return seconds
    if 0 < seconds < NEAR:
        return "<seconds>"
    if seconds > LONG:
        return "<long>"
    hours = round(seconds / HOUR)
    return f"<~{hours}h>" if hours and abs(seconds - hours * HOUR) < NEAR else seconds


def _kind(value: Any) -> str:
    return f"<{type(value).__name__}>"


class Clock:
    """Resolves `$now`, `$now+90`, `$now-3600` to instants that stay the same within one scenario."""

    def __init__(self, started: datetime, announce: Callable[[datetime, str], None]) -> None:
        self.started = started
        self.announce = announce

    def resolve(self, seconds: str) -> str:
        instant = self.started + timedelta(seconds=float(seconds or 0))
        self.announce(instant, f"$now{seconds}")
        return instant.isoformat().replace("+00:00", "Z")
