"""Subflows, as seen from the run that called them: what becomes of them when that ends before they do."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.states import constructors
from lictor.states.types import State, StateType

# What one transaction cancels together with the parent; the rest is found by the service.
AT_ONCE = 50

LIVE = "state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')"


class Child(Struct):
    """A subflow that has not ended. Without a deployment it runs in its parent's process, and ends with that."""

    id: str
    state_id: str
    deployment_id: str | None
    parent_type: StateType

    def cancelled(self) -> State:
        """What it enters when its parent is being cancelled: infrastructure of its own must be stopped first."""
        entered = constructors.cancelling if self.deployment_id else constructors.cancelled
        return entered(message="The parent flow run was cancelled.")

    def lost(self) -> State:
        """What it enters when its parent, and so its process, has ended without it."""
        parent = self.parent_type.capitalize()
        message = f"The parent flow run is {parent}, and this run, which was part of its process, did not tell its end."
        return constructors.crashed(message=message)


_COLUMNS = "c.id, c.state_id, c.deployment_id, p.state_type"
# In this order, whatever a planner thinks: live subflows are few, and all that a service may read.
_OF_LIVE = f"""
    with c as materialized (
        select id, state_id, state_type, state_timestamp, deployment_id, parent_task_run_id from flow_run
        where parent_task_run_id is not null and {LIVE}
    )
    select {_COLUMNS} from c join task_run t on t.id = c.parent_task_run_id join flow_run p on p.id = t.flow_run_id"""
_CANCELS = """(
        p.state_type = 'CANCELLED' and c.deployment_id is null
        or p.state_type in ('CANCELLED', 'CANCELLING') and c.deployment_id is not null and c.state_type <> 'CANCELLING'
    )"""

OF_CANCELLED_RUN = sql(
    "flow_runs.children_of_cancelled_run",
    Child,
    f"""
    select {_COLUMNS} from flow_run p join task_run t on t.flow_run_id = p.id
    join flow_run c on c.parent_task_run_id = t.id
    where p.id = :id and c.{LIVE} and {_CANCELS} order by c.id limit :limit
    """,
)
OF_CANCELLED = sql("flow_runs.children_of_cancelled", Child, f"{_OF_LIVE} where {_CANCELS} limit :limit")
LOST = sql(
    "flow_runs.lost_children",
    Child,
    f"""
    {_OF_LIVE} where c.deployment_id is null and c.state_timestamp < {{ts:silent_since}}
    and p.state_type in ('COMPLETED', 'FAILED', 'CRASHED') and p.state_timestamp < {{ts:silent_since}}
    and not exists (select 1 from flow_run_heartbeat h where h.flow_run_id = c.id and h.heard is not null)
    limit :limit
    """,
)


def of_cancelled_run(tx: Tx, run_id: str) -> list[Child]:
    """Subflows that are to be cancelled with this run; not all of very many."""
    return tx.all(OF_CANCELLED_RUN, id=run_id, limit=AT_ONCE)


def of_cancelled(tx: Tx, limit: int) -> list[Child]:
    """Subflows that are to be cancelled with their parents."""
    return tx.all(OF_CANCELLED, limit=limit)


def lost(tx: Tx, silent_since: datetime, limit: int) -> list[Child]:
    """Subflows in the process of a parent that has ended, and that have told nothing since then.

    Those that send heartbeats are left to these: they may run in a process of their own, as on a cluster.
    """
    return tx.all(LOST, silent_since=silent_since, limit=limit)
