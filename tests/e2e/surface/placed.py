"""Deployments, their schedules and runs; work pools, their queues and workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect._experimental.sla.objects import TimeToCompletionSla
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, WorkPoolFilter
from prefect.client.schemas.objects import WorkerMetadata
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.states import Scheduled

from calls import Calls, status


async def deployments(api: Calls) -> None:
    flow_id = await api.create_flow_from_name(f"{api.kind} deployed")
    made = await api.create_deployment(flow_id, "d", version="1", parameters={"x": 1}, tags=["a"], entrypoint="f.py:f")
    read = await api.read_deployment(made)
    assert (read.name, read.flow_id, read.parameters, read.tags) == ("d", flow_id, {"x": 1}, ["a"])
    assert (await api.read_deployment_by_name(f"{api.kind} deployed/d")).id == made
    found = await api.read_deployments(deployment_filter=DeploymentFilter(id={"any_": [made]}))
    assert [one.id for one in found] == [made]
    await api.update_deployment(made, DeploymentUpdate(description="said"))
    await api.pause_deployment(made)
    assert ((read := await api.read_deployment(made)).description, read.paused) == ("said", True)
    await api.resume_deployment(made)
    assert not (await api.read_deployment(made)).paused
    await api.set_deployment_paused_state(made, True)
    assert (await api.read_deployment(made)).paused
    await api.delete_deployment(made)
    assert await status(api.read_deployment(made)) == 404


async def schedules(api: Calls) -> None:
    flow_id = await api.create_flow_from_name(f"{api.kind} schedules")
    hourly = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(hours=1)), slug="hourly")
    made = await api.create_deployment(flow_id, "d", schedules=[hourly], paused=True)
    [more] = await api.create_deployment_schedules(made, [(CronSchedule(cron="0 0 * * *"), True)], slug="daily")
    assert (more.deployment_id, more.slug, more.schedule.cron) == (made, "daily", "0 0 * * *")
    await api.update_deployment_schedule(made, more.id, active=False)
    read = await api.read_deployment_schedules(made)
    assert sorted((one.slug, one.active) for one in read) == [("daily", False), ("hourly", True)]
    await api.delete_deployment_schedule(made, more.id)
    assert [one.slug for one in await api.read_deployment_schedules(made)] == ["hourly"]


async def runs_of_a_deployment(api: Calls) -> None:
    made = await api.create_deployment(await api.create_flow_from_name(f"{api.kind} run"), "d")
    run = await api.create_flow_run_from_deployment(made, parameters={"x": 2}, tags=["a"], labels={"l": 1})
    assert (run.deployment_id, run.parameters, run.labels["l"]) == (made, {"x": 2}, 1)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    found = await api.get_scheduled_flow_runs_for_deployments([made], scheduled_before=soon, limit=5)
    assert [one.id for one in found] == [run.id]


async def deployments_of_the_cloud(api: Calls) -> None:
    """No server but Prefect Cloud has these two routes: the SDK is told so, as the reference tells it."""
    made = await api.create_deployment(await api.create_flow_from_name(f"{api.kind} cloud"), "d")
    assert await status(api.apply_slas_for_deployment(made, [TimeToCompletionSla(name="s", duration=10)])) == 404
    assert await status(api.create_deployment_branch(made, "b")) == 404


async def work_pools(api: Calls) -> None:
    name = f"{api.kind}-pools"
    made = await api.create_work_pool(WorkPoolCreate(name=name, type="process"))
    await api.update_work_pool(name, WorkPoolUpdate(description="said", concurrency_limit=3))
    read = await api.read_work_pool(name)
    assert (read.id, read.type, read.description, read.concurrency_limit) == (made.id, "process", "said", 3)
    found = await api.read_work_pools(work_pool_filter=WorkPoolFilter(name={"any_": [name]}))
    assert [one.id for one in found] == [made.id]
    used = await api.read_work_pool_concurrency_status(name)
    assert (used.concurrency_limit, used.active_slots, used.count) == (3, 0, 1)  # one queue
    await api.delete_work_pool(name)
    assert await status(api.read_work_pool(name)) == 404


async def workers(api: Calls) -> None:
    pool = (await api.create_work_pool(WorkPoolCreate(name=f"{api.kind}-workers", type="process"))).name
    metadata = WorkerMetadata(integrations=[{"name": "prefect-x", "version": "1"}])
    await api.send_worker_heartbeat(
        pool, "w", heartbeat_interval_seconds=30, get_worker_id=True, worker_metadata=metadata
    )
    [worker] = await api.read_workers_for_work_pool(pool)
    assert (worker.name, worker.status.value, worker.heartbeat_interval_seconds) == ("w", "ONLINE", 30)
    assert "process" in (await api.read_worker_metadata())["prefect"]


async def work_queues(api: Calls) -> None:
    pool = (await api.create_work_pool(WorkPoolCreate(name=f"{api.kind}-queues", type="process"))).name
    made = await api.create_work_queue("fast", description="d", concurrency_limit=2, priority=1, work_pool_name=pool)
    await api.update_work_queue(made.id, description="said")
    read = await api.read_work_queue(made.id)
    assert (read.name, read.description, read.concurrency_limit) == ("fast", "said", 2)
    assert (await api.read_work_queue_by_name("fast", work_pool_name=pool)).id == made.id
    assert sorted(one.name for one in await api.read_work_queues(work_pool_name=pool)) == ["default", "fast"]
    assert [one.id for one in await api.match_work_queues(["fa"], work_pool_name=pool)] == [made.id]
    assert (await api.read_work_queue_status(made.id)).late_runs_count == 0
    used = await api.read_work_queue_concurrency_status(made.id)
    assert (used.concurrency_limit, used.active_slots, used.count) == (2, 0, 0)  # no runs
    await api.delete_work_queue_by_id(made.id)
    assert await status(api.read_work_queue(made.id)) == 404


async def runs_in_a_work_pool(api: Calls) -> None:
    pool = (await api.create_work_pool(WorkPoolCreate(name=f"{api.kind}-runs", type="process"))).name
    flow_id = await api.create_flow_from_name(f"{api.kind} pooled")
    made = await api.create_deployment(flow_id, "d", work_pool_name=pool, work_queue_name="fast")
    due = await api.create_flow_run_from_deployment(made, state=Scheduled(scheduled_time=datetime.now(UTC)))
    queue = await api.read_work_queue_by_name("fast", work_pool_name=pool)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    assert [one.id for one in await api.get_runs_in_work_queue(queue.id, limit=5, scheduled_before=soon)] == [due.id]
    [taken] = await api.get_scheduled_flow_runs_for_work_pool(pool, ["fast"], scheduled_before=soon)
    assert (taken.flow_run.id, taken.work_queue_id) == (due.id, queue.id)


PARTS = (
    deployments,
    schedules,
    runs_of_a_deployment,
    deployments_of_the_cloud,
    work_pools,
    workers,
    work_queues,
    runs_in_a_work_pool,
)
