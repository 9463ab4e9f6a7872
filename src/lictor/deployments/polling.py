"""What a runner asks: which runs of its deployments are due; and which queues could serve a deployment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.deployments import status, store
from lictor.deployments.types import RunnerPoll
from lictor.flow_runs.types import FlowRunResponse
from lictor.work_pools.polling import poll_deployments


class QueueOf(Struct):
    """A queue, as this one route shows it."""

    id: str
    created: datetime
    updated: datetime
    name: str
    description: str | None
    is_paused: bool
    concurrency_limit: int | None
    priority: int
    work_pool_id: str
    filter: dict[str, Any] | None
    last_polled: datetime | None


QUEUES = sql(
    "deployments.queues",
    QueueOf,
    """
    select id, created, updated, name, description, is_paused, concurrency_limit, priority, work_pool_id, filter,
        last_polled
    from work_queue order by created, id
    """,
)


async def poll(db: Database, asked: RunnerPoll) -> list[FlowRunResponse]:
    """The scheduled runs of these deployments up to that time; the deployments are ready, since somebody asks."""
    ids = [str(id) for id in asked.deployment_ids]
    runs, worth_noting = await db.read(_due, ids, asked)
    if worth_noting:
        await db.write(status.mark_polled, deployment_ids=ids)
    return runs


def _due(tx: Tx, ids: list[str], asked: RunnerPoll) -> tuple[list[FlowRunResponse], bool]:
    # A deployment that is not there any more has no runs to hand out.
    there = [row.id for row in tx.all(store.ALL, ids=ids)]
    runs = poll_deployments(tx, there, asked.scheduled_before, asked.limit) if there else []
    return runs, status.worth_noting(tx, there)


def queues_for(tx: Tx, deployment_id: str) -> list[QueueOf]:
    """The queues whose filter lets this deployment through, as all do that have none; pools have no say in it."""
    deployment = store.get(tx, deployment_id)
    return [queue for queue in tx.all(QUEUES) if _lets_through(queue.filter or {}, deployment.id, deployment.tags)]


def _lets_through(filter: dict[str, Any], deployment_id: str, tags: list[str]) -> bool:
    wanted, named = filter.get("tags") or [], filter.get("deployment_ids") or [deployment_id]
    return set(wanted) <= set(tags) and deployment_id in named
