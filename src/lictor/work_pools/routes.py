"""`/api/work_pools`: pools, their queues and workers, and polls of workers."""

from __future__ import annotations

from collections.abc import Awaitable

from msgspec import UNSET

from lictor.blocks.types import Blocks
from lictor.db import Database
from lictor.kit import clock
from lictor.web import Request, Router
from lictor.work_pools import listing, occupancy, polled, polling, pools, queues, store, workers
from lictor.work_pools.listing import PoolQuery, PoolSlice, QueueSlice
from lictor.work_pools.occupancy import PoolOccupancy, PoolOccupancyAsked
from lictor.work_pools.polled import PollFollowers
from lictor.work_pools.polling import Poll, WorkerFlowRun
from lictor.work_pools.types import (
    Worker,
    WorkPool,
    WorkPoolCreate,
    WorkPoolUpdate,
    WorkQueue,
    WorkQueueCreate,
    WorkQueueUpdate,
)
from lictor.work_pools.workers import Heartbeat, WorkerPage

router = Router("/work_pools", tag="Work Pools")

# Clients up to this version refuse the key.
NO_RESULT_STORAGE_UP_TO = (3, 3, 7)


@router.post("/", status=201)
async def create_work_pool(body: WorkPoolCreate, request: Request, db: Database, blocks: Blocks) -> WorkPool:
    return _known_to(request, await db.write(pools.create, body, blocks.cipher))


@router.get("/{name}")
async def read_work_pool(name: str, request: Request, db: Database) -> WorkPool:
    return _known_to(request, await db.read(store.get_pool, name))


@router.post("/filter")
async def read_work_pools(body: PoolSlice, request: Request, db: Database) -> list[WorkPool]:
    return [_known_to(request, pool) for pool in await db.read(listing.pools, body)]


@router.post("/count")
def count_work_pools(body: PoolQuery, db: Database) -> Awaitable[int]:
    return db.read(listing.count_pools, body)


@router.patch("/{name}", status=204)
def update_work_pool(name: str, body: WorkPoolUpdate, db: Database) -> Awaitable[None]:
    return db.write(pools.update, name, body)


@router.delete("/{name}", status=204)
def delete_work_pool(name: str, db: Database) -> Awaitable[None]:
    return db.write(pools.delete, name)


@router.post("/{name}/concurrency_status")
def read_work_pool_concurrency_status(name: str, body: PoolOccupancyAsked, db: Database) -> Awaitable[PoolOccupancy]:
    return db.read(occupancy.of_pool, name, body)


@router.post("/{name}/get_scheduled_flow_runs")
async def get_scheduled_flow_runs(name: str, body: Poll, db: Database, followers: PollFollowers) -> list[WorkerFlowRun]:
    answer = await db.read(polling.poll_pool, name, body)
    changed = polled.worth_noting(answer.queues, clock.now())
    if changed:
        await db.write(polled.note, followers, changed)
    return answer.runs


@router.post("/{work_pool_name}/queues", status=201)
def create_work_queue(work_pool_name: str, body: WorkQueueCreate, db: Database) -> Awaitable[WorkQueue]:
    return db.write(queues.create, work_pool_name, body)


@router.get("/{work_pool_name}/queues/{name}")
async def read_work_queue(work_pool_name: str, name: str, db: Database) -> WorkQueue:
    return (await db.read(store.get_queue, work_pool_name, name)).queue


@router.post("/{work_pool_name}/queues/filter")
def read_work_queues(work_pool_name: str, body: QueueSlice, db: Database) -> Awaitable[list[WorkQueue]]:
    return db.read(listing.queues_of, work_pool_name, body)


@router.patch("/{work_pool_name}/queues/{name}", status=204)
def update_work_queue(work_pool_name: str, name: str, body: WorkQueueUpdate, db: Database) -> Awaitable[None]:
    return db.write(queues.update, work_pool_name, name, body)


@router.delete("/{work_pool_name}/queues/{name}", status=204)
def delete_work_queue(work_pool_name: str, name: str, db: Database) -> Awaitable[None]:
    return db.write(queues.delete, work_pool_name, name)


@router.post("/{work_pool_name}/workers/heartbeat", status=204)
async def worker_heartbeat(work_pool_name: str, body: Heartbeat, db: Database) -> None:
    await db.write(workers.beat, work_pool_name, body)


@router.post("/{work_pool_name}/workers/filter")
def read_workers(work_pool_name: str, body: WorkerPage, db: Database) -> Awaitable[list[Worker]]:
    return db.read(workers.page, work_pool_name, body)


@router.delete("/{work_pool_name}/workers/{name}", status=204)
def delete_worker(work_pool_name: str, name: str, db: Database) -> Awaitable[None]:
    return db.write(workers.delete, work_pool_name, name)


def _known_to(request: Request, pool: WorkPool) -> WorkPool:
    """The pool as the asking client knows pools."""
    version = request.client_version
    if version is not None and version <= NO_RESULT_STORAGE_UP_TO:
        pool.storage_configuration.default_result_storage_block_id = UNSET
    return pool
