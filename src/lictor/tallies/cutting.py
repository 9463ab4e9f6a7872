"""Histories: intervals of any length, cut into whole slots and parts of slots.

Where intervals meet within a slot, its tally is that of the one with the largest part of it; the runs of the others'
parts are read, added to their own intervals and taken off that one:

    slots      │             │             │             │
    intervals  │   A   ╎  B          ╎            C      │
    tallied    │◀─ A ─▶│◀──── B ────▶│◀──── C ────▶│
    read                ▐B▌           ▐B▌
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from lictor.filters.history import Grid, Row
from lictor.kit import times
from lictor.tallies.slots import SLOT, TICK, Span

_SLOT = SLOT // TICK

# Materialized, or PostgreSQL would read these texts anew for each tally that it looks at.
_PLACES = """(place, low, high) as materialized (
            select cast(substr(each.value, 55) as integer), cast(substr(each.value, 1, 27) as {ts_type}),
                cast(substr(each.value, 28, 27) as {ts_type}) from {each:%s}
        )"""
PLACES = f"""
        whole {_PLACES % "whole"},
        part {_PLACES % "part"}"""
"""Common tables of the stretches of slots, and of the parts of slots (`Cut.params`)."""


class Cut:
    """The intervals of a grid as far as their slots may be settled."""

    def __init__(self, grid: Grid, found: Span) -> None:
        self._whole: list[str] = []
        self._part: list[str] = []
        self._intervals = grid.length
        # Of each part, the interval that it belongs to, and the one whose tally it is in.
        self._signs: list[tuple[int, int]] = []
        self._first = found.first
        if found.first < found.last:
            within = (min(max(grid.edge(index), found.first), found.last) for index in range(grid.length + 1))
            self._cut([(edge - found.first) // TICK for edge in within])

    def params(self) -> dict[str, Any]:
        return {"whole": self._whole, "part": self._part}

    def _cut(self, edges: list[int]) -> None:
        """Here instants are microseconds since the first slot began."""
        owners = self._owners(edges)
        for index, (begin, end) in enumerate(pairwise(edges)):
            first, behind = begin // _SLOT, end // _SLOT
            if begin % _SLOT and owners[first] != index:
                first += 1
            if end % _SLOT and owners[behind] == index:
                behind += 1
            if first < behind:
                self._whole.append(self._stretch(first * _SLOT, behind * _SLOT, index))

    def _owners(self, edges: list[int]) -> dict[int, int]:
        """Whose tally each slot is that edges are in."""
        inside: dict[int, list[int]] = {}
        for index, edge in enumerate(edges):
            if edge % _SLOT:
                inside.setdefault(edge // _SLOT, []).append(index)
        return {slot: self._share(slot * _SLOT, indexes, edges) for slot, indexes in inside.items()}

    def _share(self, begin: int, indexes: list[int], edges: list[int]) -> int:
        bounds = [begin, *[edges[index] for index in indexes], begin + _SLOT]
        lengths = [behind - first for first, behind in pairwise(bounds)]
        longest = lengths.index(max(lengths))
        before = indexes[0] - 1
        for number, length in enumerate(lengths):
            if number != longest and length:
                place = self._intervals + len(self._signs)
                self._part.append(self._stretch(bounds[number], bounds[number + 1], place))
                self._signs.append((before + number, before + longest))
        return before + longest

    def _stretch(self, first: int, behind: int, place: int) -> str:
        low, high = self._first + TICK * first, self._first + TICK * (behind - 1)
        return f"{times.text(low)}{times.text(high)}{place}"

    def summed(self, rows: Iterable[Row]) -> list[Row]:
        """What was found of each interval, by what was found of the intervals and of the parts."""
        found: dict[tuple[int, str, str], Row] = {}
        parts = list[Row]()
        for row in rows:
            if row.interval < self._intervals:
                found[row.interval, row.state_type, row.state_name] = row
            else:
                parts.append(row)
        for row in parts:
            plus, minus = self._signs[row.interval - self._intervals]
            _add(found, plus, row, 1)
            _add(found, minus, row, -1)
        return [_rounded(found[key]) for key in sorted(found) if found[key].count_runs > 0]


def _add(found: dict[tuple[int, str, str], Row], interval: int, part: Row, sign: int) -> None:
    key = (interval, part.state_type, part.state_name)
    row = found.get(key)
    if row is None:
        row = found[key] = Row(interval, part.state_type, part.state_name, 0, 0.0, 0.0)
    row.count_runs += sign * part.count_runs
    row.run_time += sign * part.run_time
    row.lateness += sign * part.lateness


def _rounded(row: Row) -> Row:
    # Instants are whole microseconds: what is left of a sum that was taken off another is less than that.
    row.run_time = max(0.0, round(row.run_time, 6))
    row.lateness = max(0.0, round(row.lateness, 6))
    return row
