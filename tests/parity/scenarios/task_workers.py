"""Background tasks on their way to workers: the socket's protocol, and who is connected."""

from __future__ import annotations

import json
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from ..scenario import Session, scenario
from .common import bad_bodies

PATH = "/task_runs/subscriptions/scheduled"
KEYS = {"type": "subscribe", "keys": ["$uniq-a", "$uniq-b"], "client_id": "$uniq-w"}
ACK = {"type": "ack"}
SECONDS = 10.0


class Worker:
    """One conversation, after its handshake; what is said and heard is recorded as steps."""

    def __init__(self, s: Session) -> None:
        self.s = s
        url = str(s.client.base_url).replace("http", "ws", 1).rstrip("/") + PATH
        self.socket: ClientConnection = connect(url, subprotocols=["prefect"], close_timeout=2)  # type: ignore[list-item]
        self.say({"type": "auth", "token": None})
        self.hear()

    def say(self, frame: Any) -> None:
        self.socket.send(json.dumps(self.s.fill(frame)))
        self._step("says", frame)

    def hear(self) -> Any:
        try:
            heard = json.loads(self.socket.recv(SECONDS))
        except TimeoutError:
            heard = "nothing"
        except ConnectionClosed as closed:
            heard = {"closed": closed.rcvd and closed.rcvd.code, "reason": closed.rcvd and closed.rcvd.reason}
        self.s.masks.next_step()
        self._step("hears", self.s.masks.body(heard, masked=(), unordered=()))
        return heard

    def leave(self) -> None:
        self.socket.close()

    def _step(self, verb: str, frame: Any) -> None:
        self.s.steps.append({"step": f"{len(self.s.steps) + 1:02d} worker {verb}", "status": 101, "body": frame})


def delay(s: Session, key: str = "a", save: str = "task", **state: Any) -> None:
    details = {"deferred": True, "task_parameters_id": "$id:parameters"}
    body = {
        "name": f"$uniq-{save}",
        "task_key": f"$uniq-{key}",
        "dynamic_key": f"$uniq-{save}",
        "state": {"type": "SCHEDULED", "state_details": details, **state},
    }
    s.post("/task_runs/", body, save=save, only="status")


@scenario
def a_task_run_is_sent(s: Session) -> None:
    delay(s)
    worker = Worker(s)
    worker.say(KEYS)
    worker.hear()
    worker.say(ACK)
    delay(s, save="second")
    worker.hear()
    worker.say(ACK)
    worker.leave()


@scenario
def what_is_not_acknowledged_is_sent_again(s: Session) -> None:
    delay(s)
    for _ in range(2):
        worker = Worker(s)
        worker.say(KEYS)
        worker.hear()
        worker.leave()


@scenario
def subscriptions_that_are_refused(s: Session) -> None:
    refused: list[Any] = [
        {"type": "hello"},
        {},
        {"type": "subscribe", "client_id": "w"},
        {"type": "subscribe", "keys": [], "client_id": "w"},
        {"type": "subscribe", "keys": ["$uniq-a"]},
        {"type": "subscribe", "keys": ["$uniq-a"], "client_id": ""},
    ]
    for frame in refused:
        worker = Worker(s)
        worker.say(frame)
        worker.hear()
        worker.leave()


@scenario
def a_worker_quits(s: Session) -> None:
    delay(s)
    worker = Worker(s)
    worker.say(KEYS)
    worker.hear()
    worker.say({"type": "quit"})
    worker.hear()
    worker.leave()


@scenario
def nobody_is_connected(s: Session) -> None:
    for keys in (["$uniq-none"], ["$uniq-none", "$uniq-other"]):
        s.post("/task_workers/filter", {"task_worker_filter": {"task_keys": keys}})


@scenario
def bad_filters(s: Session) -> None:
    for body in ({"task_worker_filter": {}}, {"task_worker_filter": 1}, {"task_worker_filter": {"task_keys": [1]}}):
        s.post("/task_workers/filter", body)
    bad_bodies(s, "POST", "/task_workers/filter")
