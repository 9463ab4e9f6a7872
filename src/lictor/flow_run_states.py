"""/flow_run_states: the states that flow runs were in."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated
from uuid import UUID

from lictor.db import Database, Tx, sql
from lictor.kit.errors import NotFound
from lictor.states.storing import STATE_COLUMNS
from lictor.states.types import State
from lictor.web import Query, Router

FIND = sql("flow_run_states.find", State, f"select {STATE_COLUMNS} from flow_run_state s where s.id = :id")
OF_RUN = sql(
    "flow_run_states.of_run",
    State,
    f"select {STATE_COLUMNS} from flow_run_state s where s.flow_run_id = :flow_run_id order by s.timestamp",
)


def get(tx: Tx, state_id: str) -> State:
    return tx.get(FIND, NotFound("Flow run state not found"), id=state_id)


def of_run(tx: Tx, flow_run_id: UUID) -> list[State]:
    """A run's states in order of time; of an unknown run, none."""
    return tx.all(OF_RUN, flow_run_id=flow_run_id)


router = Router("/flow_run_states", tag="Flow Run States")


@router.get("/{id:uuid}")
def read_flow_run_state(id: str, db: Database) -> Awaitable[State]:
    return db.read(get, id)


@router.get("/")
def read_flow_run_states(flow_run_id: Annotated[UUID, Query()], db: Database) -> Awaitable[list[State]]:
    return db.read(of_run, flow_run_id)
