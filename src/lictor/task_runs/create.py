"""Creating a task run through the API: those of background tasks, and those that stand for subflows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from lictor import tallies
from lictor.db import Tx
from lictor.kit import clock, ids, names, times
from lictor.kit.errors import Conflict
from lictor.states import constructors
from lictor.states.callers import SERVER
from lictor.states.decisions import Decision
from lictor.states.storing import as_param
from lictor.states.types import StateCreate, kept
from lictor.task_runs import store
from lictor.task_runs.store import Subject
from lictor.task_runs.tracking import TaskRunSnapshot
from lictor.task_runs.transitions import Facts, TaskOrchestration, carry_out, decide_state, write_state
from lictor.task_runs.types import TaskRun, TaskRunCreate
from lictor.web import Created


def answer(tx: Tx, orchestration: TaskOrchestration, wanted: TaskRunCreate) -> Created[TaskRun]:
    """`create`, as a client is answered."""
    return Created(*create(tx, orchestration, wanted))


def create(tx: Tx, orchestration: TaskOrchestration, wanted: TaskRunCreate) -> tuple[TaskRun, bool]:
    """The new task run and True, or the one that has these keys already and False.

    Raises Conflict for an unknown flow run, or for an id that another task run has.
    """
    keys = {"flow_run_id": wanted.flow_run_id, "task_key": wanted.task_key, "dynamic_key": wanted.dynamic_key}
    existing = tx.one(store.FIND_BY_KEYS, **keys)
    if existing is not None:
        return existing, False
    now = clock.now()
    subject = _subject(wanted)
    labels = _labels(tx, wanted)
    facts = Facts(tx, orchestration.limits(tx))
    decision = _first_state(subject, wanted.state, facts, orchestration, now)
    run = _response(wanted, subject, decision, labels, now)
    if not _claimed(tx, run) or not tx.run(store.INSERT, **_params(run)):
        raced = tx.one(store.FIND_BY_KEYS, **keys)
        if raced is None:
            raise Conflict()
        return raced, False
    tallies.touch_task(tx, run.expected_start_time)
    if run.flow_run_id is not None:
        tallies.touch_flow_runs(tx, [run.flow_run_id])
    assert decision.state is not None
    write_state(tx, run.id, decision.state)
    for effect in decision.effects:
        carry_out(tx, effect, subject, facts, now)
    decision.state.data = kept(decision.state.data)
    return run, True


def _claimed(tx: Tx, run: TaskRun) -> bool:
    """Whether nobody else is making a task run with these keys: without a flow run, the table itself would not tell."""
    if run.flow_run_id is not None:
        return True
    return tx.run(store.CLAIM_KEYS, id=run.id, task_key=run.task_key, dynamic_key=run.dynamic_key) == 1


def _subject(wanted: TaskRunCreate) -> Subject:
    flow_run_id = None if wanted.flow_run_id is None else str(wanted.flow_run_id)
    run_id = ids.new() if wanted.id is None else str(wanted.id)
    run = TaskRunSnapshot(
        run_id, None, None, None, 0, None, None, None, None, 0.0, wanted.empirical_policy, flow_run_id, 0, wanted.tags
    )
    return Subject(run, None)


def _labels(tx: Tx, wanted: TaskRunCreate) -> dict[str, Any]:
    own: dict[str, Any] = dict(wanted.labels or {})
    if wanted.flow_run_id is None:
        return own
    inherited = tx.get(store.FLOW_RUN_LABELS, Conflict(), id=wanted.flow_run_id)
    return inherited | {"prefect.flow-run.id": str(wanted.flow_run_id)} | own


def _first_state(
    subject: Subject, wanted: StateCreate | None, facts: Facts, orchestration: TaskOrchestration, now: datetime
) -> Decision:
    first = constructors.pending(now=now) if wanted is None else wanted
    return decide_state(subject, first, facts, orchestration, force=True, caller=SERVER, now=now)


def _response(
    wanted: TaskRunCreate, subject: Subject, decision: Decision, labels: dict[str, Any], now: datetime
) -> TaskRun:
    """The run as it is after its first state: what is inserted, and what the client is answered."""
    run = subject.run
    return TaskRun(
        id=run.id,
        created=now,
        updated=now,
        name=wanted.name or names.slug(),
        flow_run_id=run.flow_run_id,
        task_key=wanted.task_key,
        dynamic_key=wanted.dynamic_key,
        cache_key=wanted.cache_key,
        cache_expiration=None if wanted.cache_expiration is None else times.utc(wanted.cache_expiration),
        task_version=wanted.task_version,
        empirical_policy=run.empirical_policy,
        tags=wanted.tags,
        labels=_raw(labels),
        state_id=None if decision.state is None else decision.state.id,
        task_inputs=_raw(wanted.task_inputs),
        state_type=run.state_type,
        state_name=run.state_name,
        run_count=run.run_count,
        flow_run_run_count=run.flow_run_run_count,
        expected_start_time=run.expected_start_time,
        next_scheduled_start_time=run.next_scheduled_start_time,
        start_time=run.start_time,
        end_time=run.end_time,
        total_run_time=run.total_run_time,
        estimated_run_time=0.0,
        estimated_start_time_delta=0.0,
        state=decision.state,
    )


_DERIVED = {"state", "estimated_run_time", "estimated_start_time_delta"}


def _params(run: TaskRun) -> dict[str, Any]:
    params = {name: as_param(getattr(run, name)) for name in run.__struct_fields__ if name not in _DERIVED}
    params["state_timestamp"] = None if run.state is None else run.state.timestamp
    return params


def _raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))
