"""Schedules and the instants to ask them at: around the turns of many zones' clocks. No imports beyond the standard
library: the recorder runs where the reference is installed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

DATES = 6

# A zone, and local times shortly before, in and after what is odd about it.
ZONES = {
    None: ("2024-02-28T23:59:30", "2026-11-01T00:00:00"),
    "UTC": ("2023-12-31T23:30:00.5", "2028-02-29T12:00:00"),
    "America/New_York": ("2026-03-07T21:10:00", "2026-03-08T03:15:00", "2026-10-31T22:00:00", "2026-11-01T01:20:00"),
    "Europe/Berlin": ("2027-03-27T20:00:00", "2027-03-28T03:00:00", "2027-10-31T02:30:00.25"),
    "Europe/Dublin": ("2025-03-29T23:00:00", "2025-10-26T00:30:00"),
    "Australia/Lord_Howe": ("2026-04-04T23:50:00", "2026-10-04T02:40:00"),
    "America/Sao_Paulo": ("2018-11-03T22:00:00", "2018-11-04T01:05:00", "2019-02-16T22:30:00"),
    "Africa/Casablanca": ("2026-02-14T22:00:00", "2026-03-22T01:30:00"),
    "Asia/Kolkata": ("2026-06-01T05:29:59",),
    "Pacific/Apia": ("2011-12-29T22:00:00", "2011-12-31T00:30:00"),
}
INTERVALS = (0.5, 300, 3600, 5400, 43200, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 108000, 129600)
ANCHORS = (
    "2020-01-01T00:00:00+00:00",
    "2026-03-01T07:30:00+00:00",
    "2024-07-01T01:15:00-04:00",
    "2030-01-01T06:30:00+00:00",
)
CRONS = (
    "* * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "30 1 * * *",
    "30 2 * * *",
    "15 0,2,3 * * *",
    "0 0 * * *",
    "0 9 * * mon-fri",
    "0 0 1 * mon",
    "0 0 L * *",
    "0 12 * * 5#2",
    "0 0 29 2 *",
    "@hourly",
    "0 0 1 jan,jul *",
    "*/20 * * * * 10,40",
)
RRULES = (
    "FREQ=MINUTELY;INTERVAL=5",
    "FREQ=MINUTELY;BYHOUR=1,2,3;INTERVAL=20",
    "FREQ=MINUTELY;INTERVAL=7;COUNT=5",
    "FREQ=SECONDLY;INTERVAL=45",
    "FREQ=HOURLY",
    "FREQ=HOURLY;INTERVAL=5;BYMINUTE=10,40",
    "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
    "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=1,2;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=YEARLY;BYMONTH=3,11;BYDAY=1SU;BYHOUR=1;BYMINUTE=30",
    "FREQ=DAILY;UNTIL=20261102T120000",
    "DTSTART:20100105T013000\nRRULE:FREQ=WEEKLY;INTERVAL=3",
    "DTSTART:20300101T000000\nRRULE:FREQ=DAILY;COUNT=3",
    "DTSTART:20240101T023000\nRRULE:FREQ=DAILY\nEXDATE:20260308T023000,20261101T023000",
    "DTSTART:20240101T000000\nRRULE:FREQ=HOURLY;INTERVAL=6\nRRULE:FREQ=DAILY;BYHOUR=13\nEXRULE:FREQ=WEEKLY;BYDAY=SU",
    "RDATE:20260308T023000\nRDATE:20261101T013000,20280229T120000",
)


def cases() -> Iterator[dict[str, Any]]:
    """{schedule, at}: the JSON of a schedule, and the local time in its zone to ask it at."""
    for zone, times in ZONES.items():
        for at in times:
            for schedule in schedules(zone):
                yield {"schedule": schedule, "at": at}


def schedules(zone: str | None) -> Iterator[dict[str, Any]]:
    for number, interval in enumerate(INTERVALS):
        anchor = ANCHORS[number % len(ANCHORS)]
        yield {"interval": interval, "anchor_date": anchor, "timezone": zone or "UTC"}
        yield {"interval": interval, "anchor_date": ANCHORS[(number + 1) % len(ANCHORS)], "timezone": zone or "UTC"}
    for cron in CRONS:
        yield {"cron": cron, "timezone": zone, "day_or": True}
    yield {"cron": "0 0 1 * mon", "timezone": zone, "day_or": False}
    # dateutil does not know zones whose winter is the exception to a standard summer time.
    for rrule in () if zone in ("Europe/Dublin", "Africa/Casablanca") else RRULES:
        yield {"rrule": rrule, "timezone": zone or "UTC"}


def end(start: datetime, schedule: dict[str, Any]) -> datetime:
    """How far to look: what comes true rarely is followed for years."""
    rare = "YEARLY" in schedule.get("rrule", "") or "29 2" in schedule.get("cron", "")
    return start + timedelta(days=3000 if rare else 400)
