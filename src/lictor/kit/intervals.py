"""Dates at intervals: an anchor, and again and again so much later.

Whole days of an interval are days of the calendar in the schedule's zone, the rest is time: what runs daily at nine
does so in summer and winter, what runs hourly does so each hour that passes. Where a zone skips an hour, a daily date
in it moves behind the gap and stays there, as the reference has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from lictor.kit import zones

MOST_CANDIDATES = 1002

# No zone turns its clocks twice within this time, so equal offsets at its ends mean that nothing happened between.
_QUIET = timedelta(days=14)


def dates(interval: timedelta, anchor: datetime, timezone: str | None, start: datetime) -> Iterator[datetime]:
    """Dates in UTC from `start` on, up to a thousand; `interval` is positive."""
    zone = zones.zone(timezone)
    return islice(_dates(interval, anchor.astimezone(zone), zone, start.astimezone(zone)), MOST_CANDIDATES)


def _dates(interval: timedelta, anchor: datetime, zone: ZoneInfo, start: datetime) -> Iterator[datetime]:
    # Comparisons of one zone's instants with each other look at the clocks only: all are made in UTC.
    days, rest = interval.days, interval - timedelta(interval.days)
    begin = start.astimezone(UTC)
    calendar = days != 0 and not rest
    back = 0
    if calendar and zone.key != "UTC" and begin >= anchor.astimezone(UTC):
        at = _walk(anchor, zone, days, begin)
    else:
        at, back = _jump_near(interval, anchor, zone, begin)
    seen = set()
    while True:
        moment = at.astimezone(UTC)
        if moment >= begin and moment not in seen:
            seen.add(moment)
            yield moment
        if calendar and back < 0:
            # Before the anchor, dates are counted from it: going forward from behind a gap would miss it.
            back += 1
            at = _jump(interval, anchor, zone, back)
        else:
            at = _add(at, zone, days, rest)


def _walk(anchor: datetime, zone: ZoneInfo, days: int, begin: datetime) -> datetime:
    """The first date of a calendar interval that is not before `begin`: each follows from the one before, since one
    that falls into a gap moves all that follow."""
    at = anchor
    while at.astimezone(UTC) < begin:
        far = at
        steps = max(_QUIET.days // days, 1)
        if begin - at.astimezone(UTC) > _QUIET * 2 and days <= _QUIET.days:
            far = _add(at, zone, days * steps, timedelta())
        at = far if far is not at and zones.offset(far) == zones.offset(at) else _add(at, zone, days, timedelta())
    return at


def _jump_near(interval: timedelta, anchor: datetime, zone: ZoneInfo, begin: datetime) -> tuple[datetime, int]:
    count = int((begin - anchor).total_seconds() / interval.total_seconds())
    at = _jump(interval, anchor, zone, count)
    # By elapsed time one may come out behind the start, when clocks were turned on the way.
    while at.astimezone(UTC) > begin:
        count -= 1
        at = _jump(interval, anchor, zone, count)
    return at, count if begin < anchor.astimezone(UTC) else 0


def _jump(interval: timedelta, anchor: datetime, zone: ZoneInfo, count: int) -> datetime:
    """So many intervals from the anchor: days of the calendar if there are only days, else elapsed time."""
    if interval.days and not interval.seconds and not interval.microseconds:
        return _add(anchor, zone, interval.days * count, timedelta())
    return (anchor.astimezone(UTC) + interval * count).astimezone(zone)


def _add(at: datetime, zone: ZoneInfo, days: int, rest: timedelta) -> datetime:
    if not days:
        return (at.astimezone(UTC) + rest).astimezone(zone)
    # With whole days the rest too is added to what the clocks show; of a repeated hour the second is meant.
    wall = at.replace(tzinfo=None, fold=0) + timedelta(days) + rest
    return zones.utc(wall, zone, fold=int(zones.turned(wall, zone) < timedelta())).astimezone(zone)
