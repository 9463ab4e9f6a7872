"""The server's log: lines on standard error."""

from __future__ import annotations

import logging
import os

from lictor.settings import Settings, without_effect

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class Repeats(logging.Filter):
    """Lets the same line through `most` times in so many seconds; the next one tells how many were left out.

    A database that is away, or a full disk, gives rise to the same line for every request. Nothing that reads
    differently is held back.
    """

    KEPT = 1000  # lines remembered: enough for what can repeat fast

    def __init__(self, most: int = 5, seconds: float = 10.0) -> None:
        super().__init__()
        self._most, self._seconds = most, seconds
        self._seen: dict[tuple[str, str], tuple[float, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        begun, said, left_out = self._seen.get((record.name, text), (record.created, 0, 0))
        if record.created - begun >= self._seconds:
            begun, said = record.created, 0
        if said >= self._most:
            self._seen[record.name, text] = begun, said, left_out + 1
            return False
        if len(self._seen) >= self.KEPT:
            self._seen.clear()
        self._seen[record.name, text] = begun, said + 1, 0
        if left_out:
            record.msg, record.args = f"{text} ({left_out} more of this line were left out)", None
        return True


def set_up_log(settings: Settings) -> None:
    """Write from the level on that the settings name."""
    handler = logging.StreamHandler()
    handler.addFilter(Repeats())
    logging.basicConfig(level=settings.logging_level, format=FORMAT, handlers=[handler])


def say_what_has_no_effect() -> None:
    for sentence in without_effect(os.environ):
        logging.getLogger("lictor.settings").warning(sentence)
