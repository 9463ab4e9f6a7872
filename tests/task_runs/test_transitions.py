"""Setting states of task runs: races, the cache and when it ends, and what is undone when an effect fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.task_runs import http
from tests.web.client import TestClient

from lictor.db import Database, LostRace, Tx, sql
from lictor.kit import clock
from lictor.states import constructors
from lictor.states.types import StateCreate, StateTypeName
from lictor.task_runs import store, transitions
from lictor.task_runs.facts import NoTagLimits, TagLimit
from lictor.task_runs.transitions import TaskOrchestration

CACHED = sql("test.task_runs.cached", int, "select count(*) from task_run_state_cache")
RESULT = {"type": "result", "key": "a"}


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def cached(db: Database) -> int:
    return db.read_now(lambda tx: int(tx.value(CACHED)))


# --- races


class Meeting:
    """Limits that let nobody write before all have read; whoever comes again, after a lost race, goes through."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)
        self.came = threading.local()
        self.tries = 0

    def __call__(self, tx: Tx) -> NoTagLimits:
        self.tries += 1
        if not getattr(self.came, "yes", False):
            self.came.yes = True
            self.barrier.wait(20)
        return NoTagLimits()


def propose(db: Database, orchestration: TaskOrchestration, run_id: str, type_: StateTypeName) -> tuple[str, str]:
    outcome = db.write_now(transitions.set_state, orchestration, run_id, StateCreate(type_))
    state = outcome.result.state
    return outcome.result.status, "" if state is None else state.name


def test_of_two_at_once_the_second_decides_on_what_the_first_wrote(
    client: TestClient, db: Database, dialect: str
) -> None:
    """On PostgreSQL both have read the Pending run before either writes."""
    run = http.a_task_run(client)
    meeting = Meeting(2)
    orchestration = TaskOrchestration(limits=meeting) if dialect == "postgres" else TaskOrchestration()
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(propose, db, orchestration, run["id"], StateTypeName.RUNNING) for _ in range(2)]
        answers = sorted(one.result() for one in tries)
    assert answers == [("ACCEPT", "Rerunning"), ("ACCEPT", "Running")]
    assert http.history(client, run["id"]) == ["Pending", "Running", "Rerunning"]
    assert http.read(client, run["id"])["run_count"] == 2
    if dialect == "postgres":
        assert meeting.tries == 3


def test_a_run_that_many_finish_has_one_state_of_each_that_was_accepted(client: TestClient, db: Database) -> None:
    run = http.a_task_run(client, state={"type": "RUNNING"})
    types = [StateTypeName.COMPLETED, StateTypeName.CRASHED, StateTypeName.CANCELLING, StateTypeName.RUNNING] * 3
    with ThreadPoolExecutor(len(types)) as pool:
        answers = list(pool.map(lambda type_: propose(db, TaskOrchestration(), run["id"], type_), types))
    names = [name for status, name in answers if status == "ACCEPT"]
    assert sorted(http.history(client, run["id"])) == sorted(["Running", *names])
    states = client.get(f"/task_run_states/?task_run_id={run['id']}").json
    assert http.read(client, run["id"])["state_id"] == states[-1]["id"]


def test_a_lost_race_is_told_by_the_guard(client: TestClient, db: Database) -> None:
    run = http.a_task_run(client)

    def stale(tx: Tx) -> None:
        with pytest.raises(LostRace):
            store.enter(tx, run["id"], None, None, {"state_name": "x"}, clock.now())

    db.write_now(stale)
    assert http.read(client, run["id"])["state_name"] == "Pending"


# --- the cache


def completed(client: TestClient, dynamic_key: str, **details: Any) -> dict[str, Any]:
    """The state of a run that was completed with these details."""
    run = http.a_task_run(client, dynamic_key=dynamic_key, state={"type": "RUNNING"})
    answer = http.set_state(client, run["id"], "COMPLETED", data=RESULT, message=dynamic_key, state_details=details)
    assert answer["status"] == "ACCEPT"
    state: dict[str, Any] = answer["state"]
    return state


def started(client: TestClient, dynamic_key: str, **details: Any) -> dict[str, Any]:
    """What a run is answered that is to be Running with these details."""
    run = http.a_task_run(client, dynamic_key=dynamic_key)
    return http.set_state(client, run["id"], "RUNNING", state_details=details)


def test_a_cached_result_is_there_until_it_expires(client: TestClient) -> None:
    begin = clock.now()
    completed(client, "0", cache_key="key", cache_expiration=(begin + timedelta(hours=1)).isoformat())
    answer = started(client, "1", cache_key="key")
    assert (answer["status"], answer["state"]["name"], answer["state"]["data"]) == ("REJECT", "Cached", RESULT)
    assert answer["details"]["reason"] == "Retrieved state from cache"
    at(begin + timedelta(minutes=59))
    assert started(client, "2", cache_key="key")["state"]["name"] == "Cached"
    at(begin + timedelta(hours=1))
    assert started(client, "3", cache_key="key")["status"] == "ACCEPT"


def at(moment: datetime) -> None:
    clock.set_source(lambda: moment)


def test_the_last_result_that_has_not_expired_counts(client: TestClient) -> None:
    begin = clock.now()
    completed(client, "for good", cache_key="key")
    completed(client, "for an hour", cache_key="key", cache_expiration=(begin + timedelta(hours=1)).isoformat())
    assert started(client, "1", cache_key="key")["state"]["message"] == "for an hour"
    at(begin + timedelta(hours=2))
    assert started(client, "2", cache_key="key")["state"]["message"] == "for good"


def test_who_wants_the_cache_refreshed_runs_and_whose_key_is_another_too(client: TestClient) -> None:
    completed(client, "0", cache_key="key")
    assert started(client, "1", cache_key="key", refresh_cache=True)["status"] == "ACCEPT"
    assert started(client, "2", cache_key="other")["status"] == "ACCEPT"
    assert started(client, "3")["status"] == "ACCEPT"


def test_a_cached_run_enters_the_state_that_was_cached_as_its_own(client: TestClient) -> None:
    source = completed(client, "0", cache_key="key")
    answer = started(client, "1", cache_key="key")
    state = answer["state"]
    assert state["id"] != source["id"]
    run = http.read(client, state["state_details"]["task_run_id"])
    assert (run["state_id"], run["state_type"], run["run_count"]) == (state["id"], "COMPLETED", 0)


# --- one transaction


class Broken(NoTagLimits):
    """Takes no slot back."""

    def tag_limits(self, tags: list[str]) -> list[TagLimit]:
        return []

    def give_back(self, tags: tuple[str, ...], task_run_id: str) -> None:
        raise RuntimeError("no")


def test_an_effect_that_fails_undoes_all(client: TestClient, db: Database) -> None:
    """The state, the run and the cache are written by then, and go with it."""
    run = http.a_task_run(client, tags=["limited"], state={"type": "RUNNING"})
    before = http.read(client, run["id"])["state_id"]
    broken = http.client(db, TaskOrchestration(limits=lambda tx: Broken()))
    body = {"state": {"type": "COMPLETED", "state_details": {"cache_key": "key"}}}
    assert broken.post(f"/task_runs/{run['id']}/set_state", json=body).status == 500
    assert http.read(client, run["id"])["state_id"] == before
    assert http.history(client, run["id"]) == ["Running"]
    assert cached(db) == 0
    assert client.post(f"/task_runs/{run['id']}/set_state", json=body).status == 201
    assert cached(db) == 1


# --- what flow runs ask for


def test_the_mirror_of_a_subflow_that_is_gone_is_left_alone(db: Database) -> None:
    db.write_now(transitions.force_state, "00000000-0000-4000-8000-000000000000", constructors.running())


def test_a_flow_that_is_retried_retries_its_failed_task_runs(client: TestClient, db: Database) -> None:
    flow_run = http.a_flow_run(client)
    failed = [http.a_task_run(client, dynamic_key=str(n), flow_run_id=flow_run)["id"] for n in range(2)]
    for run_id in failed:
        http.set_state(client, run_id, "RUNNING")
        http.set_state(client, run_id, "FAILED")
    sound = http.a_task_run(client, dynamic_key="sound", flow_run_id=flow_run)["id"]
    moment = clock.now() + timedelta(seconds=30)
    db.write_now(transitions.retry_failed, flow_run, moment)
    for run_id in failed:
        run = http.read(client, run_id)
        assert (run["state_name"], run["run_count"]) == ("AwaitingRetry", 0)
        assert http.history(client, run_id) == ["Pending", "Running", "Failed", "AwaitingRetry"]
    assert http.read(client, sound)["state_name"] == "Pending"
