"""Task runs of flow runs that have ended, and that did not tell their own end: it is made up for them.

Clients tell of task runs by events, and a process that dies, or that no websocket reaches, tells nothing any more. The
end that is made up stands a microsecond after what was last heard of the task run, so that whatever the client still
tells of what came after that is newer, and holds.

A task run outlives its flow run when it was deferred, and is a background task, or stands for a subflow that goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit import clock
from lictor.states import constructors
from lictor.states.types import CANCELLED, RUNNING, State, StateType
from lictor.task_runs import store, transitions
from lictor.task_runs.transitions import TaskOrchestration

# Task runs in one transaction.
AT_ONCE = 25


class Unfinished(Struct):
    """A task run that has not ended, and its flow run, which has."""

    id: str
    state_id: str
    state_timestamp: datetime
    flow_run_type: StateType
    flow_run_ended: datetime


# In this order, whatever a planner thinks: task runs that have not ended are few, and all that a service may read.
_OF_ENDED = """
    select t.id, t.state_id, t.state_timestamp, r.state_type, coalesce(r.end_time, r.state_timestamp)
    from task_run t cross join flow_run r
    where t.state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING') and r.id = t.flow_run_id"""
# The sign for one character in the patterns stands for a colon: after that, one database has a space.
_OUTLIVES = """(
        exists (
            select 1 from flow_run c where c.parent_task_run_id = t.id
            and c.state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')
        )
        or exists (
            select 1 from task_run_state d where d.task_run_id = t.id and (
                cast(d.state_details as text) like '%"deferred"_true%'
                or cast(d.state_details as text) like '%"deferred"_ true%'
            )
        )
    )"""

OF_CANCELLED = sql(
    "task_runs.of_cancelled",
    Unfinished,
    f"{_OF_ENDED} and r.state_type = 'CANCELLED' limit :limit",
)
SILENT = sql(
    "task_runs.silent",
    Unfinished,
    f"""
    {_OF_ENDED} and r.state_type in ('COMPLETED', 'FAILED', 'CRASHED') and r.state_timestamp < {{ts:since}}
    and t.state_timestamp < {{ts:since}} and t.updated < {{ts:since}} and not {_OUTLIVES} limit :limit
    """,
)


def cancelled(tx: Tx, limit: int) -> list[Unfinished]:
    """Task runs of cancelled flow runs."""
    return tx.all(OF_CANCELLED, limit=limit)


def silent(tx: Tx, since: datetime, limit: int) -> list[Unfinished]:
    """Task runs of flow runs that have ended otherwise, and of which nothing was heard since."""
    return tx.all(SILENT, since=since, limit=limit)


async def end_all(db: Database, orchestration: TaskOrchestration, found: Sequence[Unfinished]) -> int:
    """End them, some at a time; those of which something was heard meanwhile are left alone. How many."""
    done = 0
    for start in range(0, len(found), AT_ONCE):
        done += await db.write(end, orchestration, found[start : start + AT_ONCE])
    return done


def end(tx: Tx, orchestration: TaskOrchestration, found: Sequence[Unfinished]) -> int:
    return sum(_end_one(tx, orchestration, one) for one in found)


def _end_one(tx: Tx, orchestration: TaskOrchestration, found: Unfinished) -> bool:
    subject = store.find_subject(tx, found.id)
    if subject is None or subject.state is None or subject.state.id != found.state_id:
        return False
    before = subject.run.total_run_time
    was_running = subject.state.type == RUNNING
    outcome = transitions.set_state_of(tx, orchestration, subject, _made_up(found), force=True)
    # The state stands where it does for the sake of order; how long the run took is another matter.
    ended = max(found.flow_run_ended, found.state_timestamp)
    ran = (ended - found.state_timestamp).total_seconds() if was_running else 0.0
    store.update(tx, found.id, {"end_time": ended, "total_run_time": before + ran}, clock.now())
    return outcome.new


def _made_up(found: Unfinished) -> State:
    at = found.state_timestamp + timedelta(microseconds=1)
    if found.flow_run_type == CANCELLED:
        return constructors.cancelled(message="The parent flow run was cancelled.", now=at)
    flow_run = found.flow_run_type.capitalize()
    message = f"The flow run is {flow_run}, and nothing was heard of this task run since: its end was not told."
    return constructors.crashed(message=message, now=at)
