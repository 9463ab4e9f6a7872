"""/ui/flows: how many deployments flows have, and which run of each is due next."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from lictor.db import Database, Tx, sql
from lictor.flow_runs.withdrawals import STANDING
from lictor.states.types import StateType
from lictor.web import Embedded, Router


class FlowIds(Embedded):
    flow_ids: Annotated[list[UUID], Meta(max_length=200)]


class SimpleNextFlowRun(Struct):
    id: str
    flow_id: str
    name: str
    state_name: str
    state_type: StateType
    next_scheduled_start_time: datetime


DEPLOYMENTS = sql(
    "ui.deployments_by_flow",
    None,
    "select d.flow_id, count(*) from deployment d where d.flow_id {in:flow_ids:uuid} group by d.flow_id",
)
NEXT_RUNS = sql(
    "ui.next_run_by_flow",
    SimpleNextFlowRun,
    f"""
    select id, flow_id, name, state_name, state_type, next_scheduled_start_time from (
        select r.id, r.flow_id, r.name, r.state_name, r.state_type, r.next_scheduled_start_time,
            row_number() over (partition by r.flow_id order by r.next_scheduled_start_time, r.id) as place
        from flow_run r
        where r.flow_id {{in:flow_ids:uuid}} and r.state_type = 'SCHEDULED' and r.next_scheduled_start_time is not null
        and {STANDING}
    ) due where place = 1
    """,
)


def count_deployments(tx: Tx, flow_ids: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = dict(tx.all(DEPLOYMENTS, flow_ids=flow_ids))
    return {flow_id: counts.get(flow_id, 0) for flow_id in flow_ids}


def next_runs(tx: Tx, flow_ids: Sequence[str]) -> dict[str, SimpleNextFlowRun | None]:
    runs = {run.flow_id: run for run in tx.all(NEXT_RUNS, flow_ids=flow_ids)}
    return {flow_id: runs.get(flow_id) for flow_id in flow_ids}


router = Router("/ui/flows", tag="Flows")


@router.post("/count-deployments")
def count_deployments_by_flow(body: FlowIds, db: Database) -> Awaitable[dict[str, int]]:
    return db.read(count_deployments, [str(id) for id in body.flow_ids])


@router.post("/next-runs")
def next_runs_by_flow(body: FlowIds, db: Database) -> Awaitable[dict[str, SimpleNextFlowRun | None]]:
    return db.read(next_runs, [str(id) for id in body.flow_ids])
