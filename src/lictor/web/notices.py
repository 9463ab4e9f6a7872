"""What an operator should read, but not once for every request that gives rise to it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from lictor.kit import clock

EVERY = timedelta(minutes=10)


class Notices:
    """Warnings, each at most once in ten minutes; the next tells how often it was left out in between."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: dict[str, datetime] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, key: str, text: str) -> None:
        """Say `text`, unless one with the same `key` was said of late. Keys are few: none comes from a client."""
        now = clock.now()
        last = self._said.get(key)
        if last is not None and now - last < EVERY:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._said[key] = now
        before = self._left_out.pop(key, 0)
        self._log.warning("%s%s", text, f" ({before} more since this was last said)" if before else "")
