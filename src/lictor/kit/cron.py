"""Dates of cron expressions, in the dialect of croniter: five fields, or six with seconds last; names of months and
days.

What is decided here is what happens when clocks are turned: a date in the hour that is skipped moves behind the gap, a
date in the hour that is repeated happens once, the first time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from lictor.kit import zones

MOST_CANDIDATES = 1002
FOR_YEARS = 50
"""How long a date is waited for, as croniter does."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_LONGEST_TURN = timedelta(hours=26)  # a zone that crosses the date line skips or repeats a day


def check(expression: str) -> None:
    """ValueError, in the reference's words, for what is no expression or one with a random part."""
    if not croniter.is_valid(expression):
        raise ValueError(f'Invalid cron string: "{expression}"')
    if any(word.casefold() in ("r", "h") for word in expression.split()):
        raise ValueError(f'Random and Hashed expressions are unsupported, received: "{expression}"')


def dates(expression: str, timezone: str | None, day_or: bool, start: datetime) -> Iterator[datetime]:
    """Dates in UTC from `start` on, up to a thousand; none for an expression that never comes true."""
    zone = zones.zone(timezone)
    start = start.astimezone(UTC)
    seen = set()
    for found in islice(_candidates(expression, zone, day_or, start), MOST_CANDIDATES):
        if found >= start and found not in seen:
            seen.add(found)
            yield found


def _candidates(expression: str, zone: ZoneInfo, day_or: bool, start: datetime) -> Iterator[datetime]:
    wall = start.astimezone(zone).replace(tzinfo=None, fold=0)
    turn = zones.last_turn(start, zone, _LONGEST_TURN)
    turned = wall if turn is None else turn.at.astimezone(zone).replace(tzinfo=None, fold=0)
    # croniter looks for what comes after an instant, and the start itself counts too.
    begin = wall if wall.microsecond else wall - _SECOND
    if turn is not None and turn.by < timedelta() and start - turn.at < -turn.by:
        # All that the clocks show until the repeated time is over has been.
        begin = turned - turn.by - _SECOND
    found = (zones.utc(wall, zone) for wall in _walls(expression, day_or, begin))
    if turn is not None and turn.by > timedelta() and start - turn.at < turn.by:
        # What was skipped comes now, as long after the gap as it would have been after its begin.
        skipped = takewhile(lambda wall: wall < turned, _walls(expression, day_or, begin - turn.by))
        return heapq.merge((zones.utc(wall, zone) for wall in skipped), found)
    return found


def _walls(expression: str, day_or: bool, begin: datetime) -> Iterator[datetime]:
    """What the clocks show at each date after `begin`."""
    fields, nth_weekdays = croniter.expand(expression)
    if nth_weekdays or len(fields) not in (5, 6) or any("l" in values for values in fields):
        return _counted(expression, day_or, begin)
    return _listed(fields, day_or, begin)


def _counted(expression: str, day_or: bool, begin: datetime) -> Iterator[datetime]:
    found = croniter(expression, begin, day_or=day_or)
    try:
        while True:
            yield found.get_next(datetime)
    except CroniterBadDateError:  # there is none for fifty years
        return


def _listed(fields: list[list[Any]], day_or: bool, begin: datetime) -> Iterator[datetime]:
    """The same for expressions that are sets of numbers and no more: a tenth of croniter's cost, and less where they
    seldom come true."""
    minutes, hours = _numbers(fields[0], 60), _numbers(fields[1], 24)
    seconds = _numbers(fields[5], 60) if len(fields) == 6 else [0]
    for day in _days(fields, day_or, begin.date()):
        for hour in hours:
            if day == begin.date() and hour < begin.hour:
                continue
            for minute in minutes:
                for second in seconds:
                    at = datetime.combine(day, time(hour, minute, second))
                    if at > begin:
                        yield at


def _days(fields: list[list[Any]], day_or: bool, first: date) -> Iterator[date]:
    days, months, weekdays = fields[2], set(_numbers(fields[3], 13)), fields[4]
    numbers, names = set(_numbers(days, 32)), set(_numbers(weekdays, 7))
    either = day_or and days != ["*"] and weekdays != ["*"]
    day, last = first, first.replace(day=1).toordinal() + FOR_YEARS * 366
    while day.toordinal() < last:
        if day.month not in months:
            day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            continue
        named = day.isoweekday() % 7 in names
        if (day.day in numbers or named) if either else (day.day in numbers and named):
            yield day
        day += _DAY


def _numbers(values: list[Any], end: int) -> list[int]:
    return list(range(end)) if values == ["*"] else sorted(values)
