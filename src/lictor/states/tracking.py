"""How each state that is entered moves the columns that its run keeps about its states.

This is what a policy calls its *tracking*: rules without an exit that run after all others, once it is sure which
state is entered. What is here holds for flow runs and task runs alike.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lictor.states.decisions import Transition, rule
from lictor.states.types import RUNNING, SCHEDULED, STATE_TYPES, TERMINAL, State, TrackedRun

AnyTransition = Transition[Any, Any]

# Two states of a run may not have one timestamp, and a clock that is coarse, or that stands a little behind that of the
# replica which wrote the last state, must not turn their order round. A clock further behind is believed.
CLOCKS_AGREE_WITHIN = timedelta(seconds=1)


@rule()
def keep_timestamps_in_order(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """The state is entered a microsecond after the last at the earliest, unless the clock was set back."""
    last = t.run.state_timestamp
    if last is not None and proposed.timestamp <= last < proposed.timestamp + CLOCKS_AGREE_WITHIN:
        proposed.timestamp = last + timedelta(microseconds=1)


@rule()
def copy_state(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """The run's state_type, state_name and state_timestamp are the state's."""
    run: TrackedRun = t.run
    run.state_type = proposed.type
    run.state_name = proposed.name
    run.state_timestamp = proposed.timestamp


@rule(entering={RUNNING})
def set_start_time(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """start_time is when the run was first RUNNING."""
    if t.run.start_time is None:
        t.run.start_time = proposed.timestamp


@rule(leaving=TERMINAL, entering=frozenset(STATE_TYPES) - TERMINAL)
def clear_end_time(t: AnyTransition, initial: State, proposed: State) -> None:
    """A run that goes on has no end_time."""
    t.run.end_time = None


@rule(entering=TERMINAL)
def set_end_time(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """end_time is when the run first came to an end; one that never ran started then too."""
    run: TrackedRun = t.run
    if run.end_time is None:
        run.end_time = proposed.timestamp
        if run.start_time is None:
            run.start_time = proposed.timestamp


@rule(leaving={RUNNING})
def add_run_time(t: AnyTransition, initial: State, proposed: State) -> None:
    """total_run_time grows by the time spent RUNNING."""
    t.run.total_run_time += (proposed.timestamp - initial.timestamp).total_seconds()


@rule()
def set_expected_start_time(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """expected_start_time is the first state's scheduled time, or its timestamp; it never moves."""
    if t.run.expected_start_time is None:
        scheduled = proposed.state_details.scheduled_time if proposed.type == SCHEDULED else None
        t.run.expected_start_time = scheduled or proposed.timestamp


@rule(leaving={SCHEDULED})
def clear_next_scheduled_start_time(t: AnyTransition, initial: State, proposed: State) -> None:
    """A run that leaves SCHEDULED has no next_scheduled_start_time."""
    t.run.next_scheduled_start_time = None


@rule(entering={SCHEDULED})
def set_next_scheduled_start_time(t: AnyTransition, initial: State | None, proposed: State) -> None:
    """next_scheduled_start_time is the scheduled time of the SCHEDULED state that the run is in."""
    t.run.next_scheduled_start_time = proposed.state_details.scheduled_time


COMMON_TRACKING = (
    keep_timestamps_in_order,
    copy_state,
    set_start_time,
    clear_end_time,
    set_end_time,
    add_run_time,
    set_expected_start_time,
    clear_next_scheduled_start_time,
    set_next_scheduled_start_time,
)
