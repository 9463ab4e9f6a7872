"""Statements that give slots back fail, one in twenty, before or after they did it: no slot is lost for it, and none is
given twice."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import apsw
import psycopg
import pytest
from tests import calls, rows
from tests.concurrency.http import value
from tests.faults.scale import scaled
from tests.web.client import Answer, TestClient

from lictor import flows
from lictor.concurrency import routes as limit_routes
from lictor.concurrency import store, tag_routes
from lictor.concurrency.facts import deployment_slots, tag_slots
from lictor.concurrency.loops import Repossessor
from lictor.concurrency.slots import Waits
from lictor.db import Database
from lictor.flow_runs import routes as run_routes
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.kit.errors import Unavailable
from lictor.task_runs import routes as task_run_routes
from lictor.task_runs.transitions import TaskOrchestration

CLIENTS = 8
ONE_IN = 20
SLOTS = {"deployment": 3, "tag": 2, "named": 2}
GIVE_BACK = (store.DELETE_LEASES, store.DELETE_LAPSED)
WAITS = Waits()
SDK = {"User-Agent": "prefect/3.9.1 (API 0.8.4)"}


class Faults:
    """Makes each twentieth give-back fail twice, in turn before its statement is carried out and after.

    Twice, because SQLite's writer runs a body that failed after it wrote something once more by itself.
    """

    def __init__(self, db: Database) -> None:
        self.happened = 0
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._seen: dict[tuple[str, ...], list[bool]] = {}
        self._texts = {statement.compiled(db.dialect).text for statement in GIVE_BACK}
        self._error = apsw.IOError if db.dialect.name == "sqlite" else psycopg.OperationalError

    def around(self, rows_of: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(tx: Any, statement: Any, params: dict[str, Any]) -> Any:
            before, after = self._chosen(params["ids"]) if statement.text in self._texts else (False, False)
            if before:
                raise self._error("injected")
            found = rows_of(tx, statement, params)
            if after:
                raise self._error("injected")
            return found

        return faulty

    def _chosen(self, leases: list[str]) -> tuple[bool, bool]:
        """Whether to fail before, whether to fail after."""
        with self._lock:
            key = tuple(leases)
            if key not in self._seen:
                number = next(self._numbers)
                self._seen[key] = [number % (2 * ONE_IN) == 0] * 2 if number % ONE_IN == 0 else []
            if not self._seen[key]:
                return False, False
            self.happened += 1
            after = self._seen[key].pop()
            return not after, after


@pytest.fixture
def faults(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    faults = Faults(db)
    body = type(db.read_now(lambda tx: tx))
    monkeypatch.setattr(body, "_rows", faults.around(body._rows))
    yield faults
    clock.reset()


class Held:
    """Who believes to hold a slot, and the most there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = dict.fromkeys(SLOTS, 0)
        self.most = dict.fromkeys(SLOTS, 0)

    def add(self, of: str, number: int) -> None:
        with self._lock:
            self._now[of] += number
            self.most[of] = max(self.most[of], self._now[of])


class Client:
    """Does what SDKs do: what is answered with 5xx is sent again."""

    def __init__(self, db: Database, seed: int, held: Held) -> None:
        self.http: TestClient = calls.client(
            db,
            flows.router,
            run_routes.router,
            task_run_routes.router,
            limit_routes.router,
            tag_routes.router,
            runs=Orchestration(limits=deployment_slots(WAITS)),
            tasks=TaskOrchestration(limits=tag_slots(WAITS)),
            waits=WAITS,
        )
        self.chance = random.Random(seed)
        self.held = held
        self.transitions = self.refused = 0

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        deadline = time.monotonic() + 60
        while (answer := self.http.request(method, path, json=body, headers=SDK)).status >= 500:
            assert (answer.status, time.monotonic() < deadline) == (503, True), answer
            self.refused += 1
        return answer

    def enter(self, what: str, state: str, holding: str | None = None) -> None:
        """Propose a state until the run is in it; then it holds a slot."""
        body = {"state": {"type": state, "name": state.title()}}
        while (answer := self.send("POST", f"/{what}/set_state", body).json)["status"] != "ACCEPT":
            assert answer["status"] in {"WAIT", "REJECT"}, answer
            time.sleep(0.002)
        if holding:
            self.held.add(holding, 1)
        self.transitions += 1

    def leave(self, what: str, holding: str) -> None:
        """End a run, or delete it; from before it is asked for on, somebody else may have its slot."""
        self.held.add(holding, -1)
        end = self.chance.choice(["COMPLETED", "COMPLETED", "FAILED", "CRASHED", None])
        if end is None:
            assert self.send("DELETE", f"/{what}").status == 204
            self.transitions += 1
        else:
            self.enter(what, end)

    def live(self, flow_id: str, deployment_id: str) -> None:
        """A run of the deployment, with a task of the tag."""
        planned = {"type": "SCHEDULED"}
        body: dict[str, Any] = {"flow_id": flow_id, "deployment_id": deployment_id, "state": planned}
        run = self.send("POST", "/flow_runs/", body).json["id"]
        self.enter(f"flow_runs/{run}", "PENDING", "deployment")
        self.enter(f"flow_runs/{run}", "RUNNING")
        body = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "tags": ["t"]}
        task = self.send("POST", "/task_runs/", body).json["id"]
        self.enter(f"task_runs/{task}", "RUNNING", "tag")
        self.leave(f"task_runs/{task}", "tag")
        self.leave(f"flow_runs/{run}", "deployment")

    def borrow(self) -> None:
        """A slot by name, which is given back as far as one try goes: a client that dies does not try again."""
        taken = self.send("POST", "/v2/concurrency_limits/increment-with-lease", {"names": ["named"], "slots": 1})
        if taken.status == 200:
            self.held.add("named", 1)
            self.held.add("named", -1)
            lease = {"lease_id": taken.json["lease_id"]}
            answer = self.http.post("/v2/concurrency_limits/decrement-with-lease", json=lease)
            assert answer.status in {204, 503}, answer


def test_faults_while_slots_are_given_back_lose_none_and_give_none_twice(db: Database, faults: Faults) -> None:
    held, wanted = Held(), scaled(300, 1000)
    clients = [Client(db, seed, held) for seed in range(CLIENTS)]
    flow_id, deployment_id = place(clients[0], db)

    def work(client: Client) -> int:
        while client.transitions < wanted / CLIENTS:
            client.live(flow_id, deployment_id)
        return client.transitions

    with ThreadPoolExecutor(CLIENTS) as threads:
        assert sum(threads.map(work, clients)) >= wanted
    assert faults.happened >= 2 * (wanted / 5 * 2 // ONE_IN)
    assert sum(client.refused for client in clients) >= faults.happened / 2
    assert held.most["deployment"] <= SLOTS["deployment"]
    assert held.most["tag"] <= SLOTS["tag"]
    assert taken(clients[0]) == {"deployment": 0, "tag": 0, "named": 0}
    assert value(db, "select count(*) from concurrency_lease") == 0


def test_slots_whose_holders_gave_up_after_a_fault_are_free_after_a_while(db: Database, faults: Faults) -> None:
    held = Held()
    moment = clock.now()
    clock.set_source(lambda: moment)
    client = Client(db, 0, held)
    place(client, db)
    while taken(client)["named"] < SLOTS["named"]:
        client.borrow()
    assert faults.happened >= SLOTS["named"]
    moment += timedelta(minutes=6)
    assert taken(client)["named"] == 0
    client.borrow()
    moment += timedelta(hours=2)
    asyncio.run(sweep(db))
    assert value(db, "select count(*) from concurrency_lease") == 0
    assert taken(client)["named"] == 0
    assert held.most["named"] == 1


def place(client: Client, db: Database) -> tuple[str, str]:
    """The limits, and a flow with a limited deployment."""
    ids = {
        name: client.send("POST", "/v2/concurrency_limits/", {"name": name, "limit": SLOTS[name]}).json["id"]
        for name in ("deployment", "named")
    }
    client.send("POST", "/concurrency_limits/", {"tag": "t", "concurrency_limit": SLOTS["tag"]})
    flow_id = client.send("POST", "/flows/", {"name": "f"}).json["id"]
    return flow_id, db.write_now(rows.a_deployment, flow_id, concurrency_limit_id=ids["deployment"])


def taken(client: Client) -> dict[str, int]:
    named = {"deployment": "deployment", "tag": "tag:t", "named": "named"}
    return {of: client.send("GET", f"/v2/concurrency_limits/{name}").json["active_slots"] for of, name in named.items()}


async def sweep(db: Database) -> None:
    """The repossessor, which meets faults as well and is run again, as its supervisor does."""
    service = Repossessor(db, WAITS)
    for _ in range(10):
        try:
            if not await service.run_once():
                return
        except Unavailable:
            continue
    raise AssertionError("there is always something to do")
