"""Runs that fall silent: which are dead, and which only seem so."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests import rows
from tests.concurrency.http import run as execute
from tests.concurrency.http import value
from tests.flow_runs import http
from tests.flow_runs.test_loops import RUNS, Clock, a_subflow, once, state
from tests.web.client import TestClient

from lictor.db import Database, Tx
from lictor.events import listening
from lictor.events.ingest import Intake
from lictor.events.types import Event
from lictor.flow_runs import heartbeats
from lictor.flow_runs.heartbeats import Patience
from lictor.flow_runs.loops import DeadRuns, Unfinished
from lictor.kit import clock, ids
from lictor.task_runs import recorder
from lictor.task_runs.transitions import TaskOrchestration

LISTENER = "00000000-0000-4000-8000-000000000001"


class World:
    """A clock, and somebody who listens all the time; `later` is told in seconds."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = Clock()
        self.listens = True
        self.intake = Intake(db, (recorder.record, heartbeats.note))
        self.later(0)

    def later(self, seconds: float) -> None:
        """Time passes, ten seconds at a time."""
        until = self.clock.now + timedelta(seconds=seconds)
        while True:
            if self.listens:
                self.db.write_now(listening.tell, LISTENER)
            if self.clock.now >= until:
                return
            self.clock.later(min(10.0, (until - self.clock.now).total_seconds()))

    def tell(self, event: str, resource: dict[str, str], *related: dict[str, str]) -> None:
        told = Event(occurred=clock.now(), event=event, resource=resource, related=list(related))
        asyncio.run(self.intake.take([told]))

    def beat(self, run_id: str) -> None:
        self.tell("prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{run_id}"})

    def beats(self, run_id: str, *pauses: float) -> None:
        """A heartbeat, and one after each of these pauses."""
        self.beat(run_id)
        for seconds in pauses:
            self.later(seconds)
            self.beat(run_id)

    def submits(self, run_id: str, type: str = "process") -> None:
        """The pool's worker submits the run."""
        self.tell(
            "prefect.worker.submitted-flow-run",
            {"prefect.resource.id": f"prefect.worker.{type}.my-worker", "prefect.resource.name": "My Worker"},
            {"prefect.resource.id": f"prefect.flow-run.{run_id}", "prefect.resource.role": "flow-run"},
            {
                "prefect.resource.id": f"prefect.work-pool.{ids.new()}",
                "prefect.resource.role": "work-pool",
                "prefect.resource.name": "pool",
            },
        )

    def round(self) -> int:
        return once(DeadRuns(self.db, RUNS, Patience()))


@pytest.fixture
def world(db: Database) -> World:
    return World(db)


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db, RUNS)


@pytest.fixture
def run(world: World, client: TestClient) -> str:
    return str(http.a_run(client, "RUNNING")["id"])


def a_worker(tx: Tx) -> None:
    pool = rows.a_work_pool(tx, "pool")
    now = clock.now()
    rows.insert(
        tx, "worker", created=now, updated=now, work_pool_id=pool, name="My Worker", last_heartbeat_time=now,
        heartbeat_interval_seconds=30, status="ONLINE",
    )  # fmt: skip


def test_a_run_whose_heartbeats_stop_has_crashed(world: World, client: TestClient, run: str) -> None:
    world.beats(run, 30, 30)
    world.later(90)
    assert world.round() == 0
    world.later(1)
    assert world.round() == 1
    message = "No heartbeat of this flow run has come since 2026-01-01T00:01:00.000000Z: its process has died."
    assert state(client, run) == ("Crashed", message)
    assert world.round() == 0


def test_a_run_that_goes_on_beating_lives(world: World, client: TestClient, run: str) -> None:
    for _ in range(20):
        world.beats(run)
        world.later(31)
        assert world.round() == 0
    assert state(client, run)[0] == "Running"


def test_until_three_have_come_heartbeats_are_three_minutes_apart(world: World, client: TestClient, run: str) -> None:
    world.beats(run, 30)
    world.later(540)
    assert world.round() == 0
    world.later(1)
    assert world.round() == 1


def test_the_beats_of_an_earlier_attempt_say_nothing_about_this_one(world: World, client: TestClient, run: str) -> None:
    world.beats(run, 30, 30)
    http.set_state(client, run, "SCHEDULED", force=True)
    http.set_state(client, run, "RUNNING", force=True)
    world.later(5)
    world.beats(run)
    world.later(530)
    assert world.round() == 0


def test_slow_hearts_are_given_their_time(world: World, client: TestClient, run: str) -> None:
    world.beats(run, 500, 500)
    world.later(1490)
    assert world.round() == 0
    world.later(20)
    assert world.round() == 1


@pytest.mark.parametrize("name", ["COMPLETED", "FAILED", "PAUSED", "SCHEDULED"])
def test_runs_that_are_not_running_are_left_alone(world: World, client: TestClient, run: str, name: str) -> None:
    world.beats(run, 30, 30)
    http.set_state(client, run, name, force=True)
    before = state(client, run)
    world.later(1000)
    assert world.round() == 0
    assert state(client, run) == before


def test_any_other_word_of_a_run_is_a_sign_of_life(world: World, client: TestClient, db: Database, run: str) -> None:
    world.beats(run, 30, 30)
    world.later(200)
    now = clock.now()
    columns = {"created": now, "timestamp": now, "name": "l", "level": 20, "message": "m", "flow_run_id": run}
    execute(
        db,
        "insert into log (created, timestamp, name, level, message, flow_run_id)"
        " values (:created, :timestamp, :name, :level, :message, :flow_run_id)",
        **columns,
    )
    assert world.round() == 0
    world.later(80)
    assert world.round() == 0
    http.a_task(client, run)
    world.later(89)
    assert world.round() == 0
    world.later(2)
    assert world.round() == 1


def test_silence_that_nobody_could_have_heard_does_not_count(world: World, run: str) -> None:
    world.beats(run, 30, 30)
    world.listens = False
    world.later(600)
    assert world.round() == 0
    world.listens = True
    world.later(80)
    assert world.round() == 0
    world.later(20)
    assert world.round() == 1


def test_a_run_that_dies_while_it_is_cancelled_is_cancelled(world: World, client: TestClient, run: str) -> None:
    world.beats(run, 30, 30)
    http.set_state(client, run, "CANCELLING")
    world.later(100)
    assert world.round() == 1
    assert state(client, run)[0] == "Cancelled"


def test_the_subflows_of_a_dead_run_are_not_forgotten(world: World, client: TestClient, run: str) -> None:
    child = a_subflow(client, run)
    world.beats(run, 30, 30)
    world.later(100)
    assert world.round() == 1
    assert state(client, child)[0] == "Running"


def test_a_subflow_that_beats_outlives_its_parent(world: World, client: TestClient, db: Database, run: str) -> None:
    """It may be on another machine; without heartbeats it is taken to have been part of its parent's process."""
    beating, silent = a_subflow(client, run, key="a"), a_subflow(client, run, key="b")
    world.beats(beating)
    http.set_state(client, run, "FAILED")
    world.later(70)
    assert once(Unfinished(db, RUNS, TaskOrchestration(), timedelta(seconds=60))) > 0
    assert (state(client, beating)[0], state(client, silent)[0]) == ("Running", "Crashed")


def test_with_its_worker_gone_a_run_is_dead_sooner(world: World, client: TestClient, db: Database, run: str) -> None:
    world.submits(run)
    world.beats(run, 180, 180)
    db.write_now(a_worker)
    world.later(100)
    assert world.round() == 0
    world.later(171)
    assert world.round() == 1


def test_a_run_without_heartbeats_is_dead_when_its_worker_is_gone_and_all_is_quiet(
    world: World, client: TestClient, db: Database, run: str
) -> None:
    db.write_now(a_worker)
    world.submits(run)
    world.later(300)
    assert world.round() == 0
    world.later(1)
    assert world.round() == 1
    message = "The worker 'My Worker' is gone, and nothing was heard of this run, which it started, since."
    assert state(client, run) == ("Crashed", message)


def test_a_run_without_heartbeats_whose_worker_lives_is_left_alone(world: World, db: Database, run: str) -> None:
    db.write_now(a_worker)
    world.submits(run)
    world.later(1000)
    execute(db, "update worker set last_heartbeat_time = :now", now=clock.now())
    assert world.round() == 0


def test_infrastructure_that_outlives_its_worker_is_left_alone(world: World, db: Database, run: str) -> None:
    db.write_now(a_worker)
    world.submits(run, type="kubernetes")
    world.later(1000)
    assert world.round() == 0


def test_heartbeats_of_runs_that_ended_are_forgotten(world: World, client: TestClient, db: Database, run: str) -> None:
    world.beats(run, 30)
    http.set_state(client, run, "COMPLETED")
    world.later(3500)
    world.round()
    assert value(db, "select count(*) from flow_run_heartbeat") == 1
    world.later(200)
    world.round()
    assert value(db, "select count(*) from flow_run_heartbeat") == 0


def test_word_of_what_is_no_run_is_passed_over(world: World, db: Database) -> None:
    world.beat(ids.new())
    world.tell("prefect.flow-run.heartbeat", {"prefect.resource.id": "prefect.flow-run.x"})
    world.tell("prefect.worker.submitted-flow-run", {"prefect.resource.id": "prefect.worker.process.w"})
    assert value(db, "select count(*) from flow_run_heartbeat") == 0
