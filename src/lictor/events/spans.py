"""Spans of time, cut into what tallies know and what is read from the events themselves.

A span is cut into whole days, whole quarters of an hour on either side of them, and two edges. Where spans meet within
a quarter, its tally is that of the one with the largest part of it; the others' parts are read, and taken off it:

    quarters   │             │             │             │
    spans      │   A   ╎  B          ╎            C      │
    tallied    │◀─ A ─▶│◀──── B ────▶│◀──── C ────▶│
    read                ▐B▌           ▐B▌
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from lictor.kit import times

QUARTER, DAY = 0, 1
SIZES = (timedelta(minutes=15), timedelta(days=1))
TICK = timedelta(microseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def floor(instant: datetime, level: int) -> datetime:
    """The slot that an instant is in."""
    utc = times.utc(instant)
    if level == DAY:
        return utc.replace(hour=0, minute=0, second=0, microsecond=0)
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)


def end(slot: datetime, level: int) -> datetime:
    """The last instant of a slot."""
    return slot + (SIZES[level] - TICK)


class Piece(NamedTuple):
    """From one instant to another, both included, within the span with this number."""

    first: datetime
    last: datetime
    span: int

    @property
    def length(self) -> timedelta:
        return self.last - self.first + TICK

    def text(self) -> str:
        return f"{times.text(self.first)}{times.text(self.last)}{self.span}"


class Pieces:
    """Spans of time (ascending and apart), cut into what is read from the events and what from either tally."""

    def __init__(self, spans: list[tuple[datetime, datetime]]) -> None:
        self.rows: list[Piece] = []
        self.tallied: tuple[list[Piece], list[Piece]] = ([], [])
        self._spans = len(spans)
        # For each of the rows that are `shared`: the span that it belongs to, and the one that it is taken off.
        self._signs: list[tuple[int | None, int | None]] = []
        for number, (first, last) in enumerate(spans):
            self._cut(first, last, number, QUARTER)

    def share(self) -> None:
        """Let tallies of quarters stand for their largest parts, where that leaves less to be read. What is read is
        numbered from then on, and no longer a span's own: for counts, which can be taken off each other."""
        parts: dict[datetime, list[Piece]] = {}
        for piece in self.rows:
            for slot, part in _by_quarter(piece):
                parts.setdefault(slot, []).append(part)
        self.rows = []
        for slot, pieces in parts.items():
            self._share(slot, pieces)

    def _share(self, slot: datetime, pieces: list[Piece]) -> None:
        lengths = [piece.length for piece in pieces]
        longest = max(lengths)
        largest = pieces[lengths.index(longest)]
        if SIZES[QUARTER] - longest >= sum(lengths, timedelta()):
            for piece in pieces:
                self._read(piece.first, piece.last, piece.span, None)
            return
        self.tallied[QUARTER].append(Piece(slot, end(slot, QUARTER), largest.span))
        last = end(slot, QUARTER)
        begin = slot
        for piece in pieces:
            if begin < piece.first:
                self._read(begin, piece.first - TICK, None, largest.span)
            if piece is not largest:
                self._read(piece.first, piece.last, piece.span, largest.span)
            if piece.last == last:
                return
            begin = piece.last + TICK
        self._read(begin, last, None, largest.span)

    def _read(self, first: datetime, last: datetime, plus: int | None, minus: int | None) -> None:
        self.rows.append(Piece(first, last, self._spans + len(self._signs)))
        self._signs.append((plus, minus))

    def summed(self, parts: Counter[int]) -> list[int]:
        """How many events each span has, by how many each of the shared parts has."""
        for number, (plus, minus) in enumerate(self._signs, self._spans):
            if plus is not None:
                parts[plus] += parts[number]
            if minus is not None:
                parts[minus] -= parts[number]
        # What was committed so late that no tally has it would be taken off all the same.
        return [max(0, parts[span]) for span in range(self._spans)]

    def _cut(self, first: datetime, last: datetime, span: int, level: int) -> None:
        """Whole slots of a level are cut further; what is left at either edge is of the level below."""
        if first > last:
            return
        begin, behind = _ceil(first, level), floor(last + TICK if last < LAST else last, level)
        below = self.rows if level == QUARTER else self.tallied[level - 1]
        if begin is None or begin >= behind:
            below.append(Piece(first, last, span))
            return
        if first < begin:
            below.append(Piece(first, begin - TICK, span))
        if level == DAY:
            self.tallied[DAY].append(Piece(begin, behind - TICK, span))
        else:
            self._cut(begin, behind - TICK, span, level + 1)
        if behind <= last:
            below.append(Piece(behind, last, span))

    def params(self, *, quarters: bool = True) -> dict[str, Any]:
        stretches = self._stretches().pieces
        return {
            "rows": [piece.text() for piece in self.rows],
            "quarters": [piece.text() for piece in self.tallied[QUARTER]] if quarters else [],
            "days": [piece.text() for piece in self.tallied[DAY]],
            "first": stretches[0].first if stretches else LAST,
            "last": stretches[-1].last if stretches else FIRST,
        }

    def _stretches(self) -> Stretches:
        return Stretches([*self.tallied[QUARTER], *self.tallied[DAY]])

    def place(self, occurred: Iterable[datetime]) -> Counter[int]:
        """Of events, those that a tally would hold, by their spans."""
        stretches = self._stretches()
        found = (stretches.span(at) for at in occurred)
        return Counter(span for span in found if span is not None)

    def close_quarters(self, many: int) -> Stretches:
        """What is taken from quarters, if that are so many, and at least half of all between the first and the last."""
        found = Stretches(self.tallied[QUARTER])
        if len(found.pieces) < many:
            return Stretches([])
        whole = found.pieces[-1].last - found.pieces[0].first
        return found if sum((piece.length for piece in found.pieces), timedelta()) * 2 > whole else Stretches([])


class Stretches:
    """Pieces in order, by the instants that are in them."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = sorted(pieces)
        self._begins = [piece.first for piece in self.pieces]

    def span(self, at: datetime) -> int | None:
        """The span of the piece that an instant is in."""
        number = bisect_right(self._begins, at) - 1
        return self.pieces[number].span if number >= 0 and at <= self.pieces[number].last else None


def _by_quarter(piece: Piece) -> Iterable[tuple[datetime, Piece]]:
    """Its parts, with the quarters that they are in."""
    slot, first = floor(piece.first, QUARTER), piece.first
    while (edge := end(slot, QUARTER)) < piece.last:
        yield slot, Piece(first, edge, piece.span)
        slot = first = edge + TICK
    yield slot, Piece(first, piece.last, piece.span)


def _ceil(instant: datetime, level: int) -> datetime | None:
    slot = floor(instant, level)
    if slot == instant:
        return slot
    return slot + SIZES[level] if slot < LAST - SIZES[level] else None
