"""States that the server itself makes."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw

from lictor.kit import clock, ids
from lictor.states import types as t
from lictor.states.types import DEFAULT_NAMES, State, StateDetails, StateType


def new(
    type: StateType,
    name: str | None = None,
    *,
    message: str | None = None,
    data: Raw | None = None,
    details: StateDetails | None = None,
    now: datetime | None = None,
) -> State:
    """A state of now (or of `now`) with a new id, named after its type unless named."""
    return State(
        ids.new(),
        type,
        DEFAULT_NAMES[type] if name is None else name,
        now or clock.now(),
        message,
        data,
        StateDetails() if details is None else details,
    )


def scheduled(
    scheduled_time: datetime | None = None,
    name: str | None = None,
    *,
    message: str | None = None,
    data: Raw | None = None,
    now: datetime | None = None,
) -> State:
    """SCHEDULED for `scheduled_time`, or for now."""
    now = now or clock.now()
    details = StateDetails(scheduled_time=scheduled_time or now)
    return new(t.SCHEDULED, name, message=message, data=data, details=details, now=now)


def late(scheduled_time: datetime, *, now: datetime | None = None) -> State:
    return scheduled(scheduled_time, "Late", now=now)


def resuming(*, now: datetime | None = None) -> State:
    """SCHEDULED at once: how a suspended run goes on."""
    return scheduled(None, "Resuming", now=now)


def awaiting_retry(
    scheduled_time: datetime, *, message: str | None = None, data: Raw | None = None, now: datetime | None = None
) -> State:
    return scheduled(scheduled_time, "AwaitingRetry", message=message, data=data, now=now)


def awaiting_concurrency_slot(scheduled_time: datetime, *, now: datetime | None = None) -> State:
    return scheduled(scheduled_time, "AwaitingConcurrencySlot", now=now)


def pending(name: str | None = None, *, message: str | None = None, now: datetime | None = None) -> State:
    return new(t.PENDING, name, message=message, now=now)


def running(name: str | None = None, *, message: str | None = None, now: datetime | None = None) -> State:
    return new(t.RUNNING, name, message=message, now=now)


def completed(*, message: str | None = None, data: Raw | None = None, now: datetime | None = None) -> State:
    return new(t.COMPLETED, message=message, data=data, now=now)


def failed(*, message: str | None = None, data: Raw | None = None, now: datetime | None = None) -> State:
    return new(t.FAILED, message=message, data=data, now=now)


def crashed(*, message: str | None = None, now: datetime | None = None) -> State:
    return new(t.CRASHED, message=message, now=now)


def cancelling(*, message: str | None = None, now: datetime | None = None) -> State:
    return new(t.CANCELLING, message=message, now=now)


def cancelled(name: str | None = None, *, message: str | None = None, now: datetime | None = None) -> State:
    return new(t.CANCELLED, name, message=message, now=now)


def paused(
    name: str | None = None,
    *,
    timeout: datetime | None = None,
    reschedule: bool = False,
    key: str | None = None,
    now: datetime | None = None,
) -> State:
    """PAUSED until resumed or until `timeout`; with `reschedule` the process has ended meanwhile."""
    details = StateDetails(pause_timeout=timeout, pause_reschedule=reschedule, pause_key=key)
    return new(t.PAUSED, name, details=details, now=now)


def suspended(*, timeout: datetime | None = None, key: str | None = None, now: datetime | None = None) -> State:
    return paused("Suspended", timeout=timeout, reschedule=True, key=key, now=now)


def fresh_copy(state: State, *, now: datetime | None = None) -> State:
    """The same state as if entered now: a new id and timestamp; its details are a copy that may be changed."""
    details = msgspec.structs.replace(state.state_details)
    return State(ids.new(), state.type, state.name, now or clock.now(), state.message, state.data, details)
