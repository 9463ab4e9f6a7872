"""`/api/task_runs`."""

from __future__ import annotations

from collections.abc import Awaitable

from lictor.db import Database, Tx
from lictor.filters.history import Interval
from lictor.kit import clock, names
from lictor.kit.errors import NotFound
from lictor.states.callers import answered, caller_of
from lictor.states.types import OrchestrationResult, StateCreate
from lictor.task_runs import create, listing, store, transitions
from lictor.task_runs.listing import TaskRunHistory, TaskRunPage, TaskRunQuery, TaskRunSlice
from lictor.task_runs.transitions import TaskOrchestration
from lictor.task_runs.types import TaskRun, TaskRunCreate, TaskRunSummary, TaskRunUpdate
from lictor.web import Created, Embedded, Page, Request, Router

router = Router("/task_runs", tag="Task Runs")


class SetState(Embedded):
    state: StateCreate
    force: bool = False


@router.post("/", also=(201,))
def create_task_run(body: TaskRunCreate, db: Database, orchestration: TaskOrchestration) -> Awaitable[Created[TaskRun]]:
    return db.write(create.answer, orchestration, body)


@router.post("/count")
def count_task_runs(body: TaskRunQuery, db: Database) -> Awaitable[int]:
    return db.read(listing.count, body)


@router.post("/history")
def task_run_history(body: TaskRunHistory, db: Database) -> Awaitable[list[Interval]]:
    return db.read(listing.history, body)


@router.post("/filter")
def read_task_runs(body: TaskRunSlice, db: Database) -> Awaitable[list[TaskRun]]:
    return db.read(listing.find_slice, body)


@router.post("/paginate")
def paginate_task_runs(body: TaskRunPage, db: Database) -> Awaitable[Page[TaskRunSummary]]:
    return db.read(listing.find_page, body)


@router.patch("/{id:uuid}", status=204)
def update_task_run(id: str, body: TaskRunUpdate, db: Database) -> Awaitable[None]:
    return db.write(rename, id, body)


@router.get("/{id:uuid}")
def read_task_run(id: str, db: Database) -> Awaitable[TaskRun]:
    return db.read(store.get, id)


@router.delete("/{id:uuid}", status=204)
def delete_task_run(id: str, db: Database, orchestration: TaskOrchestration) -> Awaitable[None]:
    return db.write(transitions.delete, orchestration, id)


@router.post("/{id:uuid}/set_state", also=(201,))
def set_task_run_state(
    id: str, body: SetState, request: Request, db: Database, orchestration: TaskOrchestration
) -> Awaitable[Created[OrchestrationResult]]:
    caller = caller_of(request)
    return db.write(answered, transitions.set_state, orchestration, id, body.state, force=body.force, caller=caller)


def rename(tx: Tx, run_id: str, wanted: TaskRunUpdate) -> None:
    if not tx.run(store.RENAME, id=run_id, name=wanted.name or names.slug(), now=clock.now()):
        raise NotFound("Task run not found")
