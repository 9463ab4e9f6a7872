"""Dates of iCalendar recurrence rules (RFC 5545), as dateutil reads them.

A rule without DTSTART begins in 2020, as the reference has it. dateutil counts every date from the beginning, so a rule
that comes true each minute would cost seconds of CPU at each look: it is given a later beginning first, a whole number
of intervals after its own, from which it has the same dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import dateutil.rrule
from dateutil.rrule import DAILY, HOURLY, MINUTELY, SECONDLY, WEEKLY, rrule, rruleset

from lictor.kit import zones

MOST_CANDIDATES = 1002
MAX_LENGTH = 6500
FIRST = datetime(2020, 1, 1)

_STEPS = {
    WEEKLY: timedelta(weeks=1),
    DAILY: timedelta(days=1),
    HOURLY: timedelta(hours=1),
    MINUTELY: timedelta(minutes=1),
    SECONDLY: timedelta(seconds=1),
}
# Where the clocks were turned lately, what they showed before may come again, or later; no turn is longer than this.
_MARGIN = timedelta(days=3)
# How far a rule is followed that is asked for no end: what never comes true must come to an end too.
_FOREVER = timedelta(days=366 * 30)
_MOST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# What dateutil raises over what is no rule.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)


def check(text: str) -> None:
    """ValueError, in the reference's words, for what is no rule or too long."""
    try:
        parsed = dateutil.rrule.rrulestr(text)
    except _UNREADABLE as error:
        raise ValueError(f'Invalid RRule string "{text}": {error}') from error
    # dateutil takes it, and would then count for ever.
    if any(_part(rule, "interval") < 1 for rule in _rules(parsed)):
        raise ValueError(f'Invalid RRule string "{text}": INTERVAL must be positive')
    if len(text) > MAX_LENGTH:
        raise ValueError(f'Invalid RRule string "{text[:40]}..."\nMax length is {MAX_LENGTH}, got {len(text)}')


def anchored(text: str, timezone: str | None, now: datetime) -> str:
    """The rule with a DTSTART: that of 2020, or for one that comes true each minute or second a recent one of the same
    phase. One that has its own is left alone."""
    if "DTSTART" in text.upper():
        return text
    first = FIRST
    parsed: Any = dateutil.rrule.rrulestr(text, dtstart=FIRST)
    if isinstance(parsed, rrule) and _part(parsed, "freq") in (MINUTELY, SECONDLY) and _part(parsed, "count") is None:
        wall = now.astimezone(zones.zone(timezone)).replace(tzinfo=None, fold=0)
        first = max(FIRST, _later(FIRST, _period(parsed), wall))
    return f"DTSTART:{first:%Y%m%dT%H%M%S}\n{text}"


def dates(text: str, timezone: str | None, start: datetime, end: datetime | None = None) -> Iterator[datetime]:
    """Dates in UTC from `start` to `end`, up to a thousand. A time that the zone's clocks show twice is meant once."""
    zone = zones.zone(timezone)
    last = end or start + _FOREVER
    # Without a turn, dates come as clocks show them, and a rule of each minute has thousands in three days.
    margin = _MARGIN if zones.last_turn(start, zone, _MARGIN) else timedelta()
    begin, until = (at.astimezone(zone).replace(tzinfo=None, fold=0) for at in (start - margin, last + _MARGIN))
    seen = set()
    moments = (_instant(wall, zone) for wall in _cut(text, begin, until))
    for moment in islice((moment for moment in moments if moment >= start), MOST_CANDIDATES):
        if moment > last:
            return
        if moment not in seen:
            seen.add(moment)
            yield moment


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    # A skipped time comes before the gap, as dateutil has it.
    return zones.utc(wall, zone, fold=int(zones.turned(wall, zone) > timedelta()))


def _cut(text: str, begin: datetime, until: datetime) -> rrule | rruleset:
    """The rule by its zone's clocks, whatever zone it was written with, and cut to what is asked for."""
    parsed: Any = dateutil.rrule.rrulestr(text, dtstart=FIRST)
    if isinstance(parsed, rrule):
        return _cut_one(parsed, begin, until) if _ever(parsed) else rruleset()
    made = rruleset()
    made._rrule = [_cut_one(rule, begin, until) for rule in _part(parsed, "rrule") if _ever(rule)]
    made._exrule = [_cut_one(rule, begin, until) for rule in _part(parsed, "exrule") if _ever(rule)]
    made._rdate = [at.replace(tzinfo=None) for at in _part(parsed, "rdate")]
    made._exdate = [at.replace(tzinfo=None) for at in _part(parsed, "exdate")]
    return made


def _cut_one(rule: rrule, begin: datetime, until: datetime) -> rrule:
    first, last = _part(rule, "dtstart").replace(tzinfo=None), _part(rule, "until")
    last = until if last is None else min(last.replace(tzinfo=None), until)
    if _part(rule, "count") is not None:
        # Its dates are counted from the beginning, and there are only so many.
        return rule.replace(dtstart=first, until=None if _part(rule, "until") is None else last)
    if _part(rule, "freq") in _STEPS and first < begin:
        first = _later(first, _period(rule), begin)
    return rule.replace(dtstart=first, until=last)


def _ever(rule: rrule) -> bool:
    """False for a day that no month has: dateutil would look for it through eight thousand years."""
    days = [*_part(rule, "bymonthday"), *(-day for day in _part(rule, "bynmonthday"))]
    months = _part(rule, "bymonth") or range(1, 13)
    return not days or any(day <= _MOST_DAYS[month - 1] for day in days for month in months)


def _rules(parsed: rrule | rruleset) -> list[rrule]:
    return [parsed] if isinstance(parsed, rrule) else [*_part(parsed, "rrule"), *_part(parsed, "exrule")]


def _later(first: datetime, period: timedelta, begin: datetime) -> datetime:
    """A whole number of periods after `first`, and not after `begin`."""
    return first + period * ((begin - first) // period)


def _period(rule: rrule) -> timedelta:
    return _STEPS[_part(rule, "freq")] * int(_part(rule, "interval"))


def _part(rule: Any, name: str) -> Any:
    # dateutil shows what it has parsed by these names only.
    return getattr(rule, f"_{name}")
