"""The same for many flow runs at once: at most as many as the caller may name, picked by a filter."""

from __future__ import annotations

from msgspec import Struct

from lictor.db import Database, Tx
from lictor.filters import FlowRunFilter, where_for
from lictor.flow_runs import changes, transitions, withdrawals
from lictor.flow_runs.transitions import Orchestration
from lictor.kit.errors import LictorError
from lictor.states.callers import Caller
from lictor.states.types import AbortDetails, ResponseDetails, State, StateCreate, Status


class BulkDeleted(Struct):
    deleted: list[str]


class BulkResult(Struct):
    """What became of the state proposed for one run."""

    flow_run_id: str
    status: Status
    state: State | None
    details: ResponseDetails


class BulkSetStates(Struct):
    results: list[BulkResult]


def matching(tx: Tx, flow_runs: FlowRunFilter | None, limit: int) -> list[str]:
    """The ids of the newest runs that match; without a filter all do."""
    where = withdrawals.hide(tx, where_for("flow_run", flow_runs=flow_runs))
    return tx.page(str, "select r.id from flow_run r", where, order="r.id desc", limit=limit)


def delete(tx: Tx, orchestration: Orchestration, flow_runs: FlowRunFilter | None, limit: int) -> BulkDeleted:
    run_ids = matching(tx, flow_runs, limit)
    gone = set(changes.delete_all(tx, orchestration, run_ids))
    return BulkDeleted([run_id for run_id in run_ids if run_id in gone])


async def set_states(
    db: Database, orchestration: Orchestration, run_ids: list[str], wanted: StateCreate, force: bool, caller: Caller
) -> BulkSetStates:
    """Propose the state for each run, in a transaction of its own; a run that fails does not hold up the others."""
    results = []
    for run_id in run_ids:
        try:
            outcome = await db.write(transitions.set_state, orchestration, run_id, wanted, force=force, caller=caller)
        except LictorError as error:
            results.append(BulkResult(run_id, "ABORT", None, AbortDetails(error.message)))
            continue
        answer = outcome.result
        results.append(BulkResult(run_id, answer.status, answer.state, answer.details))
    return BulkSetStates(results)
