from __future__ import annotations

import logging

from lictor.cli.logs import Repeats


def said(repeats: Repeats, at: float, text: str = "the database cannot be used now: %s") -> str | None:
    """What the log would show of this line, None when it is left out."""
    record = logging.LogRecord("lictor.db", logging.WARNING, "", 0, text, ("it is full",) if "%s" in text else (), None)
    record.created = at
    return record.getMessage() if repeats.filter(record) else None


def test_the_same_line_over_and_over_is_left_out_and_counted() -> None:
    repeats = Repeats(most=2, seconds=10)
    line = "the database cannot be used now: it is full"

    assert [said(repeats, at) for at in (0, 1, 2, 3, 9.9)] == [line, line, None, None, None]
    assert said(repeats, 10) == f"{line} (3 more of this line were left out)"
    assert [said(repeats, at) for at in (11, 12, 30)] == [line, None, f"{line} (1 more of this line were left out)"]


def test_what_reads_differently_is_never_left_out() -> None:
    repeats = Repeats(most=1, seconds=10)

    assert [said(repeats, 0, f"run {number} is late") for number in range(3000)].count(None) == 0
