"""Runs that are withdrawn: they have not begun, never will, and are too many to be deleted in one transaction.

Whoever deletes what was planned for a deployment (it is deleted, or paused after very much piled up) deletes so many
runs at once (`planned.AT_ONCE`). Where that is not all, the deployment is noted in `withdrawal`, in the same
transaction, and the rest goes in the background, some at a time (`purging`). From the commit on those runs are as good
as gone: polls do not hand them out, services leave them alone, whoever asks for one or proposes a state is told that
there is none, and lists and counts leave them out. What adds up runs by time (histories, lateness, metrics) has them
until they are gone.

The table is nearly always empty, and then all that this costs anybody is to find it so, once in a statement that comes
upon runs that have not begun, and once in a list.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from lictor.db import Tx, Where, sql

# What is told of when there are more runs to delete.
TOPIC = "withdrawals"


class Withdrawal(Struct, frozen=True):
    """All runs of a deployment that have not begun, or those that schedules made and that were due by a moment."""

    deployment_id: str
    due_by: datetime | None


# Conditions on runs, `r`. Runs that schedules made, but for those that were to begin and wait for a slot; and when they
# are due, written so that no index on it is taken: a deployment has fewer scheduled runs than there are runs to come.
MADE = "r.auto_scheduled and r.state_name <> 'AwaitingConcurrencySlot'"
DUE = "coalesce(r.next_scheduled_start_time, r.expected_start_time)"

_NOT_BEGUN = "r.state_type = 'SCHEDULED' and r.run_count = 0"
_MEANT = f"gone.deployment_id = r.deployment_id and (gone.due_by is null or ({MADE} and {DUE} <= gone.due_by))"
# Whether there are any at all is asked once for all rows.
_ANY = "exists (select 1 from withdrawal)"
WITHDRAWN = f"{_NOT_BEGUN} and {_ANY} and exists (select 1 from withdrawal gone where {_MEANT})"
# Null, of a run without a state, is not to hide it.
STANDING = f"({WITHDRAWN}) is not true"

_THERE = f"from withdrawal gone cross join flow_run r {{by_index:ix_flow_run__waiting}} where {_MEANT} and {_NOT_BEGUN}"
ALL = sql("withdrawals.all", Withdrawal, "select deployment_id, due_by from withdrawal order by deployment_id")
ANY = sql("withdrawals.any", int, "select 1 from withdrawal limit 1")
IDS = f"select r.id {_THERE}"
INSERT = sql(
    "withdrawals.insert",
    None,
    """
    insert into withdrawal (deployment_id, due_by) values (:deployment_id, :due_by)
    on conflict (deployment_id) do update set due_by = excluded.due_by
    """,
)
INSERT_OF_FLOWS = sql(
    "withdrawals.insert_of_flows",
    None,
    """
    insert into withdrawal (deployment_id) select d.id from deployment d where d.flow_id {in:flow_ids:uuid}
    on conflict (deployment_id) do update set due_by = null
    """,
)
# Not one that was renewed since it was read.
DELETE = sql(
    "withdrawals.delete",
    None,
    "delete from withdrawal where deployment_id = :deployment_id and due_by is not distinct from {ts:due_by}",
)


def insert(tx: Tx, withdrawal: Withdrawal) -> None:
    """Have the rest of these runs deleted in the background, and nobody see them from now on."""
    tx.run(INSERT, deployment_id=withdrawal.deployment_id, due_by=withdrawal.due_by)
    tx.tell(TOPIC)


def insert_of_flows(tx: Tx, flow_ids: list[str]) -> None:
    """The same of all deployments of flows that are about to be deleted."""
    if tx.run(INSERT_OF_FLOWS, flow_ids=flow_ids):
        tx.tell(TOPIC)


def delete(tx: Tx, withdrawal: Withdrawal) -> None:
    """Its runs are gone."""
    tx.run(DELETE, deployment_id=withdrawal.deployment_id, due_by=withdrawal.due_by)


def find_all(tx: Tx) -> list[Withdrawal]:
    return tx.all(ALL)


def hide(tx: Tx, where: Where) -> Where:
    """The same conditions on runs, and that they are not withdrawn, if any are."""
    if tx.one(ANY) is not None:
        where.add(STANDING)
    return where


def count(tx: Tx, where: Where) -> int:
    """How many withdrawn runs there are that meet conditions on runs."""
    if tx.one(ANY) is None:
        return 0
    where.add(f"{_MEANT} and {_NOT_BEGUN}")
    return tx.count("from withdrawal gone cross join flow_run r {by_index:ix_flow_run__waiting}", where)
