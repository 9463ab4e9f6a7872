"""What a run is estimated to have taken by now, and how late it is: derived when it is read, never stored."""

from __future__ import annotations

from datetime import datetime

from lictor.states.types import RUNNING, TERMINAL


def run_time(total: float, state_type: str | None, state_timestamp: datetime | None, now: datetime) -> float:
    """Seconds spent running until `now`: the finished stretches, and the one that is under way."""
    if state_type == RUNNING and state_timestamp is not None:
        return total + (now - state_timestamp).total_seconds()
    return total


def lateness(expected: datetime | None, start: datetime | None, state_type: str | None, now: datetime) -> float:
    """Seconds from the expected start to the real one; to `now` if it is due and may still start; else 0."""
    if expected is None:
        return 0.0
    if start is not None:
        return (start - expected).total_seconds() if start > expected else 0.0
    if expected < now and state_type not in TERMINAL:
        return (now - expected).total_seconds()
    return 0.0


MOMENT = "cross join (select {ts:now} as now) moment"
"""What a select joins to use the two expressions below; it then takes a parameter `now`."""


def run_time_sql(run: str) -> str:
    """The same in SQL, of the run table with alias `run`."""
    under_way = f"{{seconds:moment.now:{run}.state_timestamp}}"
    return f"({run}.total_run_time + case when {run}.state_type = 'RUNNING' then {under_way} else 0 end)"


def lateness_sql(run: str) -> str:
    start, expected = f"{run}.start_time", f"{run}.expected_start_time"
    terminal = ", ".join(f"'{type_}'" for type_ in sorted(TERMINAL))
    return (
        f"(case when {start} > {expected} then {{seconds:{start}:{expected}}}"
        f" when {start} is null and {expected} < moment.now and {run}.state_type not in ({terminal})"
        f" then {{seconds:moment.now:{expected}}} else 0 end)"
    )
