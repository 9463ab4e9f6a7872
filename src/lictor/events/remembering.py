"""What a server remembers of questions about events: what each whole quarter of an hour and each whole day answered.

The log does not change, but for what is folded late and what retention deletes, and dashboards ask the same things
again and again of a period that moves on. So an answer is kept in *cells*, one for each slot of the tallies, with the
number that the slot had when it was counted (`tallies`): as long as it has that number, the cell holds. `recalling`
fills them and makes answers of them.

Questions that were not asked for longest are forgotten first, and so are the cells of a question that were of no use
for an hour or two: its period has left them behind. Answers do not depend on what is remembered, only their cost does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

# Cells in all: a count is one (some 340 bytes), and so are so many positions.
MOST = 100_000
POSITIONS = 9
# Seconds after which cells are forgotten that nobody needed, and that nobody needs for as long again.
SHIFT = 3600.0

Place = tuple[int, datetime]
"""The level of a slot, and when it begins."""


class Cell(NamedTuple):
    """What the folded events of a slot answered when it had this number, and how much room that takes."""

    changed: int
    told: Any
    room: int = 1


class Memory:
    """Of all questions that one server is asked of one database; its database threads share it."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._questions: OrderedDict[bytes, _Question] = OrderedDict()
        self._room = 0

    def __len__(self) -> int:
        """How much room its questions take, in cells."""
        return self._room

    def knows(self, key: bytes) -> bool:
        """Whether something is remembered of a question, or it was worth remembering when it was asked before."""
        with self._lock:
            return key in self._questions

    def fits(self, key: bytes, slots: int) -> bool:
        """Whether an answer made of so many slots is likely to have room; not if one of fewer had none."""
        with self._lock:
            found = self._questions.get(key)
            return found is None or slots < found.too_many

    def refuse(self, key: bytes, slots: int) -> None:
        """An answer made of so many slots has no room."""
        with self._lock:
            found = self._asked(key)
            self._room -= found.room - 1
            found.clear(slots)

    def note(self, key: bytes) -> None:
        """Remember this question from the next time on."""
        with self._lock:
            self._asked(key)

    def cells(self, key: bytes, places: Iterable[Place]) -> dict[Place, Cell]:
        """What is remembered of these slots, whether it holds or not."""
        with self._lock:
            if key not in self._questions:
                return {}
            return self._asked(key).find(places)

    def keep(self, key: bytes, counted: Mapping[Place, Cell], slots: int) -> None:
        """Remember what was counted for an answer that is made of so many slots."""
        with self._lock:
            found = self._asked(key)
            self._room -= found.room
            found.put(counted)
            if found.room > self.most // 2:
                found.forget_others(counted)
            if found.room > self.most // 2:
                found.clear(slots)
            self._room += found.room
            while self._room > self.most:
                self._room -= self._questions.popitem(last=False)[1].room

    def _asked(self, key: bytes) -> _Question:
        found = self._questions.get(key)
        if found is None:
            found = self._questions[key] = _Question()
            self._room += found.room
        self._questions.move_to_end(key)
        self._room += found.turn(monotonic())
        return found


class _Question:
    """The cells of a question: those that were needed lately, and those that were before."""

    __slots__ = ("before", "lately", "room", "too_many", "turned")

    def __init__(self) -> None:
        self.lately: dict[Place, Cell] = {}
        self.before: dict[Place, Cell] = {}
        # What is left of a question that is forgotten takes some, too.
        self.room = 1
        self.too_many = 2**62
        self.turned = monotonic()

    def turn(self, now: float) -> int:
        """Forget what has not been needed for long; by how much the room changes."""
        if now < self.turned + SHIFT:
            return 0
        gone = sum(cell.room for cell in self.before.values())
        self.before, self.lately, self.turned = self.lately, {}, now
        self.room -= gone
        return -gone

    def find(self, places: Iterable[Place]) -> dict[Place, Cell]:
        found = {}
        for place in places:
            cell = self.lately.get(place)
            if cell is None:
                cell = self.before.pop(place, None)
                if cell is None:
                    continue
                self.lately[place] = cell
            found[place] = cell
        return found

    def put(self, counted: Mapping[Place, Cell]) -> None:
        for place, cell in counted.items():
            for cells in (self.lately, self.before):
                if (gone := cells.pop(place, None)) is not None:
                    self.room -= gone.room
            self.lately[place] = cell
            self.room += cell.room

    def forget_others(self, counted: Mapping[Place, Cell]) -> None:
        self.clear(self.too_many)
        self.put(counted)

    def clear(self, too_many: int) -> None:
        """An answer of so many slots had no room."""
        self.lately, self.before, self.room, self.too_many = {}, {}, 1, too_many
