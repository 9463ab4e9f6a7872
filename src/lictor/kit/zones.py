"""Time zones: what a schedule needs to know about the hours that a zone skips and repeats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every name that a zone can be given by."""
    return frozenset(available_timezones())


@lru_cache(maxsize=256)
def zone(name: str | None) -> ZoneInfo:
    """The zone of a name; none or an empty one is UTC. ZoneInfoNotFoundError if there is none."""
    return ZoneInfo(name or "UTC")


def offset(at: datetime) -> timedelta:
    """A zoned instant's distance from UTC."""
    found = at.utcoffset()
    assert found is not None
    return found


def utc(wall: datetime, zone: ZoneInfo, fold: int = 0) -> datetime:
    """The instant when the zone's clocks show `wall`: of a repeated one the first, or with `fold` the second; one that
    is skipped is as long after the gap's begin as it would have been without the gap."""
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def turned(wall: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the zone's clocks are turned at that time: forward over it, so that they never show it, or (negative)
    back, so that they show it twice."""
    first, second = (offset(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    return second - first


class Turn(NamedTuple):
    """When a zone's clocks were last turned, and by how much."""

    at: datetime
    by: timedelta


def last_turn(at: datetime, zone: ZoneInfo, within: timedelta) -> Turn | None:
    """The turn of the clocks in the time up to and including `at`, if there was one; it is sought by halving."""
    after, before = at, at - within
    now, then = _offset(after, zone), _offset(before, zone)
    if now == then:
        return None
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if _offset(middle, zone) == now:
            after = middle
        else:
            before = middle
    # Clocks are turned at whole seconds.
    return Turn(after.replace(microsecond=0), now - then)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return offset(at.astimezone(zone))
