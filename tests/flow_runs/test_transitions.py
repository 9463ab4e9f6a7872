"""Setting states: what is written in one transaction, who wins a race, and what the events say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from tests import rows
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.db import Database, LostRace, Tx, sql
from lictor.flow_runs import create, store, transitions
from lictor.flow_runs.facts import DeploymentLimit, FlowFacts, NoLimits
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate
from lictor.kit import clock, ids
from lictor.kit.errors import Unavailable
from lictor.states import constructors
from lictor.states.callers import SERVER
from lictor.states.types import StateCreate, StateTypeName

DETAILS = sql("test.transitions.details", dict[str, Any], "select state_details from flow_run_state where id = :id")


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


def test_a_life(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "SCHEDULED", parameters={"a": [1]})
    for type_ in ("PENDING", "RUNNING", "COMPLETED"):
        assert http.set_state(client, run["id"], type_)["status"] == "ACCEPT"
    names = ["Scheduled", "Pending", "Running", "Completed"]
    assert http.history(client, run["id"]) == names
    told = http.events(db, run["id"])
    assert [one.event for one in told] == [f"prefect.flow-run.{name}" for name in names]
    assert [one.follows for one in told] == [None, *(one.id for one in told[:-1])]
    assert [one.resource["prefect.run-count"] for one in told] == ["0", "0", "1", "1"]
    after = http.read(client, run["id"])
    assert (after["run_count"], after["state_id"], after["parameters"]) == (1, told[-1].id, {"a": [1]})
    assert after["total_run_time"] > 0


class Meeting:
    """Limits that let nobody write before all have read; whoever comes again, after a lost race, goes through."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)
        self.came = threading.local()
        self.tries = 0

    def __call__(self, tx: Tx) -> FlowFacts:
        self.tries += 1
        if not getattr(self.came, "yes", False):
            self.came.yes = True
            self.barrier.wait(20)
        return NoLimits()


def propose(db: Database, orchestration: Orchestration, run_id: str, type_: StateTypeName) -> str:
    wanted = StateCreate(type_)
    return db.write_now(transitions.set_state, orchestration, run_id, wanted, caller=SERVER).result.status


def test_of_two_workers_that_take_a_run_one_gets_it(client: TestClient, db: Database, dialect: str) -> None:
    """On PostgreSQL both have read the SCHEDULED run before either writes: the loser decides anew on PENDING."""
    run = http.a_run(client, "SCHEDULED")
    meeting = Meeting(2)
    orchestration = Orchestration(limits=meeting) if dialect == "postgres" else Orchestration()
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(propose, db, orchestration, run["id"], StateTypeName.PENDING) for _ in range(2)]
        answers = sorted(one.result() for one in tries)
    assert answers == ["ABORT", "ACCEPT"]
    assert http.history(client, run["id"]) == ["Scheduled", "Pending"]
    assert len(http.events(db, run["id"])) == 2
    if dialect == "postgres":
        assert meeting.tries == 3


def test_many_proposals_at_once_are_decided_one_after_the_other(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING")
    types = [StateTypeName.RUNNING, StateTypeName.PAUSED, StateTypeName.COMPLETED, StateTypeName.CANCELLING] * 3
    with ThreadPoolExecutor(len(types)) as pool:
        answers = list(pool.map(lambda type_: propose(db, Orchestration(), run["id"], type_), types))
    told = http.events(db, run["id"])
    assert len(told) == 1 + answers.count("ACCEPT")
    # Each event follows the one before it: no decision was made on a state that another had left already.
    for before, after in pairwise(told):
        assert after.follows == before.id
        assert after.payload["intended"]["from"] == before.payload["intended"]["to"]
    assert http.read(client, run["id"])["state_id"] == told[-1].id


def test_a_lost_race_is_told_by_the_guard(client: TestClient, db: Database) -> None:
    run = http.a_run(client)

    def stale(tx: Tx) -> None:
        with pytest.raises(LostRace):
            store.enter(tx, run["id"], None, None, {"state_name": "x"}, clock.now())

    db.write_now(stale)
    assert http.read(client, run["id"])["state_name"] == "Pending"


def test_a_new_state_is_not_entered_after_a_lost_race(client: TestClient, db: Database) -> None:
    run = http.a_run(client)
    tries = 0

    def stale_at_first(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        seen = run["state_id"] if tries > 1 else ids.new()
        store.enter(tx, run["id"], seen, constructors.running(), {"state_type": "RUNNING"}, clock.now())

    db.write_now(stale_at_first)
    assert tries == 2
    assert http.read(client, run["id"])["state_type"] == "RUNNING"
    history = client.get("/flow_run_states/", params={"flow_run_id": run["id"]}).json
    assert [state["type"] for state in history] == ["PENDING", "RUNNING"]


def test_a_race_that_is_never_won_is_a_503(client: TestClient, db: Database) -> None:
    run = http.a_run(client)

    def stale(tx: Tx) -> None:
        store.enter(tx, run["id"], ids.new(), constructors.running(), {"state_type": "RUNNING"}, clock.now())

    with pytest.raises(Unavailable):
        db.write_now(stale)
    assert http.read(client, run["id"])["state_type"] == "PENDING"


class Broken(NoLimits):
    """Gives no slot back."""

    def give_back(self, deployment_id: str, lease_id: str | None) -> None:
        raise RuntimeError("no")


def test_an_effect_that_fails_undoes_all(db: Database) -> None:
    """The parent's mirror, the state and the event are written by then, and go with it."""
    sound = http.client(db)
    parent = http.a_run(sound, "RUNNING")
    task = http.a_task(sound, parent["id"])
    deployment = db.write_now(rows.a_deployment, parent["flow_id"])
    child = http.a_run(sound, "RUNNING", parent_task_run_id=task, deployment_id=deployment)
    before = (http.read(sound, child["id"])["state_id"], sound.get(f"/task_runs/{task}").json["state_id"])
    told = http.events(db)
    broken = http.client(db, Orchestration(limits=lambda tx: Broken()))
    body = {"state": {"type": "COMPLETED"}}
    assert broken.post(f"/flow_runs/{child['id']}/set_state", json=body).status == 500
    assert (http.read(sound, child["id"])["state_id"], sound.get(f"/task_runs/{task}").json["state_id"]) == before
    assert http.events(db) == told
    assert http.history(sound, child["id"]) == ["Running"]
    assert http.set_state(sound, child["id"], "COMPLETED")["status"] == "ACCEPT"


class OneSlot(NoLimits):
    """A limit whose leases are on a list."""

    def __init__(self) -> None:
        self.freed: list[tuple[str, str | None]] = []

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        return DeploymentLimit("limit", 1)

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str) -> str | None:
        return "01900000-0000-7000-8000-000000000001"

    def give_back(self, deployment_id: str, lease_id: str | None) -> None:
        self.freed.append((deployment_id, lease_id))


@pytest.mark.parametrize("bulk", [True, False])
def test_a_deleted_run_gives_its_slot_back(db: Database, bulk: bool) -> None:
    slots = OneSlot()
    client = http.client(db, Orchestration(limits=lambda tx: slots))
    deployment = db.write_now(rows.a_deployment, http.a_flow(client))
    run = http.a_run(client, "SCHEDULED", deployment_id=deployment)["id"]
    idle = http.a_run(client, "SCHEDULED", deployment_id=deployment)["id"]
    pending = http.set_state(client, run, "PENDING")
    lease = pending["state"]["state_details"]["deployment_concurrency_lease_id"]
    if bulk:
        assert client.post("/flow_runs/bulk_delete", json={}).json["deleted"] == sorted((run, idle), reverse=True)
    else:
        assert [client.delete(f"/flow_runs/{one}").status for one in (run, idle)] == [204, 204]
    assert slots.freed == [(deployment, lease)]


def test_the_parent_s_task_run_is_in_the_same_state(client: TestClient, db: Database) -> None:
    parent = http.a_run(client, "RUNNING")
    task = http.a_task(client, parent["id"])
    child = http.a_run(client, parent_task_run_id=task)
    for type_, count in (("RUNNING", 1), ("COMPLETED", 1)):
        answer = http.set_state(client, child["id"], type_, message="m", data={"type": "result", "key": 1})
        mirror = client.get(f"/task_runs/{task}").json
        assert (mirror["state_type"], mirror["run_count"]) == (type_, count)
        assert (mirror["state"]["message"], mirror["state"]["data"]) == ("m", {"type": "result", "key": 1})
        assert mirror["state"]["state_details"]["child_flow_run_id"] == child["id"]
        assert mirror["state_id"] != answer["state"]["id"]
    assert [
        one.event for one in http.events(db) if task in str(one.resource)
    ] == []  # mirrors tell nothing of their own


def test_a_subflow_whose_parent_is_gone_goes_on(client: TestClient) -> None:
    parent = http.a_run(client, "RUNNING")
    child = http.a_run(client, "RUNNING", parent_task_run_id=http.a_task(client, parent["id"]))
    assert client.delete(f"/flow_runs/{parent['id']}").status == 204
    assert http.read(client, child["id"])["parent_task_run_id"] is None
    assert http.set_state(client, child["id"], "COMPLETED")["status"] == "ACCEPT"


def test_what_an_event_is_about(client: TestClient, db: Database) -> None:
    flow_id = http.a_flow(client, "f", tags=["flow", "all"])
    deployment = db.write_now(rows.a_deployment, flow_id, "d", tags=["deployment", "all"])
    parent = http.a_run(client, "RUNNING", flow_id=http.a_flow(client, "parent"), name="p")
    task = http.a_task(client, parent["id"], tags=["task"])
    body = {"flow_id": flow_id, "deployment_id": deployment, "parent_task_run_id": task, "tags": ["run", "all"]}
    run = http.a_run(client, "RUNNING", name="r", **body)
    state = http.set_state(client, run["id"], "FAILED", name="Sad", message="why")["state"]
    told = http.events(db, run["id"])[-1]
    at = datetime.fromisoformat(state["timestamp"])
    assert (told.id, told.event) == (state["id"], "prefect.flow-run.Sad")
    assert told.resource == {
        "prefect.resource.id": f"prefect.flow-run.{run['id']}",
        "prefect.resource.name": "r",
        "prefect.run-count": "1",
        "prefect.state-message": "why",
        "prefect.state-name": "Sad",
        "prefect.state-timestamp": at.isoformat(),
        "prefect.state-type": "FAILED",
    }
    related = [
        (one["prefect.resource.role"], one["prefect.resource.id"].removeprefix("prefect.")) for one in told.related
    ]
    assert related == [
        ("flow", f"flow.{flow_id}"),
        ("deployment", f"deployment.{deployment}"),
        ("task-run", f"task-run.{task}"),
        *(("tag", f"tag.{tag}") for tag in ("all", "deployment", "flow", "run", "task")),
    ]
    assert [one.get("prefect.resource.name") for one in told.related[:3]] == ["f", "d", "child"]
    assert told.payload == {
        "intended": {"from": "RUNNING", "to": "FAILED"},
        "initial_state": {"type": "RUNNING", "name": "Running"},
        "validated_state": {"type": "FAILED", "name": "Sad", "message": "why"},
    }


def test_a_pause_says_whether_its_process_ends(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    http.set_state(client, run, "PAUSED", state_details={"pause_key": "k"})
    http.set_state(client, run, "PAUSED", name="Suspended", state_details={"pause_reschedule": True}, force=True)
    paused = [one.payload["validated_state"].get("pause_reschedule") for one in http.events(db, run)]
    assert paused == [None, "false", "true"]


def test_refusals_are_told_only_if_they_lead_somewhere(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING", empirical_policy={"retries": 1, "retry_delay": 0})["id"]
    assert http.set_state(client, run, "PENDING")["status"] == "ABORT"
    assert http.set_state(client, run, "FAILED")["status"] == "REJECT"
    assert [one.event for one in http.events(db, run)] == ["prefect.flow-run.Running", "prefect.flow-run.AwaitingRetry"]
    assert http.events(db, run)[-1].payload["intended"] == {"from": "RUNNING", "to": "SCHEDULED"}


@pytest.mark.parametrize(("minutes", "follows"), [(4, True), (6, False)])
def test_an_event_follows_one_that_is_near(client: TestClient, db: Database, minutes: int, follows: bool) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock.set_source(lambda: start)
    run = http.a_run(client, "RUNNING")["id"]
    clock.set_source(lambda: start + timedelta(minutes=minutes))
    http.set_state(client, run, "COMPLETED")
    first, last = http.events(db, run)
    assert last.follows == (first.id if follows else None)
    assert http.read(client, run)["total_run_time"] == minutes * 60


def test_long_messages_are_told_by_their_ends(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    message = "a" * 60_000 + "b" * 60_000
    assert http.set_state(client, run, "FAILED", message=message)["state"]["message"] == message
    told = http.events(db, run)[-1]
    shorter = "a" * 50_000 + "...20000 additional characters..." + "b" * 50_000
    assert told.resource["prefect.state-message"] == told.payload["validated_state"]["message"] == shorter


def test_two_states_of_one_instant_keep_their_order(client: TestClient) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock.set_source(lambda: start)
    run = http.a_run(client, "PENDING")["id"]
    http.set_state(client, run, "RUNNING")
    http.set_state(client, run, "COMPLETED")
    states = client.get(f"/flow_run_states/?flow_run_id={run}").json
    assert [one["timestamp"] for one in states] == [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000001Z",
        "2026-01-01T00:00:00.000002Z",
    ]


def test_a_result_that_is_kept_nowhere_is_not_kept(client: TestClient) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    answer = http.set_state(client, run, "COMPLETED", data={"type": "unpersisted"})
    assert answer["state"]["data"] == {"type": "unpersisted"}
    assert http.read(client, run)["state"]["data"] is None
    assert client.get(f"/flow_run_states/{answer['state']['id']}").json["data"] is None


def test_only_what_a_state_says_of_its_details_is_stored(client: TestClient, db: Database) -> None:
    run = http.a_run(client)
    assert db.read_now(lambda tx: tx.one(DETAILS, id=run["state_id"])) == {"flow_run_id": run["id"]}


def test_the_same_transition_is_made_once(client: TestClient, db: Database) -> None:
    run = http.a_run(client, "SCHEDULED")["id"]
    details: dict[str, Any] = {"state_details": {"transition_id": "01900000-0000-7000-8000-000000000002"}}
    first = http.set_state(client, run, "PENDING", **details)
    again = http.set_state(client, run, "PENDING", **details)
    assert (first["status"], again["status"]) == ("ACCEPT", "REJECT")
    assert again["state"]["id"] == first["state"]["id"]
    assert len(http.events(db, run)) == 2


def test_a_state_of_the_server_s_own(db: Database, client: TestClient) -> None:
    run = http.a_run(client, "RUNNING")["id"]
    wanted = constructors.crashed(message="lost")
    outcome = db.write_now(transitions.set_state, Orchestration(), run, wanted)
    assert (outcome.new, outcome.result.status) == (True, "ACCEPT")
    assert http.read(client, run)["state"]["message"] == "lost"


def test_what_a_life_costs_in_statements(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a dear part of the hot path: one more has to be worth it."""
    kinds: list[str] = []
    driver = type(db.write_now(lambda tx: tx))
    for kind in ("_first", "_rows", "_run", "_put", "_many"):
        monkeypatch.setattr(driver, kind, counted(kinds, kind, getattr(driver, kind)))
    if db.dialect.name == "postgres":
        monkeypatch.setattr(driver, "guarded", counted(kinds, "guarded", driver.guarded))
    orchestration = Orchestration()
    flow_id = UUID(db.write_now(rows.a_flow))
    asked = FlowRunCreate(flow_id=flow_id, state=StateCreate(StateTypeName.SCHEDULED))
    run, _ = db.write_now(create.create, orchestration, asked, caller=SERVER)
    for type_ in (StateTypeName.PENDING, StateTypeName.RUNNING, StateTypeName.COMPLETED):
        propose(db, orchestration, run.id, type_)
    kinds.clear()
    run, _ = db.write_now(create.create, orchestration, asked, caller=SERVER)
    assert len(kinds) == {"sqlite": 5, "postgres": 4}[db.dialect.name], kinds
    for type_ in (StateTypeName.PENDING, StateTypeName.RUNNING, StateTypeName.COMPLETED):
        kinds.clear()
        propose(db, orchestration, run.id, type_)
        assert len(kinds) == {"sqlite": 5, "postgres": 3}[db.dialect.name], kinds


def counted(kinds: list[str], kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*args: Any, **kwargs: Any) -> Any:
        kinds.append(kind)
        return call(*args, **kwargs)

    return counting
