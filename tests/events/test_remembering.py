"""What a server remembers of questions: how much, and for how long."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from lictor.events import remembering
from lictor.events.remembering import Cell, Memory, Place

DAY = datetime(2026, 3, 14, tzinfo=UTC)


def place(number: int) -> Place:
    return 1, DAY + timedelta(days=number)


def cells(*numbers: int, room: int = 1) -> dict[Place, Cell]:
    return {place(number): Cell(number, f"told {number}", room) for number in numbers}


def test_what_was_kept_is_there_again() -> None:
    memory = Memory()
    memory.keep(b"a", cells(1, 2), 2)
    assert memory.cells(b"a", [place(2), place(3)]) == cells(2)
    assert memory.cells(b"b", [place(2)]) == {}
    assert (memory.knows(b"a"), memory.knows(b"b")) == (True, False)
    memory.note(b"b")
    assert memory.knows(b"b")


def test_a_cell_takes_the_place_of_the_one_before() -> None:
    memory = Memory()
    memory.keep(b"a", cells(1, room=7), 1)
    memory.keep(b"a", {place(1): Cell(9, "anew", 3)}, 1)
    assert memory.cells(b"a", [place(1)]) == {place(1): Cell(9, "anew", 3)}
    assert len(memory) == 1 + 3


def test_the_question_that_was_not_asked_for_longest_is_forgotten_first() -> None:
    memory = Memory(most=30)
    for key in (b"a", b"b", b"c"):
        memory.keep(key, cells(1, room=8), 1)
    memory.cells(b"a", [place(1)])
    memory.keep(b"d", cells(1, room=8), 1)
    assert [key for key in (b"a", b"b", b"c", b"d") if memory.knows(key)] == [b"a", b"c", b"d"]
    assert len(memory) == 27


def test_an_answer_that_would_need_more_than_half_is_not_remembered() -> None:
    memory = Memory(most=30)
    memory.keep(b"a", cells(*range(20)), 20)
    assert len(memory) == 1
    # Nor looked for again; one of a shorter period is.
    assert (memory.fits(b"a", 20), memory.fits(b"a", 19), memory.fits(b"b", 20)) == (False, True, True)
    memory.refuse(b"b", 5)
    assert (memory.fits(b"b", 5), len(memory)) == (False, 2)


def test_cells_that_an_answer_does_not_need_make_room() -> None:
    memory = Memory(most=30)
    memory.keep(b"a", cells(*range(10)), 10)
    memory.keep(b"a", cells(*range(10, 20)), 10)
    assert memory.cells(b"a", map(place, range(20))) == cells(*range(10, 20))


def test_what_nobody_needs_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = monotonic()
    monkeypatch.setattr(remembering, "monotonic", lambda: now)
    memory = Memory()
    memory.keep(b"a", cells(1, 2), 2)
    for _ in range(3):
        now += remembering.SHIFT
        assert memory.cells(b"a", [place(1)]) == cells(1)
    assert memory.cells(b"a", [place(2)]) == {}
    assert len(memory) == 2


def test_threads_share_a_memory() -> None:
    memory = Memory(most=200)
    wrong: list[object] = []

    def use(own: int) -> None:
        for number in range(400):
            key = b"%d" % (number % 7)
            memory.keep(key, cells(*range(own, own + 12)), 12)
            found = memory.cells(key, map(place, range(60)))
            wrong.extend(cell for at, cell in found.items() if at != place(cell.changed))

    threads = [threading.Thread(target=use, args=(own,)) for own in range(0, 40, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(memory) <= 200
    kept = sum(
        1 + len(memory.cells(b"%d" % number, map(place, range(60))))
        for number in range(7)
        if memory.knows(b"%d" % number)
    )
    assert kept == len(memory)
