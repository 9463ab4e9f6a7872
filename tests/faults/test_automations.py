"""Automations while the server is killed, an endpoint is slow, or the database goes away: each firing happens once."""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bench.postgres import Postgres
from bench.servers import Server
from tests.asking import ask
from tests.faults.place import Place
from tests.faults.scale import scaled

EVENTS = scaled(600, 20_000)
AUTOMATIONS = scaled(8, 50)
KILLS = scaled(4, 40)
FIRINGS = scaled(20, 100)
BATCH = 10
DEADLINE = 120.0
pytestmark = pytest.mark.timeout(300 + 30 * KILLS)

TOLD = "select resource_id from events where event = '{name}'"


class Client:
    """Sends until there is an answer: what was sent twice has the same id, and counts once."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def send(self, method: str, path: str, body: Any = None) -> Any:
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(httpx.TransportError):
                url = f"http://{self._server.host}:{self._server.port}/api{path}"
                answer = ask.request(method, url, json=body, timeout=30)
                if answer.status_code < 500:
                    assert answer.status_code < 400, answer.text
                    return answer.json() if answer.content else None
            assert time.monotonic() < deadline, f"no answer to {method} {path}"
            time.sleep(0.1)

    def automate(self, name: str, trigger: dict[str, Any], *actions: dict[str, Any]) -> str:
        trigger = {"type": "event", "posture": "Reactive", **trigger}
        made = self.send("POST", "/automations/", {"name": name, "trigger": trigger, "actions": list(actions)})
        return str(made["id"])

    def happen(self, *names: str) -> None:
        self.send("POST", "/events", [event(name) for name in names])


def event(name: str) -> dict[str, Any]:
    resource = {"prefect.resource.id": f"thing.{random.randrange(20)}"}
    return {"occurred": datetime.now(UTC).isoformat(), "event": name, "resource": resource, "id": str(uuid4())}


def told(place: Place, name: str) -> Counter[str]:
    """How often each automation tells of something, by its id."""
    return Counter(row[0].rpartition(".")[2] for row in place.rows(TOLD.format(name=name)))


def until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def arrive(place: Place, name: str, expected: int, server: Server) -> None:
    """Wait for so many events of a name, as long as more of them come: how soon is told elsewhere."""
    seen, deadline = -1, 0.0
    while seen < expected:
        if (now := told(place, name).total()) > seen:
            seen, deadline = now, time.monotonic() + DEADLINE
        assert time.monotonic() < deadline, f"{seen} of {expected} {name}, {server.tail()}"
        time.sleep(0.2)


def test_each_firing_happens_once_however_often_the_server_is_killed(
    place: Place, start: Callable[[Place], Server]
) -> None:
    server = start(place)
    client = Client(server)
    # Some fire for each event of theirs, some for each second or third, whatever their resource and time.
    thresholds = [1 + number % 3 for number in range(AUTOMATIONS)]
    ids = [
        client.automate(f"a{number}", {"expect": [f"load.{number}"], "threshold": n}, {"type": "do-nothing"})
        for number, n in enumerate(thresholds)
    ]
    moments = set(random.sample(range(EVENTS // BATCH), KILLS))
    sent: Counter[int] = Counter()
    for number in range(EVENTS // BATCH):
        chosen = [random.randrange(AUTOMATIONS) for _ in range(BATCH)]
        client.happen(*(f"load.{one}" for one in chosen))
        sent.update(chosen)
        if number in moments:
            time.sleep(random.uniform(0, 0.1))
            server.kill()
            server.start()
    expected = {id: sent[n] // thresholds[n] for n, id in enumerate(ids) if sent[n] >= thresholds[n]}
    arrive(place, "prefect.automation.action.executed", sum(expected.values()), server)
    time.sleep(1)  # time enough for one too many
    assert told(place, "prefect.automation.triggered") == expected
    assert told(place, "prefect.automation.action.executed") == expected


class Endpoints:
    """`/quick` answers 204 without a body, `/never` does not answer."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.over = threading.Event()
        calls, over = self.calls, self.over

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                calls[self.path] += 1
                if self.path == "/never":
                    over.wait(DEADLINE)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoints() -> Iterator[Endpoints]:
    made = Endpoints()
    yield made
    made.close()


def webhook(client: Client, url: str) -> dict[str, Any]:
    """An action that calls a webhook block of this URL."""
    block_type = client.send("GET", "/block_types/slug/webhook")
    of_type = {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}}
    schema = client.send("POST", "/block_schemas/filter", of_type)[0]
    block = {
        "name": f"w{uuid4().hex[:8]}",
        "data": {"url": url, "method": "POST", "allow_private_urls": True},
        "block_type_id": block_type["id"],
        "block_schema_id": schema["id"],
    }
    made = client.send("POST", "/block_documents/", block)
    return {"type": "call-webhook", "block_document_id": made["id"], "payload": "{{ event.id }}"}


def test_an_endpoint_that_never_answers_keeps_nobody_waiting(
    place: Place, start: Callable[[Place], Server], endpoints: Endpoints
) -> None:
    client = Client(start(place))
    address = f"http://127.0.0.1:{endpoints.port}"
    client.automate("never", {"expect": ["never"]}, webhook(client, f"{address}/never"))
    client.automate("quick", {"expect": ["quick"]}, webhook(client, f"{address}/quick"))
    client.happen("quick")
    until(lambda: endpoints.calls["/quick"] == 1, "the first call loads what calls need")
    client.happen(*["never"] * FIRINGS)
    until(lambda: endpoints.calls["/never"] > 0, "the slow endpoint was not called")
    waits = []
    for number in range(2, 7):
        begun = time.monotonic()
        client.happen("quick")
        until(lambda number=number: endpoints.calls["/quick"] == number, "a quick call did not come", 20)
        waits.append(time.monotonic() - begun)
    assert sorted(waits)[2] < 1, waits  # the median: the machine of the tests may be busy
    until(
        lambda: told(place, "prefect.automation.action.executed").total() == 6,
        "calls that were answered were not recorded",
    )
    payload = place.rows("select payload from events where event = 'prefect.automation.action.executed'")[0][0]
    assert (payload if isinstance(payload, dict) else json.loads(payload))["status_code"] == 204


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_an_automation_made_after_the_database_was_away_fires(
    crash: bool, own_postgres: Postgres, start: Callable[[Place], Server]
) -> None:
    place = Place.on_postgres(own_postgres)
    server = start(place)
    client, pid = Client(server), server.pid
    before = client.automate("before", {"expect": ["before"]}, {"type": "do-nothing"})
    own_postgres.stop(crash=crash)
    time.sleep(2)
    own_postgres.start()
    after = client.automate("after", {"expect": ["after"]}, {"type": "do-nothing"})
    client.happen("before", "after")
    until(
        lambda: told(place, "prefect.automation.action.executed") == {before: 1, after: 1},
        f"not fired: {server.tail()}",
    )
    assert (server.alive, server.pid) == (True, pid)
