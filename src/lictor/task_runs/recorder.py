"""Task runs of flows, recorded from the events that clients tell their states by.

The SDK decides about its tasks itself and sends one event per state: the state, and the task run as it is then. Events
come doubled, out of order and late. What holds all the same: every state is in the history once (its id is the
event's), and the run is as the event with the newest timestamp says, and where that is silent, as older ones said.

A batch is folded to one row per task run before it is written, and rows are written in the order of their keys, so that
two servers that record the same runs cannot deadlock.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lictor import observed_states, tallies
from lictor.db import Tx, sql
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Event
from lictor.kit import clock, nul, times
from lictor.kit.decoding import convert, decode
from lictor.states.storing import state_params
from lictor.states.types import NULL, TERMINAL, State, StateDetails, StateType, given
from lictor.tallies.slots import TOUCHED_AFTER
from lictor.task_runs import store
from lictor.task_runs.tracking import TaskRunPolicy
from lictor.task_runs.types import as_json
from lictor.web.shapes import Instant

log = logging.getLogger(__name__)

EVENTS = "prefect.task-run"
TASK_RUN = "prefect.task-run."
FLOW_RUN = "prefect.flow-run."
ORCHESTRATION = "prefect.orchestration"

_CANONICAL = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RecordedState(Struct):
    """`payload.validated_state` of an event."""

    type: StateType
    name: str | None = None
    message: str | None = None
    state_details: StateDetails = msgspec.field(default_factory=StateDetails)
    data: Raw = NULL


class RecordedRun(Struct):
    """`payload.task_run` of an event: what it does not say stays as it is."""

    task_key: str
    dynamic_key: str
    name: str | UnsetType = UNSET
    cache_key: str | UnsetType | None = UNSET
    cache_expiration: Instant | UnsetType | None = UNSET
    task_version: str | UnsetType | None = UNSET
    empirical_policy: TaskRunPolicy | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    labels: dict[str, Any] | UnsetType | None = UNSET
    task_inputs: dict[str, Any] | UnsetType = UNSET
    run_count: int | UnsetType = UNSET
    flow_run_run_count: int | UnsetType = UNSET
    expected_start_time: Instant | UnsetType | None = UNSET
    next_scheduled_start_time: Instant | UnsetType | None = UNSET
    start_time: Instant | UnsetType | None = UNSET
    end_time: Instant | UnsetType | None = UNSET
    total_run_time: float | UnsetType = UNSET


class Payload(Struct):
    validated_state: RecordedState
    task_run: RecordedRun


class Recorded(Struct):
    """A task run as a batch of events leaves it: its columns as said so far, and every state that was told."""

    id: str
    flow_run_id: str | None
    columns: dict[str, Any]
    newest: State
    states: list[State]

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.flow_run_id or "", self.columns["task_key"], self.columns["dynamic_key"])


class Enclosing(Struct):
    """A flow run; `closed` if it was counted as it is now, or may have been."""

    id: str
    closed: bool


FLOW_RUNS = sql(
    "task_runs.their_flow_runs",
    Enclosing,
    f"""
    select id, coalesce(state_type, '') in ({", ".join(f"'{type_}'" for type_ in sorted(TERMINAL))})
        and expected_start_time < {{ts:before}}
    from flow_run where id {{in:ids:uuid}} {{for_key_share}}
    """,
)
SAME_KEYS = sql(
    "task_runs.same_keys",
    str,
    """
    select id from task_run
    where flow_run_id = :flow_run_id and task_key = :task_key and dynamic_key = :dynamic_key and id <> :id
    """,
)

_DEFAULTS: dict[str, Any] = {
    "cache_key": None,
    "cache_expiration": None,
    "task_version": None,
    "empirical_policy": as_json(TaskRunPolicy()),
    "tags": "[]",
    "labels": "{}",
    "task_inputs": "{}",
    "run_count": 0,
    "flow_run_run_count": 0,
    "expected_start_time": None,
    "next_scheduled_start_time": None,
    "start_time": None,
    "end_time": None,
    "total_run_time": 0.0,
}
_JSON = {"empirical_policy", "tags", "labels", "task_inputs"}


def is_recorded(event: Event) -> bool:
    """Whether the event tells of a task run whose client decides about it."""
    return event.event.startswith(EVENTS) and event.resource.get(ORCHESTRATION) == "client"


def record(tx: Tx, events: Iterable[Event]) -> None:
    """Bring task runs and their histories up to these events, in the transaction that stores the events.

    An event that does not have the shape of a task run's, or whose flow run is gone, is stored but not recorded.
    """
    runs = _folded(event for event in events if is_recorded(event))
    if not runs:
        return
    flow_run_ids = sorted({run.flow_run_id for run in runs if run.flow_run_id is not None})
    now = clock.now()
    known = {each.id: each for each in tx.all(FLOW_RUNS, ids=flow_run_ids, before=now - TOUCHED_AFTER)}
    _touch(tx, runs, [each.id for each in known.values() if each.closed])
    written: list[State] = []
    for run in sorted(runs, key=lambda run: run.key):
        if run.flow_run_id is not None and run.flow_run_id not in known:
            log.warning("task run %s belongs to flow run %s, which does not exist", run.id, run.flow_run_id)
            continue
        _write(tx, run, now)
        written += run.states
    # In order, like the rows: these, too, are written by several servers at a time.
    for state in sorted(written, key=lambda state: (state.type, state.name, state.timestamp)):
        observed_states.note(tx, state.type, state.name, state.timestamp)


def _touch(tx: Tx, runs: list[Recorded], closed: list[str]) -> None:
    """Tell the tallies of what is about to be written: what the runs are now, and what they will be."""
    tallies.touch_task_runs(tx, [run.id for run in runs])
    tallies.touch_task(tx, *(run.columns.get("expected_start_time") for run in runs))
    if closed:
        tallies.touch_flow_runs(tx, closed)


def _folded(events: Iterable[Event]) -> list[Recorded]:
    """One `Recorded` a task run: later states last, and their words over earlier ones'."""
    runs: dict[str, Recorded] = {}
    for event in sorted(events, key=lambda event: event.occurred):
        told = _told(event)
        if told is None:
            continue
        before = runs.get(told.id)
        if before is None:
            runs[told.id] = told
            continue
        before.columns.update(told.columns)
        before.newest = told.newest
        before.states += told.states
    return list(runs.values())


def _told(event: Event) -> Recorded | None:
    try:
        run_id = _id_after(TASK_RUN, event.resource[RESOURCE_ID])
        flow_run_id = next(
            (
                _id_after(FLOW_RUN, labels[RESOURCE_ID])
                for labels in event.related
                if labels.get(RESOURCE_ROLE) == "flow-run"
            ),
            None,
        )
        payload = _payload(event)
    except (msgspec.ValidationError, ValueError) as error:
        log.warning("event %s (%s) does not describe a task run: %s", event.id, event.event, error)
        return None
    state = _state(event, payload.validated_state, run_id, flow_run_id)
    return Recorded(run_id, flow_run_id, _columns(payload.task_run), state, [state])


def _payload(event: Event) -> Payload:
    if isinstance(event.payload, Raw):
        # A message of a task must not cost us its state.
        return decode(nul.without(bytes(event.payload)), Payload, strict=False)
    return convert(event.payload, Payload, strict=False)


def _state(event: Event, told: RecordedState, run_id: str, flow_run_id: str | None) -> State:
    details = told.state_details
    details.task_run_id = run_id
    details.flow_run_id = flow_run_id
    name = told.name if told.name is not None else told.type.capitalize()
    return State(event.id, told.type, name, event.occurred, told.message, given(told.data), details)


def _columns(run: RecordedRun) -> dict[str, Any]:
    said = {name: value for name in run.__struct_fields__ if (value := getattr(run, name)) is not UNSET}
    for name in _JSON & said.keys():
        said[name] = as_json(said[name] if said[name] is not None else {})
    return said


def _write(tx: Tx, run: Recorded, now: datetime) -> None:
    newest = run.newest
    tracked = {
        "state_id": newest.id,
        "state_type": newest.type,
        "state_name": newest.name,
        "state_timestamp": times.text(newest.timestamp),
    }
    columns = run.columns | tracked
    if not _inserted(tx, run, columns, now) and not _updated(tx, run, columns, now):
        # Either it has a newer state already, or the run is known by another id: then that one is meant.
        keys = {"task_key": columns["task_key"], "dynamic_key": columns["dynamic_key"]}
        other = tx.value(SAME_KEYS, id=run.id, flow_run_id=run.flow_run_id, **keys)
        if other is not None:
            run.id = str(other)
            tallies.touch_task_runs(tx, [run.id])
            _updated(tx, run, columns, now)
    for state in run.states:
        state.state_details.task_run_id = run.id
    tx.many(store.INSERT_STATE, [_state_row(run.id, state) for state in run.states])


def _state_row(run_id: str, state: State) -> dict[str, Any]:
    return {"task_run_id": run_id, **state_params(state), "timestamp": times.text(state.timestamp)}


def _inserted(tx: Tx, run: Recorded, columns: dict[str, Any], now: datetime) -> bool:
    at = times.text(now)
    row = {**_DEFAULTS, "name": "", **columns}
    return tx.run(store.INSERT, id=run.id, created=at, updated=at, flow_run_id=run.flow_run_id, **row) == 1


def _updated(tx: Tx, run: Recorded, columns: dict[str, Any], now: datetime) -> bool:
    guard = "(state_timestamp is null or state_timestamp < :newest)"
    return store.update(tx, run.id, columns, now, guard, newest=run.newest.timestamp)


def _id_after(prefix: str, resource_id: str) -> str:
    if not resource_id.startswith(prefix):
        raise ValueError(f"{resource_id!r} does not start with {prefix!r}")
    text = resource_id.removeprefix(prefix)
    return text if _CANONICAL.fullmatch(text) else str(UUID(text))
