"""Subscribers of events while servers are killed and while there are several."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.faults.scale import scaled
from tests.processes import Server, until
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from lictor.kit import clock, ids

KILLS = scaled(3, 30)
pytestmark = pytest.mark.timeout(120 + 10 * KILLS)


def an_event(name: str) -> dict[str, Any]:
    occurred = clock.now().isoformat()
    return {"occurred": occurred, "event": name, "resource": {"prefect.resource.id": "a.1"}, "id": ids.new()}


@contextmanager
def subscribed(server: Server, prefix: str) -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{server.port}/api/events/out"
    with connect(address, subprotocols=["prefect"], open_timeout=5, close_timeout=1) as one:  # type: ignore[list-item]
        one.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(one.recv(10)) == {"type": "auth_success"}
        occurred = {"since": "2024-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}
        one.send(json.dumps({"type": "filter", "filter": {"occurred": occurred, "event": {"prefix": [prefix]}}}))
        yield one


class Listener(threading.Thread):
    """Comes back, and asks for the past, whenever it loses its server; `heard` are the ids of what it was sent."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.heard: set[str] = set()
        self.repeated = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            try:
                with subscribed(self.server, "kept.") as one:
                    self.listen(one)
            except (OSError, WebSocketException, AssertionError, TimeoutError, EOFError):
                time.sleep(0.05)

    def listen(self, one: ClientConnection) -> None:
        this_time: set[str] = set()
        while not self.done.is_set():
            try:
                id = json.loads(one.recv(0.2))["event"]["id"]
            except TimeoutError:
                continue
            self.repeated += id in this_time
            this_time.add(id)
            self.heard.add(id)


class Sender(threading.Thread):
    """Sends until it is told to stop; `acknowledged` are the ids that the server said it has."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.acknowledged: set[str] = set()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            batch = [an_event("kept.event") for _ in range(5)]
            try:
                if ask.post(f"{self.server.api_url}/events", json=batch, timeout=5).status_code == 204:
                    self.acknowledged.update(event["id"] for event in batch)
            except httpx.TransportError:
                time.sleep(0.05)


def test_who_comes_back_after_a_kill_has_missed_nothing(server: Server) -> None:
    listener, sender = Listener(server), Sender(server)
    listener.start()
    sender.start()
    for _ in range(KILLS):
        before = len(sender.acknowledged)
        until(lambda before=before: len(sender.acknowledged) > before + 50, within=30)  # type: ignore[misc]
        time.sleep(random.uniform(0, 0.3))
        server.kill()
        server.start()
    sender.done.set()
    sender.join()
    until(lambda: sender.acknowledged <= listener.heard, within=30)
    listener.done.set()
    listener.join()
    assert listener.repeated == 0
    assert len(sender.acknowledged) > 50 * KILLS


@pytest.mark.only_on("postgres")
def test_what_one_server_is_told_another_sends_out_at_once(start_server: StartServer) -> None:
    here, there = start_server(), start_server()
    with httpx.Client(base_url=here.api_url) as client, subscribed(there, "hop.") as one:
        seconds = []
        for number in range(20):
            sent = an_event(f"hop.{number}")
            assert client.post("/events", json=[sent]).status_code == 204
            acknowledged = time.monotonic()
            assert json.loads(one.recv(10))["event"]["id"] == sent["id"]
            seconds.append(time.monotonic() - acknowledged)
    # Looking by itself, it would have taken half a second as a rule.
    assert sorted(seconds)[10] < 0.25, seconds


@pytest.mark.only_on("sqlite")
def test_processes_on_one_file_find_each_other_s_events(start_server: StartServer) -> None:
    here, there = start_server(), start_server()
    with subscribed(there, "hop.") as one:
        sent = an_event("hop.1")
        assert ask.post(f"{here.api_url}/events", json=[sent]).status_code == 204
        assert json.loads(one.recv(10))["event"]["id"] == sent["id"]
