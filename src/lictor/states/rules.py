"""The rules that flow runs and task runs share."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from lictor.states.decisions import Transition, rule
from lictor.states.types import CANCELLED, CANCELLING, PENDING, RUNNING, SCHEDULED, State

AnyTransition = Transition[Any, Any]


@rule(leaving={PENDING, CANCELLING, RUNNING, CANCELLED}, entering={PENDING})
def submit_once(t: AnyTransition, initial: State, proposed: State) -> None:
    """A run is submitted once: PENDING is the lock that keeps two workers from taking one run.

    Only a run that is PENDING may move on to a PENDING of another name (Submitting, InfrastructurePending), never back.
    """
    if initial.type == PENDING and proposed.name not in (initial.name, "Pending"):
        proposed.state_details.scheduled_time = initial.state_details.scheduled_time
        lease_id = initial.state_details.deployment_concurrency_lease_id
        proposed.state_details.deployment_concurrency_lease_id = lease_id
        return
    t.abort(f"This run is in a {initial.type} state and cannot transition to a PENDING state.")


@rule(leaving={SCHEDULED}, entering={PENDING})
def copy_scheduled_time(t: AnyTransition, initial: State, proposed: State) -> None:
    """A PENDING state keeps the time that its run was scheduled for, unless it names another."""
    if proposed.state_details.scheduled_time is None:
        proposed.state_details.scheduled_time = initial.state_details.scheduled_time


@rule(leaving={SCHEDULED, PENDING}, entering={RUNNING})
def wait_for_scheduled_time(t: AnyTransition, initial: State, proposed: State) -> None:
    """A run starts at its scheduled time by the server's clock; before that the client is told how long to wait."""
    scheduled_time = initial.state_details.scheduled_time
    if scheduled_time is None:
        return
    seconds = whole_seconds_until(scheduled_time, t.now)
    if seconds > 0:
        t.wait(seconds, "Scheduled time is in the future")


def whole_seconds_until(instant: datetime, now: datetime) -> int:
    """The rounded number of seconds from `now` to `instant`, as the reference rounds: half a second is down."""
    delay = instant - now
    return math.floor(delay.total_seconds()) + round(delay.microseconds / 1e6)
