"""What automations do: on the database exactly once, outside at least once, and nobody waits for the slow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests import rows
from tests.automations.world import World

from lictor.automations import actions as kinds
from lictor.automations import executing, queueing, store
from lictor.automations.executing import MOST_PER_TARGET, Executor, Outside
from lictor.blocks.encryption import Cipher
from lictor.db import Database, Tx, sql
from lictor.flow_runs import create
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate
from lictor.flows import FlowCreate, insert_or_get
from lictor.states.callers import SERVER
from lictor.states.types import StateCreate, StateTypeName
from lictor.work_pools import pools
from lictor.work_pools import store as pool_store
from lictor.work_pools.types import WorkPoolCreate

CIPHER = Cipher(None, None)
BLOCK = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
STATE = sql("test.automations.state", None, "select state_type, state_name from flow_run where id = :id")
FLOW = sql("test.automations.flow", str, "select flow_id from flow_run where id = :id")
DEPLOYED = sql("test.automations.deployed", None, "update flow_run set deployment_id = :deployment_id where id = :id")
QUEUE = sql("test.automations.queue", None, "select state, attempts from automation_action order by id")


@pytest.fixture
def run(world: World, db: Database) -> str:
    """The id of a flow run that is Running."""

    def make(tx: Tx) -> str:
        flow = insert_or_get(tx, FlowCreate(name="f")).value
        state = StateCreate(type=StateTypeName.RUNNING)
        made, _ = create.create(tx, Orchestration(), FlowRunCreate(flow_id=flow.id, state=state), caller=SERVER)
        return made.id

    return db.write_now(make)


def state_of(db: Database, run: str) -> tuple[str, str]:
    return db.read_now(lambda tx: tuple(tx.one(STATE, id=run)))  # type: ignore[arg-type, return-value]


def act(world: World, *actions: dict[str, Any], resource: str = "r", **more: Any) -> dict[str, Any]:
    """Have an automation fire, and the actions done; what was told of the last of them."""
    name = f"go.{len(world.names)}"
    world.automate({"expect": [name], **more}, *actions)
    world.happen(name, resource)
    world.round()
    return (world.told("prefect.automation.action.executed") + world.told("prefect.automation.action.failed"))[-1]


def test_what_was_done_is_told(world: World) -> None:
    told = act(world, {"type": "do-nothing"})
    assert told.keys() == {"action_index", "action_type", "invocation"}
    assert world.told("prefect.automation.action.triggered")[0] == told


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ({"type": "cancel-flow-run"}, ("CANCELLING", "Cancelling")),
        ({"type": "change-flow-run-state", "state": "FAILED", "name": "Sad"}, ("FAILED", "Sad")),
    ],
)
def test_the_flow_run_of_the_event_changes_its_state(
    world: World, db: Database, run: str, action: dict[str, Any], state: tuple[str, str]
) -> None:
    told = act(world, action, resource=f"prefect.flow-run.{run}")
    assert state_of(db, run) == state
    assert told["status_code"] == 201


def test_a_run_without_a_deployment_cannot_be_suspended(world: World, run: str) -> None:
    told = act(world, {"type": "suspend-flow-run"}, resource=f"prefect.flow-run.{run}")
    assert "deployment" in told["reason"]


def test_a_run_of_a_deployment_is_suspended_and_resumed(world: World, db: Database, run: str) -> None:
    def deploy(tx: Tx) -> None:
        flow_id = tx.value(FLOW, id=run)
        tx.run(DEPLOYED, id=run, deployment_id=rows.a_deployment(tx, flow_id))

    db.write_now(deploy)
    resource = f"prefect.flow-run.{run}"
    act(world, {"type": "suspend-flow-run"}, resource=resource)
    assert state_of(db, run) == ("PAUSED", "Suspended")
    act(world, {"type": "resume-flow-run"}, resource=resource)
    assert state_of(db, run) == ("SCHEDULED", "Resuming")


def test_a_state_that_is_refused_fails_the_action(world: World, run: str) -> None:
    change = {"type": "change-flow-run-state", "state": "RUNNING"}
    told = act(world, {"type": "cancel-flow-run"}, change, resource=f"prefect.flow-run.{run}")
    assert told["reason"].startswith("Failed to set state: ")


def test_a_flow_run_is_deleted_and_then_it_is_missing(world: World, db: Database, run: str) -> None:
    delete = {"type": "delete-flow-run"}
    told = act(world, delete, delete, resource=f"prefect.flow-run.{run}")
    assert told["reason"] == "Unexpected status from 'delete-flow-run' action: 404"
    assert told["status_code"] == 404


def test_without_something_of_the_kind_nothing_is_inferred(world: World) -> None:
    for action, reason in (
        ({"type": "cancel-flow-run"}, "No flow run could be inferred"),
        ({"type": "pause-work-pool", "source": "inferred"}, "No work pool could be inferred"),
        ({"type": "run-deployment", "source": "inferred"}, "No deployment could be inferred"),
    ):
        assert act(world, action)["reason"] == reason


def test_a_pool_is_paused_and_resumed(world: World, db: Database) -> None:
    pool = db.write_now(pools.create, WorkPoolCreate(name="p"), CIPHER)
    act(world, {"type": "pause-work-pool", "work_pool_id": pool.id})
    assert db.read_now(pool_store.get_pool, "p").is_paused
    act(world, {"type": "resume-work-pool", "source": "inferred"}, resource=f"prefect.work-pool.{pool.id}")
    assert not db.read_now(pool_store.get_pool, "p").is_paused


def test_a_queue_is_paused(world: World, db: Database) -> None:
    pool = db.write_now(pools.create, WorkPoolCreate(name="p"), CIPHER)
    told = act(world, {"type": "pause-work-queue", "work_queue_id": pool.default_queue_id})
    assert told["status_code"] == 204
    assert db.read_now(pool_store.get_queue, "p", "default").queue.is_paused


def test_an_automation_pauses_another_and_itself(world: World, db: Database) -> None:
    other = world.automate({"expect": ["nothing"]})
    act(world, {"type": "pause-automation", "automation_id": other.id})
    assert not db.read_now(store.get, other.id).enabled


def test_actions_on_trigger_see_the_event_of_the_firing(world: World) -> None:
    world.automate({"expect": ["go"]}, actions_on_trigger=[{"type": "pause-automation", "source": "inferred"}])
    world.happen("go")
    world.round()
    world.happen("go")
    world.round()
    assert world.fired() == ["a"]


def test_an_action_is_done_once_whoever_tries(world: World, db: Database, run: str) -> None:
    world.automate({"expect": ["go"]}, {"type": "cancel-flow-run"})
    world.happen("go", f"prefect.flow-run.{run}")
    asyncio.run(world.service._follower.advance())
    (due,) = db.read_now(queueing.due, [], 10)
    both = [db.write_now(executing.perform, Orchestration(), due, executing.decode(due), None) for _ in range(2)]
    assert both == [True, False]
    assert len(world.told("prefect.automation.action.executed")) == 1


class Endpoint:
    """Stands for the world outside: notes calls, fails or hangs as it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hangs: set[str] = set()
        self.error: Exception | None = None

    def outside(self) -> Outside:
        return Outside(calls={kinds.CallWebhook: self.call})

    async def call(self, due: queueing.Due, action: Any, done: Any) -> None:
        assert due.target is not None
        self.calls.append(due.target)
        if due.target in self.hangs:
            await asyncio.sleep(3600)
        if self.error is not None:
            raise self.error


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def calling(db: Database, endpoint: Endpoint) -> World:
    return World(db, endpoint.outside())


def webhook(block: str = BLOCK) -> dict[str, Any]:
    return {"type": "call-webhook", "block_document_id": block}


async def settled(executor: Executor) -> None:
    await executor.start_due()
    await asyncio.gather(*executor._calls)


def test_a_call_is_made_and_told_of(calling: World, endpoint: Endpoint) -> None:
    calling.automate({"expect": ["go"]}, webhook())
    calling.happen("go")

    async def go() -> None:
        await calling.service._follower.advance()
        await settled(calling.service._executor)

    asyncio.run(go())
    assert endpoint.calls == [BLOCK]
    assert len(calling.told("prefect.automation.action.executed")) == 1


def test_a_call_that_fails_is_told_of_and_not_repeated(calling: World, endpoint: Endpoint, db: Database) -> None:
    endpoint.error = ValueError("no")
    calling.automate({"expect": ["go"]}, webhook())
    calling.happen("go")

    async def go() -> None:
        await calling.service._follower.advance()
        for _ in range(3):
            await settled(calling.service._executor)

    asyncio.run(go())
    calling.now += timedelta(hours=1)
    calling.round()
    assert endpoint.calls == [BLOCK]
    assert calling.told("prefect.automation.action.failed")[0]["reason"] == "Unexpected error: ValueError('no')"


def test_one_that_never_answers_keeps_nobody_else_waiting(calling: World, endpoint: Endpoint) -> None:
    endpoint.hangs = {BLOCK}
    calling.automate({"expect": ["go"]}, webhook(BLOCK))
    calling.automate({"expect": ["other"]}, webhook(OTHER), {"type": "do-nothing"})
    for _ in range(3 * MOST_PER_TARGET):
        calling.happen("go")
    calling.happen("other")

    async def go() -> None:
        await calling.service.run_once()
        for _ in range(20):
            await asyncio.sleep(0)
            await calling.service._executor.start_due()
        await calling.service._executor.finish(0.1)

    asyncio.run(go())
    assert endpoint.calls.count(BLOCK) == MOST_PER_TARGET
    assert endpoint.calls.count(OTHER) == 1
    assert len(calling.told("prefect.automation.action.executed")) == 2


def test_a_call_cut_off_is_made_again_but_not_for_ever(calling: World, endpoint: Endpoint, db: Database) -> None:
    endpoint.hangs = {BLOCK}
    calling.automate({"expect": ["go"]}, webhook())
    calling.happen("go")

    async def die() -> None:
        await calling.service.run_once()
        await asyncio.sleep(0.01)
        await calling.service._executor.finish(0.0)

    for _ in range(5):
        asyncio.run(die())
        calling.now += timedelta(minutes=3)
        calling.restart()
    assert endpoint.calls == [BLOCK] * 3
    assert "Given up after 3 attempts" in calling.told("prefect.automation.action.failed")[0]["reason"]


def test_ended_actions_are_swept_after_a_day(calling: World, db: Database) -> None:
    act(calling, {"type": "do-nothing"})
    assert [tuple(row) for row in db.read_now(lambda tx: tx.all(QUEUE))] == [("done", 1)]
    calling.now += timedelta(days=2)
    calling.restart()
    calling.round()
    assert db.read_now(lambda tx: tx.all(QUEUE)) == []
