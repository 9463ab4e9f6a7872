"""New ids, as canonical lower-case UUID text, which is how ids travel inside the server."""

import threading
from datetime import UTC, datetime, timedelta
from random import getrandbits

from lictor.kit import clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_lock = threading.Lock()
_last = 0


def new() -> str:
    """A UUIDv7: ids of one process sort in the order they were made, so that they fill an index from its right edge.

    The 12 bits after the milliseconds count in 1/4096 ms; when the clock stands still or goes back, the next step is
    taken instead, and a long standstill runs over into the milliseconds.
    """
    tick = _ticks(1)
    return _text(tick >> 12 << 16 | tick & 0xFFF | 0x7000, getrandbits(62) | _VARIANT)


def several(count: int) -> list[str]:
    """So many new ids at once, in order, each for a third of the price."""
    first, noise = _ticks(count), getrandbits(64 * count).to_bytes(8 * count).hex() if count else ""
    made, millisecond, begins = [], -1, ""
    for tick, at in zip(range(first, first + count), range(0, 16 * count, 16), strict=True):
        if tick >> 12 != millisecond:
            millisecond = tick >> 12
            digits = "%012x" % millisecond
            begins = f"{digits[:8]}-{digits[8:]}-7"
        variant = _VARIANTS[noise[at]]
        made.append(f"{begins}{tick & 0xFFF:03x}-{variant}{noise[at + 1 : at + 4]}-{noise[at + 4 : at + 16]}")
    return made


def _ticks(count: int) -> int:
    """The first of so many steps that nobody else takes."""
    tick = clock.nanoseconds() * 4096 // 1_000_000
    global _last
    with _lock:
        if tick <= _last:
            tick = _last + 1
        _last = tick + count - 1
    return tick


def of(instant: datetime, number: int) -> str:
    """The UUIDv7 of a row that is told apart by a number (below 2**60): always the same, so it need not be stored."""
    milliseconds = (instant - _EPOCH) // _MILLISECOND
    return _text(milliseconds << 16 | 0x7000, number | _VARIANT)


def new4() -> str:
    """A UUIDv4, for the rows that the reference gives one: nothing about their order or age can be read from it."""
    return _text(getrandbits(64) & ~0xF000 | 0x4000, getrandbits(62) | _VARIANT)


_VARIANT = 1 << 63
# The same of the first hexadecimal digit.
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def _text(left: int, right: int) -> str:
    # Formatting is most of the cost of an id, and `hex` does it in two thirds of the time that % takes.
    first, second = left.to_bytes(8).hex(), right.to_bytes(8).hex()
    return f"{first[:8]}-{first[8:12]}-{first[12:]}-{second[:4]}-{second[4:]}"
