"""Quarters of an hour, and which of them a question takes from the tallies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from lictor.kit import clock, times

SLOT = timedelta(minutes=15)
BEHIND = timedelta(hours=2)
TOUCHED_AFTER = timedelta(hours=1)
# So many slots are settled in one transaction: a day of them, or of changed ones.
MOST_SLOTS = 96
TICK = timedelta(microseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


class Slots(NamedTuple):
    """One or more slots, from the begin of the first to the end of the last."""

    start: datetime
    end: datetime


class Span(NamedTuple):
    """From `after` to `before`, both included; of it, the slots from `first` up to `last` may be settled."""

    after: datetime
    before: datetime
    first: datetime
    last: datetime

    def params(self) -> dict[str, Any]:
        """The span as parameters: what is left of the slots (nothing, if it begins with one), the slots, the rest."""
        edge = self.first > self.after
        return {
            "left": self.after if edge else LAST,
            "left_end": min(self.first - TICK, self.before) if edge else FIRST,
            "first": self.first,
            "last": self.last,
            "right_end": self.before,
            "now": clock.now(),
        }


def floor(instant: datetime) -> datetime:
    """The slot that an instant is in."""
    utc = times.utc(instant)
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)


def ceil(instant: datetime) -> datetime:
    """The first slot that begins at this instant or later."""
    slot = floor(instant)
    return slot if slot == instant else slot + SLOT


def is_old(instant: datetime | None) -> bool:
    """Whether what happens to a run that was expected then has to be told."""
    return instant is not None and instant < clock.now() - TOUCHED_AFTER
