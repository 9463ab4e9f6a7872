"""The channel between a worker and the server, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests import calls
from tests.web.client import WebSocketTest
from tests.work_pools.world import World

from lictor.kit import ids
from lictor.work_pools import cleanups

CONSUMER = "11111111-1111-4111-8111-111111111111"
HELLO: dict[str, Any] = {
    "consumer_id": CONSUMER,
    "worker_name": "w",
    "worker_type": "process",
    "heartbeat_interval_seconds": 30,
    "supported_channel_versions": ["work_pool_worker_channel.v1"],
    "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
}
CLEANS: dict[str, Any] = {
    "requested_capabilities": [*HELLO["requested_capabilities"], "cleanup_delivery.v1"],
    "handled_cleanup_kinds": list(cleanups.KINDS),
    "max_cleanup_concurrency": 1,
}
TEMPLATE = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}


def frame(type: str, **payload: Any) -> dict[str, Any]:
    return {"type": type, "id": ids.new4(), "sent_at": "2026-01-01T00:00:00Z", "payload": payload}


@contextmanager
def opened(world: World, pool: str = "p", **hello: Any) -> Iterator[WebSocketTest]:
    with world.http.websocket(f"/work_pools/{pool}/workers/connect") as socket:
        socket.handshake()
        socket.send(frame("worker.hello.v1", **(HELLO | hello)))
        yield socket


def ready(socket: WebSocketTest) -> Any:
    sent = socket.receive_json()
    assert sent["type"] == "worker.ready.v1", sent
    return sent["payload"]


def closed(socket: WebSocketTest) -> tuple[int, str]:
    message = socket.receive()
    assert message["type"] == "websocket.close", message
    return message["code"], message["reason"]


def put(world: World, key: str = "run") -> None:
    more = {"pool_id": world.pool["id"], "queue_id": None, "kind": cleanups.CANCELLING_TIMEOUT}
    world.db.write_now(cleanups.queue_cleanup, **more, key=key, target={"flow_run_id": ids.new()})


def test_a_worker_that_says_hello_is_there_and_sees_its_pool(world: World) -> None:
    world.queue("q")
    with opened(world, requested_capabilities=[*HELLO["requested_capabilities"], "dances.v1"]) as socket:
        payload = ready(socket)
    snapshot = payload.pop("initial_snapshot")
    assert payload == {
        "consumer_id": CONSUMER,
        "worker_id": None,
        "selected_channel_version": "work_pool_worker_channel.v1",
        "effective_heartbeat_interval_seconds": 30,
        "accepted_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
        "rejected_capabilities": ["dances.v1"],
        "effective_max_cleanup_concurrency": 0,
        "resolved_work_queues": [{"id": world.queues[name], "name": name} for name in ("default", "q")],
    }
    assert (snapshot["snapshot_sequence"], snapshot["reason"]) == (1, "initial")
    assert snapshot["work_pool"] == world.http.get("/work_pools/p").json
    assert snapshot["work_pool"]["status"] == "READY"
    (worker,) = world.http.post("/work_pools/p/workers/filter", json={}).json
    assert (worker["name"], worker["status"], worker["heartbeat_interval_seconds"]) == ("w", "ONLINE", 30)


def test_a_worker_may_have_its_pool_made(world: World) -> None:
    with opened(world, "new", create_pool_if_not_found=True, default_base_job_template=TEMPLATE) as socket:
        pool = ready(socket)["initial_snapshot"]["work_pool"]
    assert (pool["name"], pool["type"], pool["base_job_template"]) == ("new", "process", TEMPLATE)


def test_a_pool_without_a_template_gets_the_worker_s(world: World) -> None:
    with opened(world, default_base_job_template=TEMPLATE) as socket:
        assert ready(socket)["initial_snapshot"]["work_pool"]["base_job_template"] == TEMPLATE
    assert calls.event_names(world.db).count("prefect.work-pool.updated") == 1
    with opened(world, default_base_job_template={**TEMPLATE, "more": 1}) as socket:
        assert ready(socket)["initial_snapshot"]["work_pool"]["base_job_template"] == TEMPLATE


@pytest.mark.parametrize(
    ("pool", "hello", "reason"),
    [
        ("none", {}, (1008, "authorization_failed")),
        ("prefect-x", {"create_pool_if_not_found": True}, (1008, "authorization_failed")),
        ("p", {"work_queue_names": ["none"]}, (1008, "authorization_failed")),
        ("p", {"supported_channel_versions": ["v0"]}, (1008, "unsupported_version")),
        ("p", {"requested_capabilities": ["worker_heartbeat.v1"]}, (1002, "protocol_error")),
        ("p", {"worker_name": ""}, (1002, "protocol_error")),
        ("p", {"unknown": 1}, (1002, "protocol_error")),
        ("p", {"max_cleanup_concurrency": 1}, (1002, "protocol_error")),
        ("new", {"create_pool_if_not_found": True, "default_base_job_template": {"x": 1}}, (1002, "protocol_error")),
    ],
)
def test_who_is_not_let_in(world: World, pool: str, hello: dict[str, Any], reason: tuple[int, str]) -> None:
    with opened(world, pool, **hello) as socket:
        assert closed(socket) == reason


@pytest.mark.parametrize("first", ["{", "[]", "{}", frame("worker.heartbeat.v1"), frame("nonsense")])
def test_the_first_frame_is_a_hello(world: World, first: Any) -> None:
    with world.http.websocket("/work_pools/p/workers/connect") as socket:
        socket.handshake()
        socket.send(first)
        assert closed(socket) == (1002, "protocol_error")


def test_heartbeats_are_noted_and_show_what_changed_meanwhile(world: World) -> None:
    with opened(world) as socket:
        ready(socket)
        world.later(30)
        beat = {"consumer_id": CONSUMER, "worker_name": "w", "heartbeat_interval_seconds": 5}
        world.http.patch("/work_pools/p", json={"description": "new"})
        socket.send(frame("worker.heartbeat.v1", **beat))
        snapshot = socket.receive_json()
        assert (snapshot["type"], snapshot["payload"]["reason"]) == (
            "work_pool.snapshot.v1",
            "heartbeat_reconciliation",
        )
        assert snapshot["payload"]["work_pool"]["description"] == "new"
    (worker,) = world.http.post("/work_pools/p/workers/filter", json={}).json
    assert (worker["last_heartbeat_time"], worker["heartbeat_interval_seconds"]) == ("2026-01-01T00:00:30Z", 5)


def test_another_worker_s_heartbeat_ends_the_conversation(world: World) -> None:
    with opened(world) as socket:
        ready(socket)
        socket.send(frame("worker.heartbeat.v1", consumer_id=CONSUMER, worker_name="x", heartbeat_interval_seconds=30))
        assert closed(socket) == (1002, "protocol_error")


def test_changes_of_the_pool_are_told_at_once(world: World) -> None:
    with opened(world) as socket:
        ready(socket)
        world.http.patch("/work_pools/p", json={"concurrency_limit": 3})
        snapshot = socket.receive_json()["payload"]
        assert (snapshot["snapshot_sequence"], snapshot["reason"]) == (2, "work_pool_updated")
        assert snapshot["work_pool"]["concurrency_limit"] == 3
        world.http.delete("/work_pools/p")
        assert closed(socket) == (1008, "authorization_failed")


def test_clean_up_messages_come_one_at_a_time_and_are_settled(world: World) -> None:
    put(world, "before")
    with opened(world, **CLEANS) as socket:
        assert ready(socket)["effective_max_cleanup_concurrency"] == 1
        first = socket.receive_json()
        assert first["type"] == "cleanup.message.v1"
        put(world, "after")
        held = {key: first["payload"][key] for key in ("message_id", "reservation_token")}

        renew = frame("cleanup.renew.v1", **held)
        socket.send(renew)
        result = socket.receive_json()["payload"]
        assert (result["request_frame_id"], result["status"]) == (renew["id"], "accepted")
        assert result["lease_expires_at"] is not None

        socket.send(frame("cleanup.ack.v1", **held))
        got = [socket.receive_json() for _ in range(2)]
        by_type = {one["type"]: one["payload"] for one in got}
        assert by_type["cleanup.operation_result.v1"]["status"] == "accepted"
        assert by_type["cleanup.message.v1"]["message_id"] != held["message_id"]
        socket.send(frame("cleanup.ack.v1", **held))
        result = socket.receive_json()["payload"]
        assert (result["status"], result["reason"]) == ("not_found", "message_not_found")


def test_who_did_not_ask_for_clean_up_messages_may_not_settle_any(world: World) -> None:
    with opened(world) as socket:
        ready(socket)
        socket.send(frame("cleanup.release.v1", message_id=ids.new(), reservation_token="t", reason="r"))
        result = socket.receive_json()["payload"]
        assert (result["status"], result["reason"]) == ("unauthorized", "cleanup_delivery_not_accepted")


def test_a_client_without_the_subprotocol_is_not_let_in(world: World) -> None:
    with world.http.websocket("/work_pools/p/workers/connect", subprotocols=()) as socket:
        assert socket.receive()["type"] == "websocket.accept"
        assert closed(socket) == (1008, "authentication_failed")
