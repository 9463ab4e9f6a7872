"""/task_run_states: the states that task runs were in."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated
from uuid import UUID

from lictor.db import Database, Tx, sql
from lictor.kit.errors import NotFound
from lictor.states.storing import STATE_COLUMNS
from lictor.states.types import State
from lictor.web import Query, Router

FIND = sql("task_run_states.find", State, f"select {STATE_COLUMNS} from task_run_state s where s.id = :id")
OF_RUN = sql(
    "task_run_states.of_run",
    State,
    f"select {STATE_COLUMNS} from task_run_state s where s.task_run_id = :task_run_id order by s.timestamp",
)


def get(tx: Tx, state_id: str) -> State:
    # The words are the reference's: it says "flow run" here, too.
    return tx.get(FIND, NotFound("Flow run state not found"), id=state_id)


def of_run(tx: Tx, task_run_id: UUID) -> list[State]:
    """A run's states in order of time; of an unknown run, none."""
    return tx.all(OF_RUN, task_run_id=task_run_id)


router = Router("/task_run_states", tag="Task Run States")


@router.get("/{id:uuid}")
def read_task_run_state(id: str, db: Database) -> Awaitable[State]:
    return db.read(get, id)


@router.get("/")
def read_task_run_states(task_run_id: Annotated[UUID, Query()], db: Database) -> Awaitable[list[State]]:
    return db.read(of_run, task_run_id)
