"""The statements that read and write flow runs one at a time. Lists are in `listing`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Struct

from lictor import tallies
from lictor.db import Joined, LostRace, Tx, row_update, sql, update_row
from lictor.flow_runs.announcing import Surroundings
from lictor.flow_runs.tracking import FlowRunSnapshot
from lictor.flow_runs.types import SELECT, FlowRunResponse
from lictor.flow_runs.withdrawals import STANDING, WITHDRAWN
from lictor.kit import times
from lictor.kit.errors import NotFound, ObjectNotFound
from lictor.states.storing import STATE_COLUMNS, state_params
from lictor.states.types import State, StateDetails, StateType

NOT_FOUND = "Flow run not found"


class Subject(Struct):
    """All that a decision about a run needs, in one read."""

    run: Annotated[FlowRunSnapshot, Joined]
    state: Annotated[State | None, Joined]
    around: Annotated[Surroundings, Joined]


class Held(Struct):
    """What tells whether a run holds a slot of its deployment, if that has a limit."""

    deployment_id: str | None
    state_type: StateType | None
    state_details: StateDetails | None


_SNAPSHOT = """
    r.id, r.state_type, r.state_name, r.state_timestamp, r.run_count, r.expected_start_time,
    r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time, r.empirical_policy, r.deployment_id,
    r.parent_task_run_id, r.infrastructure_pid"""

_AROUND = """
    r.name, r.tags, r.created_by, f.id, f.name, f.tags, d.id, d.name, d.tags, q.id, q.name, p.id, p.name, p.type,
    t.id, t.name, t.tags"""

_AROUND_FROM = """
    join flow f on f.id = r.flow_id
    left join deployment d on d.id = r.deployment_id
    left join work_queue q on q.id = r.work_queue_id
    left join work_pool p on p.id = q.work_pool_id
    left join task_run t on t.id = r.parent_task_run_id"""

SUBJECT = sql(
    "flow_runs.subject",
    Subject,
    f"select {_SNAPSHOT}, {STATE_COLUMNS}, {_AROUND} from flow_run r"
    f" left join flow_run_state s on s.id = r.state_id {_AROUND_FROM} where r.id = :id and {STANDING}",
)
FIND = sql("flow_runs.find", FlowRunResponse, f"{SELECT} where r.id = :id and {STANDING}")
FIND_BY_KEY = sql(
    "flow_runs.find_by_key",
    FlowRunResponse,
    f"{SELECT} where r.flow_id = :flow_id and r.idempotency_key = :idempotency_key and {STANDING}",
)
WITHDRAWN_BY_KEY = sql(
    "flow_runs.withdrawn_by_key",
    str,
    f"select r.id from flow_run r where r.flow_id = :flow_id and r.idempotency_key = :idempotency_key and {WITHDRAWN}",
)
INSERT_STATE = sql(
    "flow_runs.insert_state",
    None,
    """
    insert into flow_run_state (id, flow_run_id, timestamp, type, name, message, state_details, data)
    values (:id, :flow_run_id, :timestamp, :type, :name, :message, :state_details, :data)
    """,
)
INSERT = sql(
    "flow_runs.insert",
    None,
    """
    insert into flow_run (
        id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
        deployment_version, work_queue_id, work_queue_name, flow_version, parameters, idempotency_key, context,
        empirical_policy, tags, labels, parent_task_run_id, run_count, expected_start_time, next_scheduled_start_time,
        start_time, end_time, total_run_time, auto_scheduled, infrastructure_document_id, created_by, job_variables
    ) values (
        :id, :created, :updated, :name, :flow_id, :state_id, :state_type, :state_name, :state_timestamp, :deployment_id,
        :deployment_version, :work_queue_id, :work_queue_name, :flow_version, :parameters, :idempotency_key, :context,
        :empirical_policy, :tags, :labels, :parent_task_run_id, :run_count, :expected_start_time,
        :next_scheduled_start_time, :start_time, :end_time, :total_run_time, false, :infrastructure_document_id,
        :created_by, :job_variables
    )
    on conflict (flow_id, idempotency_key) where idempotency_key is not null do nothing
    """,
)
# Which runs they are is all that is asked here: with more conditions a planner may take another index than that of ids.
HELD = sql(
    "flow_runs.held",
    Held,
    """
    select r.deployment_id, r.state_type, s.state_details from flow_run r
    left join flow_run_state s on s.id = r.state_id where r.id {in:ids:uuid}
    """,
)
ORPHAN = sql(
    "flow_runs.orphan",
    None,
    """
    update flow_run set parent_task_run_id = null
    where parent_task_run_id in (select id from task_run where flow_run_id {in:ids:uuid})
    """,
)
DELETE = sql("flow_runs.delete", str, "delete from flow_run where id {in:ids:uuid} returning id")
BURY = sql(
    "flow_runs.bury",
    None,
    "insert into run_tombstone (run_id, deleted) values (:run_id, :deleted) on conflict (run_id) do nothing",
)
LABELS = sql("flow_runs.labels", dict[str, Any], "select labels from flow_run where id = :id {for_update}")
SET_LABELS = sql("flow_runs.set_labels", None, "update flow_run set labels = :labels, updated = :now where id = :id")


def get(tx: Tx, run_id: str) -> FlowRunResponse:
    return tx.get(FIND, NotFound(NOT_FOUND), id=run_id)


def find_subject(tx: Tx, run_id: str) -> Subject | None:
    return tx.one(SUBJECT, id=run_id)


def get_subject(tx: Tx, run_id: str) -> Subject:
    subject = tx.one(SUBJECT, id=run_id)
    if subject is None:
        raise ObjectNotFound(f"Flow run with id {run_id} not found")
    return subject


def insert_state(tx: Tx, run_id: str, state: State) -> None:
    tx.put(INSERT_STATE, flow_run_id=run_id, **state_params(state))


def enter(tx: Tx, run_id: str, seen: str | None, state: State | None, changes: dict[str, Any], now: datetime) -> None:
    """Write a decision to the run's row, and a new state to the run's history, provided that the run is still in the
    state that was seen.

    Raises LostRace if another transaction got there first: the body is run again and decides anew.
    """
    at = times.text(now)
    if state is not None:
        changes["state_id"] = state.id
        # Written down once here, or the driver would ask for each column.
        for name in INSTANTS:
            if changes.get(name) is not None:
                changes[name] = times.text(changes[name])
        update = row_update("flow_run", tuple(changes), _UNCHANGED)
        entered = state_params(state)
        tx.guarded(update, INSERT_STATE, row_id=run_id, now=at, seen=seen, flow_run_id=run_id, **changes, **entered)
    elif changes and not update_row(tx, "flow_run", run_id, changes, at, _UNCHANGED, seen=seen):
        raise LostRace


_UNCHANGED = "state_id is not distinct from {uuid:seen}"
INSTANTS = ("state_timestamp", "expected_start_time", "next_scheduled_start_time", "start_time", "end_time")


def update(tx: Tx, run_id: str, changes: dict[str, Any], now: datetime) -> bool:
    """Set columns of a run; False if there is none."""
    return update_row(tx, "flow_run", run_id, changes, now)


def held(tx: Tx, run_ids: list[str]) -> list[Held]:
    return tx.all(HELD, ids=run_ids)


def delete(tx: Tx, run_ids: list[str], now: datetime) -> list[str]:
    """Delete runs with their states, inputs and task runs; subflows stay, logs are left to the log sweeper."""
    tx.run(ORPHAN, ids=run_ids)
    tallies.touch_runs(tx, run_ids)
    deleted = tx.all(DELETE, ids=run_ids)
    bury(tx, deleted, now)
    return deleted


def bury(tx: Tx, run_ids: list[str], now: datetime) -> None:
    """Have the logs of deleted runs swept away."""
    tx.many(BURY, [{"run_id": run_id, "deleted": now} for run_id in run_ids])


def merge_labels(tx: Tx, run_id: str, labels: dict[str, Any], now: datetime) -> None:
    found = tx.get(LABELS, ObjectNotFound(f"Flow run with id {run_id} not found"), id=run_id)
    tx.run(SET_LABELS, id=run_id, labels=found | labels, now=now)
