"""The statements that read and write task runs one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Struct

from lictor import tallies
from lictor.db import Joined, LostRace, Tx, sql, update_row
from lictor.kit.errors import NotFound, ObjectNotFound
from lictor.states.storing import STATE_COLUMNS, state_params
from lictor.states.types import State
from lictor.task_runs.facts import EnclosingFlowRun
from lictor.task_runs.tracking import TaskRunSnapshot
from lictor.task_runs.types import SELECT, TaskRun


class Subject(Struct):
    """All that a decision about a task run needs, in one read."""

    run: Annotated[TaskRunSnapshot, Joined]
    state: Annotated[State | None, Joined]


SUBJECT = sql(
    "task_runs.subject",
    Subject,
    f"""
    select r.id, r.state_type, r.state_name, r.state_timestamp, r.run_count, r.expected_start_time,
        r.next_scheduled_start_time, r.start_time, r.end_time, r.total_run_time, r.empirical_policy, r.flow_run_id,
        r.flow_run_run_count, r.tags, {STATE_COLUMNS}
    from task_run r left join task_run_state s on s.id = r.state_id where r.id = :id
    """,
)
FIND = sql("task_runs.find", TaskRun, f"{SELECT} where t.id = :id")
FIND_BY_KEYS = sql(
    "task_runs.find_by_keys",
    TaskRun,
    f"{SELECT} where t.flow_run_id is not distinct from {{uuid:flow_run_id}}"
    " and t.task_key = :task_key and t.dynamic_key = :dynamic_key",
)
FLOW_RUN = sql(
    "task_runs.flow_run",
    EnclosingFlowRun,
    """
    select r.id, r.run_count, r.state_type, s.state_details from flow_run r
    left join flow_run_state s on s.id = r.state_id where r.id = :id
    """,
)
FLOW_RUN_LABELS = sql("task_runs.flow_run_labels", dict[str, Any], "select labels from flow_run where id = :id")
FAILED = sql(
    "task_runs.failed", str, "select id from task_run where flow_run_id = :flow_run_id and state_type = 'FAILED'"
)
INSERT = sql(
    "task_runs.insert",
    None,
    """
    insert into task_run (
        id, created, updated, name, flow_run_id, task_key, dynamic_key, cache_key, cache_expiration, task_version,
        empirical_policy, tags, labels, state_id, state_type, state_name, state_timestamp, task_inputs, run_count,
        flow_run_run_count, expected_start_time, next_scheduled_start_time, start_time, end_time, total_run_time
    ) values (
        :id, :created, :updated, :name, :flow_run_id, :task_key, :dynamic_key, :cache_key, :cache_expiration,
        :task_version, :empirical_policy, :tags, :labels, :state_id, :state_type, :state_name, :state_timestamp,
        :task_inputs, :run_count, :flow_run_run_count, :expected_start_time, :next_scheduled_start_time, :start_time,
        :end_time, :total_run_time
    )
    on conflict do nothing
    """,
)
CLAIM_KEYS = sql(
    "task_runs.claim_keys",
    None,
    """
    insert into task_run_key (task_key, dynamic_key, task_run_id) values (:task_key, :dynamic_key, :id)
    on conflict do nothing
    """,
)
INSERT_STATE = sql(
    "task_runs.insert_state",
    None,
    """
    insert into task_run_state (id, task_run_id, timestamp, type, name, message, state_details, data)
    values (:id, :task_run_id, :timestamp, :type, :name, :message, :state_details, :data)
    on conflict (id) do nothing
    """,
)
RENAME = sql("task_runs.rename", None, "update task_run set name = :name, updated = :now where id = :id")
FLOW_RUN_OF = sql(
    "task_runs.flow_run_of", str, "select flow_run_id from task_run where id = :id and flow_run_id is not null"
)
DELETE = sql("task_runs.delete", None, "delete from task_run where id = :id")
ORPHAN = sql("task_runs.orphan", None, "update flow_run set parent_task_run_id = null where parent_task_run_id = :id")
BURY = sql(
    "task_runs.bury",
    None,
    "insert into run_tombstone (run_id, deleted) values (:id, :now) on conflict (run_id) do nothing",
)
CACHED = sql(
    "task_runs.cached",
    State,
    f"""
    select {STATE_COLUMNS} from task_run_state_cache c join task_run_state s on s.id = c.task_run_state_id
    where c.cache_key = :key and (c.cache_expiration is null or c.cache_expiration > :now)
    order by c.created desc limit 1
    """,
)
CACHE = sql(
    "task_runs.cache",
    None,
    """
    insert into task_run_state_cache (id, created, cache_key, cache_expiration, task_run_state_id)
    values (:id, :now, :key, :expiration, :state_id)
    """,
)


def get(tx: Tx, run_id: str) -> TaskRun:
    return tx.get(FIND, NotFound("Task not found"), id=run_id)


def find_subject(tx: Tx, run_id: str) -> Subject | None:
    return tx.one(SUBJECT, id=run_id)


def get_subject(tx: Tx, run_id: str) -> Subject:
    return tx.get(SUBJECT, ObjectNotFound(f"Task run with id {run_id} not found"), id=run_id)


def insert_state(tx: Tx, run_id: str, state: State) -> None:
    tx.put(INSERT_STATE, task_run_id=run_id, **state_params(state))


def enter(tx: Tx, run_id: str, seen: str | None, state: State | None, changes: dict[str, Any], now: datetime) -> None:
    """Write a decision to the run's row, provided that the run is still in the state that was seen. Raises LostRace."""
    if state is not None:
        changes = {**changes, "state_id": state.id}
    elif not changes:
        return
    guard = "state_id is not distinct from {uuid:seen}"
    if not update_row(tx, "task_run", run_id, changes, now, guard, seen=seen):
        raise LostRace


def update(tx: Tx, run_id: str, changes: dict[str, Any], now: datetime, guard: str = "true", **params: Any) -> bool:
    """Set columns of a run; False if there is none or the guard does not hold."""
    return update_row(tx, "task_run", run_id, changes, now, guard, **params)


def delete(tx: Tx, run_id: str, now: datetime) -> None:
    """Delete a task run with its states; a subflow that it stood for stays, its logs are swept. Raises NotFound."""
    tallies.touch_task_runs(tx, [run_id])
    tallies.touch_flow_runs(tx, tx.all(FLOW_RUN_OF, id=run_id))
    tx.run(ORPHAN, id=run_id)
    if not tx.run(DELETE, id=run_id):
        raise NotFound("Task not found")
    tx.run(BURY, id=run_id, now=now)
