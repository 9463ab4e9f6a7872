"""The one place that asks what time it is, so that a test can hold it still.

Always call it through the module (`clock.now()`): a name imported from here would keep the old source after
`set_source`.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Source = Callable[[], datetime]


def _system() -> datetime:
    return datetime.now(UTC)


_source: Source = _system


def now() -> datetime:
    """This instant, aware, in UTC, to the microsecond."""
    return _source()


def nanoseconds() -> int:
    """This instant as nanoseconds since 1970; what ids are made from."""
    if _source is _system:
        return time.time_ns()
    return int(_source().timestamp() * 1_000_000) * 1_000


def set_source(source: Source) -> None:
    """Replace the clock. Tests only; `reset` gives the system's back."""
    global _source
    _source = source


def reset() -> None:
    global _source
    _source = _system
