"""Flows, flow runs, task runs, logs and events."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow, task
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter, LogFilter, TaskRunFilter
from prefect.events.filters import EventFilter, EventResourceFilter
from prefect.states import Completed, Paused, Pending, Running

from calls import Calls, status


@flow
def one(x: int = 1) -> int:
    return x


@task
def step() -> None:
    pass


async def flows(api: Calls) -> None:
    mine = one.with_options(name=f"{api.kind} flows")
    flow_id = await api.create_flow(mine)
    assert await api.create_flow_from_name(mine.name) == flow_id
    assert (await api.read_flow(flow_id)).name == mine.name
    assert (await api.read_flow_by_name(mine.name)).id == flow_id
    found = await api.read_flows(flow_filter=FlowFilter(id={"any_": [flow_id]}))
    assert [one.id for one in found] == [flow_id]
    await api.delete_flow(flow_id)
    assert await status(api.read_flow(flow_id)) == 404


async def flow_runs(api: Calls) -> None:
    mine = one.with_options(name=f"{api.kind} runs")
    run = await api.create_flow_run(mine, name="first", parameters={"x": 1}, tags=["a"], state=Pending())
    this = FlowRunFilter(id={"any_": [run.id]})
    assert (await api.update_flow_run(run.id, tags=["a", "b"], infrastructure_pid="1")).status_code == 204
    assert (await api.set_flow_run_name(run.id, "second")).status_code == 204
    await api.update_flow_run_labels(run.id, {"team": "blue"})
    read = await api.read_flow_run(run.id)
    assert (read.name, read.tags, read.infrastructure_pid) == ("second", ["a", "b"], "1")
    assert read.labels["team"] == "blue"
    assert [found.id for found in await api.read_flow_runs(flow_run_filter=this)] == [run.id]
    assert await api.count_flow_runs(flow_run_filter=this) == 1
    await api.delete_flow_run(run.id)
    assert await status(api.read_flow_run(run.id)) == 404


async def states_of_a_flow_run(api: Calls) -> None:
    run = await api.create_flow_run(one.with_options(name=f"{api.kind} states"), state=Pending())
    for state in (Running(), Paused(timeout_seconds=300)):
        result = await api.set_flow_run_state(run.id, state)
        assert result.status.value == "ACCEPT", result
    resumed = await api.resume_flow_run(run.id, run_input={"x": 1})
    assert (resumed.status.value, resumed.state.type.value) == ("ACCEPT", "RUNNING"), resumed
    assert (await api.set_flow_run_state(run.id, Completed(), force=True)).state.is_completed()
    states = await api.read_flow_run_states(run.id)
    assert [state.name for state in states] == ["Pending", "Running", "Paused", "Running", "Completed"]
    assert (await api.read_flow_run_state(states[2].id)).name == "Paused"


async def inputs_of_a_flow_run(api: Calls) -> None:
    run = await api.create_flow_run(one.with_options(name=f"{api.kind} inputs"))
    for key in ("in-a", "in-b", "other"):
        await api.create_flow_run_input(run.id, key, f'"{key}"', sender="prefect.flow-run.x")
    assert await api.read_flow_run_input(run.id, "in-a") == '"in-a"'
    found = await api.filter_flow_run_input(run.id, key_prefix="in-", limit=5, exclude_keys={"in-b"})
    assert [(one.key, one.sender) for one in found] == [("in-a", "prefect.flow-run.x")]
    await api.delete_flow_run_input(run.id, "in-a")
    assert not await api.filter_flow_run_input(run.id, key_prefix="in-a", limit=5, exclude_keys=set())


async def task_runs(api: Calls) -> None:
    parent = await api.create_flow_run(one.with_options(name=f"{api.kind} tasks"), state=Running())
    run = await api.create_task_run(step, parent.id, "0", name="first", extra_tags=["a"], state=Pending())
    assert (await api.set_task_run_name(run.id, "second")).status_code == 204
    result = await api.set_task_run_state(run.id, Running())
    assert result.status.value == "ACCEPT", result
    read = await api.read_task_run(run.id)
    assert (read.name, read.flow_run_id, read.state.name) == ("second", parent.id, "Running")
    found = await api.read_task_runs(task_run_filter=TaskRunFilter(id={"any_": [run.id]}))
    assert [one.id for one in found] == [run.id]
    assert [state.name for state in await api.read_task_run_states(run.id)] == ["Pending", "Running"]
    await api.delete_task_run(run.id)
    assert await status(api.read_task_run(run.id)) == 404


async def logs(api: Calls) -> None:
    run = await api.create_flow_run(one.with_options(name=f"{api.kind} logs"))
    first = LogCreate(name="x", level=20, message="first", timestamp=datetime.now(UTC), flow_run_id=run.id)
    second = first.model_copy(update={"message": "second", "timestamp": datetime.now(UTC)})
    await api.create_logs([first, second.model_dump(mode="json")])
    found = await api.read_logs(LogFilter(flow_run_id={"any_": [run.id]}), limit=10)
    assert sorted(log.message for log in found) == ["first", "second"]


async def events(api: Calls) -> None:
    run = await api.create_flow_run(one.with_options(name=f"{api.kind} events"), state=Pending())
    await api.set_flow_run_state(run.id, Running())
    mine = EventFilter(resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]))
    page = await api.read_events(mine, limit=1)
    assert (page.total, len(page.events)) == (2, 1), page
    following = await api.read_events_page(str(page.next_page))
    seen = [one.event for one in following.events + page.events]
    assert seen == ["prefect.flow-run.Pending", "prefect.flow-run.Running"]
    assert (await api.read_events(limit=50)).total >= 2


PARTS = (flows, flow_runs, states_of_a_flow_run, inputs_of_a_flow_run, task_runs, logs, events)
