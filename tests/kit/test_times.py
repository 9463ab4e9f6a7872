from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictor.kit import times

# What the reference (3.9.1) makes of each form.
ACCEPTED = [
    ("2026-11-22 00:24:19.120017+00:00", datetime(2026, 11, 22, 0, 24, 19, 120017, UTC)),
    ("2026-11-22T00:24:19Z", datetime(2026, 11, 22, 0, 24, 19, 0, UTC)),
    ("2026-11-22t00:24:19z", datetime(2026, 11, 22, 0, 24, 19, 0, UTC)),
    ("2026-11-22_00:24:19z", datetime(2026, 11, 22, 0, 24, 19, 0, UTC)),
    ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
    ("2026-11-22T00", datetime(2026, 11, 22, tzinfo=UTC)),
    ("2026-11-22T00:24", datetime(2026, 11, 22, 0, 24, tzinfo=UTC)),
    ("2026-11-22T00:24Z", datetime(2026, 11, 22, 0, 24, tzinfo=UTC)),
    ("2026-11-22T00:24:19+0530", datetime(2026, 11, 21, 18, 54, 19, tzinfo=UTC)),
    ("2026-11-22T00:24:19+05", datetime(2026, 11, 21, 19, 24, 19, tzinfo=UTC)),
    ("2026-11-22T00:24:19-00:00", datetime(2026, 11, 22, 0, 24, 19, tzinfo=UTC)),
    ("2026-11-22T00:24:19\u221205:00", datetime(2026, 11, 22, 5, 24, 19, tzinfo=UTC)),
    ("2026-11-22T00:24:19,5Z", datetime(2026, 11, 22, 0, 24, 19, 500000, UTC)),
    ("2026-11-22T00:24:19.1Z", datetime(2026, 11, 22, 0, 24, 19, 100000, UTC)),
    ("2026-11-22T00:24:19.123456999Z", datetime(2026, 11, 22, 0, 24, 19, 123456, UTC)),
    ("2026-11-22T00:24:19.1234567891Z", datetime(2026, 11, 22, 0, 24, 19, 123456, UTC)),
    ("20261122T002419Z", datetime(2026, 11, 22, 0, 24, 19, 0, UTC)),
    ("20261122", datetime(1970, 8, 23, 12, 5, 22, 0, UTC)),
    (1700000000, datetime(2023, 11, 14, 22, 13, 20, 0, UTC)),
    (1700000000.5, datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)),
    (1700000000000, datetime(2023, 11, 14, 22, 13, 20, 0, UTC)),
    (20_000_000_000, datetime(2603, 10, 11, 11, 33, 20, 0, UTC)),
    (20_000_000_001, datetime(1970, 8, 20, 11, 33, 20, 1000, UTC)),
    (-1, datetime(1969, 12, 31, 23, 59, 59, 0, UTC)),
    ("1700000000.25", datetime(2023, 11, 14, 22, 13, 20, 250000, UTC)),
    ("-5", datetime(1969, 12, 31, 23, 59, 55, 0, UTC)),
    ("+5", datetime(1970, 1, 1, 0, 0, 5, 0, UTC)),
    ("1.", datetime(1970, 1, 1, 0, 0, 1, 0, UTC)),
    (".5", datetime(1970, 1, 1, 0, 0, 0, 500000, UTC)),
]

REFUSED = [
    "",
    "abc",
    "2026-02-30",
    "2026-11-22T24:00:00Z",
    "2026-11-22T23:59:60Z",
    "2026-11-22T00:24:19.Z",
    "2026-11-22T00:24:19 +05:30",
    " 2026-11-22T00:24:19Z",
    "2026-11-22T00:24:19+24:00",
    "2026-1122",
    "1e5",
    "0x1",
    "nan",
    "infinity",
    "\u0661\u0662",
    "0001-01-01T00:00:00+01:00",
    True,
    float("nan"),
    float("inf"),
    1e18,
]

instants = st.datetimes(
    min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC) | st.timezones()
)


@pytest.mark.parametrize(("given_", "instant"), ACCEPTED, ids=[str(case[0]) for case in ACCEPTED])
def test_every_form_that_the_reference_takes(given_: str | float, instant: datetime) -> None:
    assert times.parse(given_) == instant
    assert times.parse(given_).tzinfo is not None


@pytest.mark.parametrize("given_", REFUSED, ids=repr)
def test_everything_else_is_a_value_error(given_: str | float) -> None:
    with pytest.raises(ValueError, match=r"."):
        times.parse(given_)


@given(instants, instants)
def test_the_order_of_texts_is_the_order_of_instants(one: datetime, other: datetime) -> None:
    assert (times.text(one) < times.text(other)) == (one.astimezone(UTC) < other.astimezone(UTC))


@given(instants)
def test_text_comes_back_as_the_same_instant(instant: datetime) -> None:
    written = times.text(instant)
    assert len(written) == 27
    assert times.parse(written) == instant.astimezone(UTC)


@given(instants.map(lambda instant: instant.astimezone(timezone(timedelta(hours=5, minutes=30)))))
def test_wire_keeps_the_offset_and_comes_back(instant: datetime) -> None:
    written = times.wire(instant)
    assert written.endswith("+05:30")
    assert times.parse(written) == instant


@given(instants | instants.map(lambda instant: instant.replace(microsecond=0)))
def test_text_and_iso_are_those_of_isoformat(instant: datetime) -> None:
    assert times.iso(instant) == instant.isoformat()
    assert times.text(instant) == instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_parse_never_fails_otherwise_than_with_a_value_error(given_: str | float) -> None:
    try:
        parsed = times.parse(given_)
    except ValueError:
        return
    assert parsed.tzinfo is not None


def test_wire_has_no_fraction_when_it_is_zero() -> None:
    assert times.wire(datetime(2026, 11, 22, tzinfo=UTC)) == "2026-11-22T00:00:00Z"
    assert times.wire(datetime(2026, 11, 22, 0, 0, 0, 888140, UTC)) == "2026-11-22T00:00:00.888140Z"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="Timestamps must have a timezone"):
        times.text(datetime(2026, 11, 22))


@pytest.mark.parametrize(
    ("seconds", "year"), [(1e300, 9999), (-1e300, 1), (1e12, 9999), (60, 2024), (float("inf"), 9999)]
)
def test_later_stays_within_the_years_that_there_are(seconds: float, year: int) -> None:
    assert times.later(datetime(2024, 5, 1, tzinfo=UTC), seconds).year == year
