"""Background task runs on their way to workers: to one each, to another when the first is gone, and never twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests import calls
from tests.web.client import TestClient, WebSocketTest

from lictor import task_workers
from lictor.db import Database
from lictor.feed import Bells
from lictor.kit import clock
from lictor.kit.errors import Unavailable
from lictor.task_runs import delivery, routes, subscriptions
from lictor.task_runs.subscriptions import Hall
from lictor.task_runs.transitions import TaskOrchestration

PATH = "/task_runs/subscriptions/scheduled"


def a_server(db: Database) -> TestClient:
    routers = (routes.router, subscriptions.router, task_workers.router)
    hall = Hall(db, Bells(db).of(delivery.TOPIC), poll_seconds=0.05)
    return calls.client(db, *routers, orchestration=TaskOrchestration(), hall=hall)


@pytest.fixture
def client(db: Database) -> TestClient:
    return a_server(db)


def delay(client: TestClient, key: str = "add", **state: Any) -> str:
    details = {"deferred": True, "task_parameters_id": "00000000-0000-4000-8000-000000000001"}
    wanted = {"type": "SCHEDULED", "state_details": details} | state
    body = {"task_key": key, "dynamic_key": f"{key}-{time.monotonic_ns()}", "state": wanted}
    answer = client.post("/task_runs/", json=body)
    assert answer.status == 201, answer
    return str(answer.json["id"])


def set_state(client: TestClient, run_id: str, type: str, **more: Any) -> Any:
    state = {"type": type, "state_details": {"deferred": True}} | more
    return client.post(f"/task_runs/{run_id}/set_state", json={"state": state}).json


@contextmanager
def a_worker(client: TestClient, *keys: str, name: str = "w") -> Iterator[WebSocketTest]:
    with client.websocket(PATH) as socket:
        socket.handshake()
        socket.send({"type": "subscribe", "keys": list(keys or ("add",)), "client_id": name})
        yield socket


def take(socket: WebSocketTest) -> str:
    """The next task run, acknowledged."""
    run = socket.receive_json()
    socket.send({"type": "ack"})
    return str(run["id"])


def gets_nothing(socket: WebSocketTest, seconds: float = 0.2) -> bool:
    try:
        socket.receive(seconds)
    except TimeoutError:
        return True
    return False


def test_a_worker_is_sent_the_task_run_as_it_is(client: TestClient) -> None:
    run_id = delay(client)
    with a_worker(client) as worker:
        sent = worker.receive_json()
        worker.send({"type": "ack"})
    read = client.get(f"/task_runs/{run_id}").json
    same = set(read) - {"estimated_start_time_delta"}
    assert {key: sent[key] for key in same} == {key: read[key] for key in same}
    assert sent["state"]["state_details"]["task_parameters_id"] == "00000000-0000-4000-8000-000000000001"


def test_task_runs_come_in_their_order_one_after_the_other(client: TestClient) -> None:
    first, second = delay(client), delay(client)
    with a_worker(client) as worker:
        assert worker.receive_json()["id"] == first
        assert gets_nothing(worker)
        worker.send({"type": "ack"})
        assert take(worker) == second
        assert gets_nothing(worker)
        assert take_after(client, worker) is not None


def take_after(client: TestClient, worker: WebSocketTest) -> str:
    run_id = delay(client)
    assert take(worker) == run_id
    return run_id


def test_a_worker_gets_only_tasks_that_it_runs(client: TestClient) -> None:
    delay(client, "other")
    with a_worker(client, "add", "mul") as worker:
        assert gets_nothing(worker)
        run_id = delay(client, "mul")
        assert take(worker) == run_id


def test_each_task_run_goes_to_one_worker_on_whatever_server(client: TestClient, db: Database) -> None:
    other = a_server(db)
    with a_worker(client) as here, a_worker(other) as there:
        assert gets_nothing(there, 0.1)
        for _ in range(3):
            run_id = delay(client)
            assert here.receive_json()["id"] == run_id
            second = delay(client)
            assert there.receive_json()["id"] == second
            here.send({"type": "ack"})
            there.send({"type": "ack"})
            assert gets_nothing(here, 0.1)
            assert gets_nothing(there, 0.1)


def test_what_is_not_acknowledged_goes_to_another(client: TestClient) -> None:
    run_id = delay(client)
    with a_worker(client) as worker:
        assert worker.receive_json()["id"] == run_id
    with a_worker(client) as worker:
        assert take(worker) == run_id
    with a_worker(client) as worker:
        assert gets_nothing(worker)


def test_what_a_server_that_died_had_sent_goes_to_another(client: TestClient, db: Database) -> None:
    run_id = delay(client)
    dead = delivery.Connection("00000000-0000-4000-8000-00000000000a", "w", ("add",))
    db.write_now(delivery.seen, [dead])
    assert list(db.write_now(delivery.claim, [dead])) == [dead.id]
    with a_worker(client) as worker:
        assert gets_nothing(worker)
        later = clock.now() + timedelta(seconds=31)
        clock.set_source(lambda: later)
        assert take(worker) == run_id


def test_what_a_worker_has_begun_is_not_sent_again(client: TestClient, db: Database) -> None:
    """The acknowledgement was lost with the server, but the task run has gone on."""
    run_id = delay(client)
    with a_worker(client) as worker:
        worker.receive_json()
        set_state(client, run_id, "PENDING")
    with a_worker(client) as worker:
        assert gets_nothing(worker)
    assert not db.read_now(delivery.waiting, ["add"])


def test_a_deleted_task_run_is_not_sent(client: TestClient) -> None:
    client.delete(f"/task_runs/{delay(client)}")
    with a_worker(client) as worker:
        assert gets_nothing(worker)


def test_a_task_run_that_is_set_to_scheduled_is_sent(client: TestClient) -> None:
    run_id = delay(client, type="PENDING")
    with a_worker(client) as worker:
        assert gets_nothing(worker)
        set_state(client, run_id, "RUNNING")
        assert gets_nothing(worker)
        set_state(client, run_id, "SCHEDULED")
        assert take(worker) == run_id


def test_a_retry_waits_for_its_time_and_then_goes_first(client: TestClient) -> None:
    run_id = delay(client)
    with a_worker(client) as worker:
        take(worker)
        at = clock.now() + timedelta(minutes=1)
        details = {"deferred": True, "scheduled_time": at.isoformat()}
        set_state(client, run_id, "SCHEDULED", name="AwaitingRetry", state_details=details)
        assert gets_nothing(worker)
        clock.set_source(lambda: at)
        delay(client)
        assert take(worker) in {run_id}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"type": "hello"}, "expected 'subscribe' message"),
        ({"type": "subscribe", "client_id": "c"}, "expected 'keys' in subscribe message"),
        ({"type": "subscribe", "keys": [], "client_id": "c"}, "expected 'keys' in subscribe message"),
        ({"type": "subscribe", "keys": ["a"]}, "expected 'client_id' in subscribe message"),
    ],
)
def test_a_bad_subscription_is_refused(client: TestClient, frame: dict[str, Any], reason: str) -> None:
    with client.websocket(PATH) as socket:
        socket.handshake()
        socket.send(frame)
        closed = socket.receive()
        assert (closed["code"], closed["reason"]) == (4001, f"Protocol violation: {reason}")


def test_an_answer_that_is_no_acknowledgement_ends_the_conversation(client: TestClient) -> None:
    run_id = delay(client)
    with a_worker(client) as worker:
        worker.receive_json()
        worker.send({"type": "nack"})
        closed = worker.receive()
        assert (closed["code"], closed["reason"]) == (4001, "Protocol violation: expected 'ack' message")
    with a_worker(client) as worker:
        worker.receive_json()
        worker.send({"type": "quit"})
        assert worker.receive()["code"] == 1000
    with a_worker(client) as worker:
        assert take(worker) == run_id


def workers(client: TestClient, *keys: str) -> Any:
    body = {"task_worker_filter": {"task_keys": list(keys)}} if keys else {}
    found = client.post("/task_workers/filter", json=body).json
    return [(one["identifier"], one["task_keys"]) for one in found]


def test_workers_are_listed_while_they_are_connected(client: TestClient, db: Database) -> None:
    with a_worker(client, "a", name="one") as one, a_worker(client, "b", "a", name="two") as two:
        assert gets_nothing(one, 0.1)
        assert gets_nothing(two, 0.1)
        assert workers(client) == workers(a_server(db), "a") == [("one", ["a"]), ("two", ["a", "b"])]
        assert workers(client, "b", "c") == [("two", ["a", "b"])]
        later = clock.now() + timedelta(seconds=31)
        clock.set_source(lambda: later)
        assert workers(client) == []
        clock.reset()
    assert workers(client) == []


def test_a_connection_that_is_there_is_told_of_again_and_again(
    client: TestClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SEEN_EVERY", 0.05)
    with a_worker(client, "a") as worker:
        assert gets_nothing(worker, 0.05)
        later = clock.now() + timedelta(seconds=31)
        clock.set_source(lambda: later)
        assert gets_nothing(worker, 0.3)
        assert workers(client) == [("w", ["a"])]


def test_an_acknowledgement_is_written_when_the_database_is_back(
    client: TestClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = delay(client)
    away = [True, True]
    acknowledge = delivery.acknowledge

    def refused(*args: Any) -> None:
        if away:
            away.pop()
            raise Unavailable("away")
        acknowledge(*args)

    monkeypatch.setattr(delivery, "acknowledge", refused)
    with a_worker(client) as worker:
        assert take(worker) == run_id
        assert gets_nothing(worker, 1)
    assert not db.read_now(delivery.waiting, ["add"])


def test_many_task_runs_and_workers(client: TestClient, db: Database) -> None:
    """Two servers claim at the same time: nobody gets what another has."""
    for _ in range(20):
        delay(client)
    connections = [delivery.Connection(f"00000000-0000-4000-8000-00000000000{n}", "w", ("add",)) for n in range(5)]
    db.write_now(delivery.seen, connections)

    async def claim_all() -> list[str]:
        got = await asyncio.gather(*(db.write(delivery.claim, [one]) for one in connections * 5))
        return [run.id for claimed in got for run in claimed.values()]

    claimed = asyncio.run(claim_all())
    assert len(claimed) == len(set(claimed)) == 20
