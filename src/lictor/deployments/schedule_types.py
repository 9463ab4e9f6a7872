"""The three kinds of schedule, and their dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, assert_never

import msgspec
from msgspec import Raw, Struct

from lictor.kit import clock, intervals, zones
from lictor.kit.decoding import decode
from lictor.kit.lazy import lazy
from lictor.web import Checked, Checks, Choice, FieldError, Instant, Seconds

if TYPE_CHECKING:
    from lictor.kit import cron, rrules
else:
    cron = lazy("lictor.kit.cron")
    rrules = lazy("lictor.kit.rrules")


class Schedule(Choice):
    """Told apart by their keys."""

    __slots__ = ()


def check_interval(seconds: float) -> None:
    if seconds <= 0:
        raise FieldError("interval must be positive")


def check_cron(text: str) -> None:
    cron.check(text)


def check_rrule(text: str) -> None:
    rrules.check(text)


def check_rrule_zone(timezone: str | None) -> None:
    if timezone is not None and timezone not in zones.names():
        pattern = zone_pattern()
        words = f"String should match pattern '{pattern}'"
        raise FieldError(words, type="string_pattern_mismatch", ctx={"pattern": pattern})


class IntervalSchedule(Schedule, Checked, Struct, forbid_unknown_fields=True):
    """Each `interval` seconds from the anchor on, in the calendar of the zone as far as it is whole days."""

    wire_label = "function-after[validate_timezone(), IntervalSchedule]"
    checks: ClassVar[Checks] = {"interval": check_interval}

    interval: Seconds
    anchor_date: Instant = msgspec.field(default_factory=clock.now)
    timezone: str | None = None

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        check_zone(self.timezone)
        # The zone of an anchor is an offset only, and that is no zone.
        self.timezone = self.timezone if self.timezone is not None else "UTC"


class CronSchedule(Schedule, Checked, Struct, forbid_unknown_fields=True):
    wire_label = "function-after[validate_timezone(), CronSchedule]"
    checks: ClassVar[Checks] = {"cron": check_cron}

    cron: str
    timezone: str | None = None
    day_or: bool = True

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        check_zone(self.timezone)


class RRuleSchedule(Schedule, Checked, Struct, forbid_unknown_fields=True):
    wire_label = "RRuleSchedule"
    checks: ClassVar[Checks] = {"rrule": check_rrule, "timezone": check_rrule_zone}

    rrule: str
    timezone: str | None = "UTC"


AnySchedule = IntervalSchedule | CronSchedule | RRuleSchedule


def check_zone(timezone: str | None) -> None:
    if timezone and timezone not in zones.names():
        words = f'Invalid timezone: "{timezone}" (specify in IANA tzdata format, for example, America/New_York)'
        raise ValueError(words)


@lru_cache(maxsize=1)
def zone_pattern() -> str:
    return "|".join(name for name in sorted(zones.names()) if "localtime" not in name)


def stored(schedule: Schedule) -> bytes:
    """A schedule as it is kept: a rule gets its beginning, if it has none."""
    if isinstance(schedule, RRuleSchedule):
        rule = rrules.anchored(schedule.rrule, schedule.timezone, clock.now())
        schedule = RRuleSchedule(rule, schedule.timezone)
    return msgspec.json.encode(schedule)


@lru_cache(maxsize=4096)
def parsed(text: bytes) -> AnySchedule:
    """A stored schedule."""
    keys = decode(text, dict[str, Raw])
    if "interval" in keys:
        return decode(text, IntervalSchedule)
    if "cron" in keys:
        return decode(text, CronSchedule)
    return decode(text, RRuleSchedule)


def class_name(schedule: AnySchedule) -> str:
    """What a run is said to be made by, where its schedule has no slug."""
    return type(schedule).__name__


def dates(schedule: AnySchedule, start: datetime, end: datetime) -> Iterator[datetime]:
    """The schedule's dates in UTC from `start` on; they may go beyond `end`."""
    match schedule:
        case IntervalSchedule():
            every = timedelta(seconds=schedule.interval)
            return intervals.dates(every, schedule.anchor_date, schedule.timezone, start)
        case CronSchedule():
            return cron.dates(schedule.cron, schedule.timezone, schedule.day_or, start)
        case RRuleSchedule():
            return rrules.dates(schedule.rrule, schedule.timezone, start, end)
    assert_never(schedule)
