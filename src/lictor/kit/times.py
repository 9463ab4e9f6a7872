"""Instants as text: read in every form that clients send, written in the one form that sorts as time."""

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from lictor.kit.errors import OutOfRange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Beyond this a number means milliseconds, as the reference's parser has it (2603-10-11 in seconds).
SECONDS_UP_TO = 20_000_000_000

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})(-?)(\d\d)\2(\d\d)"  # 2024-01-22, 20240122
    r"(?:[Tt _](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?"  # T15, T15:30, T15:30:45, T15:30:45.123456789
    r"(?:[Zz]|([+\-\u2212])(\d\d)(?::?(\d\d))?)?)?",  # Z, +05, +0530, +05:30
    re.ASCII,
)


def parse(value: str | float) -> datetime:
    """The aware instant that a text or an epoch number tells; the offset it came with is kept.

    Text: ISO 8601 with `T`, `t`, `_` or a space, any number of fraction digits (cut to microseconds), `Z` or an offset;
    without one it is UTC; a date alone is its midnight. Numbers, also as text, are seconds since 1970, or
    milliseconds from 2·10¹⁰ on. These are the forms that the reference takes. ValueError for anything else.
    """
    if not isinstance(value, str):
        return _from_number(value)
    match = _INSTANT.fullmatch(value)
    # Eight bare digits are a number to the reference, not a date.
    if match and not (match[2] == "" and match[5] is None):
        return _from_match(match)
    if _NUMBER.fullmatch(value):
        return _from_number(float(value))
    raise ValueError(f"not an instant: {value!r}")


def _from_match(match: re.Match[str]) -> datetime:
    year, _, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    zone = UTC
    if sign:
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes or 0))
        zone = timezone(offset if sign == "+" else -offset) if offset else UTC
    instant = datetime(
        int(year),
        int(month),
        int(day),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        int(fraction[:6].ljust(6, "0")) if fraction else 0,
        zone,
    )
    utc(instant)  # an instant that only exists outside of UTC's years cannot be stored
    return instant


def _from_number(number: float) -> datetime:
    if isinstance(number, bool):
        raise ValueError("not an instant: a boolean")
    seconds = number / 1000 if abs(number) > SECONDS_UP_TO else number
    try:
        return EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ValueError(f"not an instant: {number!r}") from None


def utc(instant: datetime) -> datetime:
    """The same instant in UTC. ValueError for a naive one, OutOfRange for one outside the years 1 to 9999."""
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise ValueError("Timestamps must have a timezone.")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise OutOfRange(f"out of range in UTC: {instant.isoformat()}") from None


def later(instant: datetime, seconds: float) -> datetime:
    """So many seconds after an instant, but within the years that there are."""
    try:
        return instant + timedelta(seconds=seconds)
    except OverflowError:
        return (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=UTC)


def text(instant: datetime) -> str:
    """`2024-01-22T15:30:45.123456Z`: UTC, always six digits, so that the order of texts is the order of instants."""
    # A transition writes down a dozen instants, and msgspec does that in a tenth of the time that `isoformat` takes.
    instant = utc(instant)
    written = _written(instant)
    if len(written) == _WRITTEN:
        return written[1:-1].decode()
    if not instant.microsecond:
        return written[1:-2].decode() + ".000000Z"  # msgspec leaves out a fraction of zero
    return instant.isoformat(timespec="microseconds")[:-6] + "Z"


def iso(instant: datetime) -> str:
    """What `instant.isoformat()` gives, for the sake of instants in UTC."""
    return _written(instant)[1:-2].decode() + "+00:00" if instant.tzinfo is UTC else instant.isoformat()


_written = msgspec.json.Encoder().encode
_WRITTEN = len('"2024-01-22T15:30:45.123456Z"')


def wire(instant: datetime) -> str:
    """As the reference prints an instant: in its own offset, `Z` for UTC, no fraction when it is zero."""
    return with_z(instant.isoformat())


def with_z(written: str) -> str:
    """What `isoformat` wrote, with `Z` for UTC."""
    return written[:-6] + "Z" if written.endswith("+00:00") else written
