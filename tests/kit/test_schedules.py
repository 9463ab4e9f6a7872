"""Dates of schedules are the reference's, around the turns of many zones' clocks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit import schedule_cases

from lictor.kit import cron, intervals, rrules

RECORDED = json.loads(Path(__file__).with_name("recorded_schedules.json").read_text(encoding="utf-8"))
ZONES = [zone or "UTC" for zone in schedule_cases.ZONES]
INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def dates(schedule: dict[str, Any], start: datetime, end: datetime) -> Iterator[datetime]:
    match schedule:
        case {"interval": interval, "anchor_date": anchor, "timezone": timezone}:
            return intervals.dates(timedelta(seconds=interval), datetime.fromisoformat(anchor), timezone, start)
        case {"cron": expression, "timezone": timezone, "day_or": day_or}:
            return cron.dates(expression, timezone, day_or, start)
        case {"rrule": rule, "timezone": timezone}:
            return rrules.dates(rule, timezone, start, end)
    raise AssertionError(schedule)


def test_dates_are_the_recorded_ones() -> None:
    wrong = []
    for case, recorded in zip(schedule_cases.cases(), RECORDED, strict=True):
        schedule = case["schedule"]
        start = datetime.fromisoformat(case["at"]).replace(tzinfo=ZoneInfo(schedule["timezone"] or "UTC"))
        end = schedule_cases.end(start, schedule)
        found = (at for at in dates(schedule, start.astimezone(UTC), end) if at <= end)
        got = [at.timestamp() for at in islice(found, schedule_cases.DATES)]
        if got != recorded and not (misses(schedule) and {at for at in recorded if at <= got[-1]} <= set(got)):
            wrong.append((schedule, case["at"], got, recorded))
    assert not wrong, f"{len(wrong)} of {len(RECORDED)}: {wrong[:3]}"


def misses(schedule: dict[str, Any]) -> bool:
    """Whether the reference may miss dates of it when clocks are turned back: of two instants that the clocks show
    alike it keeps one (on Python before 3.13)."""
    return "interval" in schedule


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(schedule_cases.CRONS))
@settings(max_examples=150, deadline=None)
def test_cron_dates_rise_and_the_next_look_goes_on_where_the_last_one_ended(
    start: datetime, zone: str, expression: str
) -> None:
    found = list(islice(cron.dates(expression, zone, True, start), 6))
    assert all(a < b for a, b in pairwise(found))
    assert not found or found[0] >= start
    if len(found) == 6:
        assert list(islice(cron.dates(expression, zone, True, found[2]), 4)) == found[2:]


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from([60.0, 3600.0, 5400.0, 86400.0, 7 * 86400.0]))
@settings(max_examples=150, deadline=None)
def test_interval_dates_go_on_where_the_last_look_ended(start: datetime, zone: str, seconds: float) -> None:
    anchor = datetime(2020, 6, 1, 12, tzinfo=UTC)
    found = list(islice(intervals.dates(timedelta(seconds=seconds), anchor, zone, start), 6))
    assert found[0] >= start
    if start >= anchor:
        assert list(islice(intervals.dates(timedelta(seconds=seconds), anchor, zone, found[2]), 4)) == found[2:]


def test_an_old_rule_that_comes_true_each_minute_costs_little() -> None:
    start = datetime(2026, 11, 22, 5, 30, 30, tzinfo=UTC)
    began = time.process_time()
    for rule in ("FREQ=MINUTELY;INTERVAL=5", "FREQ=SECONDLY;INTERVAL=30", "FREQ=MINUTELY;BYHOUR=6,7", "FREQ=HOURLY"):
        assert len(list(islice(rrules.dates(rule, "Europe/Berlin", start, start + timedelta(days=100)), 100))) == 100
    assert time.process_time() - began < 1.0


def test_a_rule_of_every_second_week_keeps_its_phase() -> None:
    rule = "DTSTART:20200106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2"
    found = islice(rrules.dates(rule, "UTC", datetime(2026, 11, 22, tzinfo=UTC)), 3)
    assert [(at - datetime(2020, 1, 6, 9, tzinfo=UTC)) % timedelta(weeks=2) for at in found] == [timedelta()] * 3


@pytest.mark.parametrize("rule", ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30"])
def test_what_never_comes_true_comes_to_an_end(rule: str) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    assert list(rrules.dates(rule, "UTC", start, start + timedelta(days=100))) == []
    assert list(cron.dates("0 0 30 2 *", "UTC", True, start)) == []


def test_a_rule_gets_a_beginning_of_its_own_phase() -> None:
    now = datetime(2026, 11, 22, 5, 33, tzinfo=UTC)
    assert rrules.anchored("FREQ=DAILY", "UTC", now) == "DTSTART:20200101T000000\nFREQ=DAILY"
    assert rrules.anchored("FREQ=MINUTELY;COUNT=3", "UTC", now) == "DTSTART:20200101T000000\nFREQ=MINUTELY;COUNT=3"
    anchored = rrules.anchored("FREQ=MINUTELY;INTERVAL=7", "UTC", now)
    assert anchored.startswith("DTSTART:20261122T05")
    begin = datetime.strptime(anchored[8:23], "%Y%m%dT%H%M%S")
    assert (begin - rrules.FIRST) % timedelta(minutes=7) == timedelta()
    assert rrules.anchored(anchored, "UTC", now) == anchored


@pytest.mark.parametrize(
    "rule", ["x", "FREQ=NEVER", "FREQ=MINUTELY;INTERVAL=0", "RRULE:", "DTSTART:x", "RDATE:" + "1" * 9]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="Invalid RRule string"):
        rrules.check(rule)


@pytest.mark.parametrize("expression", ["", "x y", "R * * * *", "* * * *", "60 * * * *", "H 1 * * *"])
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid cron string|Random and Hashed"):
        cron.check(expression)
