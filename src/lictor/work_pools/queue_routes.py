"""`/api/work_queues`: queues by their id, whatever their pool; made in the pool for agents."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from lictor.db import Database
from lictor.flow_runs.types import FlowRunResponse
from lictor.kit import clock
from lictor.web import Header, Router
from lictor.work_pools import agents, occupancy, polled, queues
from lictor.work_pools.agents import AnyQueueSlice, QueuePoll
from lictor.work_pools.occupancy import QueueHealth, QueueOccupancy, QueueOccupancyAsked
from lictor.work_pools.polled import PollFollowers
from lictor.work_pools.types import WorkQueue, WorkQueueCreate, WorkQueueUpdate

router = Router("/work_queues", tag="Work Queues")


@router.post("/", status=201)
def create_work_queue(body: WorkQueueCreate, db: Database) -> Awaitable[WorkQueue]:
    return db.write(agents.create, body)


@router.patch("/{id:uuid}", status=204)
def update_work_queue(id: str, body: WorkQueueUpdate, db: Database) -> Awaitable[None]:
    return db.write(queues.update_by_id, id, body)


@router.get("/name/{name}")
def read_work_queue_by_name(name: str, db: Database) -> Awaitable[WorkQueue]:
    return db.read(agents.get_named, name)


@router.get("/{id:uuid}")
def read_work_queue(id: str, db: Database) -> Awaitable[WorkQueue]:
    return db.read(agents.get, id)


@router.post("/{id:uuid}/get_runs")
async def read_work_queue_runs(
    id: str,
    body: QueuePoll,
    db: Database,
    followers: PollFollowers,
    x_prefect_ui: Annotated[bool | None, Header()] = False,
) -> list[FlowRunResponse]:
    runs, queue = await db.read(agents.poll, id, body)
    # Dashboards look into queues with this, which is no poll.
    changed = [] if x_prefect_ui else polled.worth_noting([queue], clock.now())
    if changed:
        await db.write(polled.note, followers, changed)
    return runs


@router.post("/filter")
def read_work_queues(body: AnyQueueSlice, db: Database) -> Awaitable[list[WorkQueue]]:
    return db.read(agents.page, body)


@router.delete("/{id:uuid}", status=204)
def delete_work_queue(id: str, db: Database) -> Awaitable[None]:
    return db.write(queues.delete_by_id, id)


@router.post("/{id:uuid}/concurrency_status")
def read_work_queue_concurrency_status(id: str, body: QueueOccupancyAsked, db: Database) -> Awaitable[QueueOccupancy]:
    return db.read(occupancy.of_queue, id, body)


@router.get("/{id:uuid}/status")
def read_work_queue_status(id: str, db: Database) -> Awaitable[QueueHealth]:
    return db.read(occupancy.health, id)
