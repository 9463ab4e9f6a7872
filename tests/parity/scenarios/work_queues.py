"""Work queues by id, and those of the pool for agents."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import NOT_IDS, ZERO, bad_bodies, flow
from .work_pools import pool, run, scheduled

QUEUE = "/work_queues/{q.id}"


def queue(s: Session, save: str = "q", name: str = "$uniq-q", **more: Any) -> None:
    s.post("/work_queues/", {"name": name, **more}, save=save, only="status")


@scenario
def create_and_read(s: Session) -> None:
    masked = ("priority",)  # others are in the same pool
    s.post("/work_queues/", {"name": "$uniq-q", "description": "d"}, save="q", masked=masked)
    s.get(QUEUE, masked=masked)
    s.get("/work_queues/name/$uniq-q", masked=masked)
    s.get("/work_pools/default-agent-pool/queues/$uniq-q", masked=masked)
    s.post("/work_queues/", {"name": "$uniq-q"})
    s.post("/work_queues/", {"name": "default"}, only="status")
    s.get("/work_queues/name/$uniq-none")
    s.get(f"/work_queues/{ZERO}")
    for id in NOT_IDS[:-1]:
        s.get(f"/work_queues/{id}", only="status")
    s.post("/work_queues/", {"name": "$uniq-limited", "concurrency_limit": 3, "priority": 5}, masked=masked)


@scenario
def bad_queues(s: Session) -> None:
    bad_bodies(s, "POST", "/work_queues/")
    for body in ({"name": "a/b"}, {"name": "$uniq-x", "priority": 0}, {"name": "$uniq-x", "description": None}, {}):
        s.post("/work_queues/", body)


@scenario
def patches(s: Session) -> None:
    queue(s)
    masked = ("priority",)
    for change in ({}, {"description": "n"}, {"is_paused": True}, {"is_paused": False}, {"concurrency_limit": 0}):
        s.patch(QUEUE, change)
        s.get(QUEUE, masked=masked)
    s.patch(QUEUE, {"name": "$uniq-r", "priority": 77})
    s.get(QUEUE)
    s.patch(QUEUE, {"priority": None})
    s.patch(QUEUE, {"is_paused": None})
    s.patch(f"/work_queues/{ZERO}", {"is_paused": True})


@scenario
def deletes(s: Session) -> None:
    queue(s)
    s.delete(QUEUE)
    s.get(QUEUE)
    s.delete(QUEUE)
    pool(s)
    s.delete("/work_queues/{pool.default_queue_id}")
    s.get("/work_queues/{pool.default_queue_id}")


@scenario
def filters(s: Session) -> None:
    pool(s)
    for name in ("$uniq-b", "$uniq-a"):
        s.post("/work_pools/$uniq/queues", {"name": name}, save=name[-1], only="status")
    queue(s, "c", "$uniq-c")
    for chosen in (
        {"name": {"startswith_": ["$uniq-"]}},
        {"name": {"any_": ["$uniq-a", "$uniq-c"]}},
        {"id": {"any_": ["{b.id}", ZERO]}},
    ):
        s.post("/work_queues/filter", {"work_queues": chosen}, pick="name")
    chosen = {"name": {"startswith_": ["$uniq-"]}}
    s.post("/work_queues/filter", {"work_queues": chosen, "limit": 1, "offset": 1}, masked=("priority",))
    s.post("/work_queues/filter", {"work_queues": {"x": 1}})
    s.post("/work_queues/filter", {"limit": -1})


@scenario
def runs(s: Session) -> None:
    pool(s)
    s.post("/work_pools/$uniq/queues", {"name": "$uniq-q", "concurrency_limit": 3}, save="q", only="status")
    for number in range(4):
        run(s, f"r{number}", "$uniq-q", scheduled(-50 + number))
    run(s, "later", "$uniq-q", scheduled(500))
    s.post(f"{QUEUE}/get_runs", headers={"x-prefect-ui": "true"}, pick="name")
    s.get(QUEUE)
    s.post(f"{QUEUE}/get_runs", {"scheduled_before": "$now", "limit": 2}, pick="name")
    s.poll(QUEUE, lambda answer: answer.body["status"] == "READY")
    s.post("/flow_runs/{r0.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    s.post("/flow_runs/{r0.id}/set_state", {"state": {"type": "CANCELLING"}}, only="status")
    s.post(f"{QUEUE}/get_runs", {}, pick="name")
    s.get(QUEUE)
    s.get("/work_pools/$uniq/queues/$uniq-q")
    s.post(f"{QUEUE}/get_runs", {"limit": 1})
    s.patch(QUEUE, {"is_paused": True})
    s.post(f"{QUEUE}/get_runs", {}, pick="name")
    s.post(f"/work_queues/{ZERO}/get_runs", {})
    s.post(f"{QUEUE}/get_runs", {"scheduled_before": "x"})
    s.post(f"{QUEUE}/get_runs", {}, headers={"x-prefect-ui": "x"})


@scenario
def status(s: Session) -> None:
    pool(s)
    s.post("/work_pools/$uniq/queues", {"name": "$uniq-q"}, save="q", only="status")
    s.get(f"{QUEUE}/status")
    s.patch(QUEUE, {"last_polled": "$now"})
    s.get(f"{QUEUE}/status")
    run(s, "late", "$uniq-q", {**scheduled(-50), "name": "Late"})
    s.get(f"{QUEUE}/status")
    s.get(f"/work_queues/{ZERO}/status")


@scenario
def concurrency_status(s: Session) -> None:
    pool(s)
    s.post("/work_pools/$uniq/queues", {"name": "$uniq-q", "concurrency_limit": 3}, save="q", only="status")
    run(s, "a", "$uniq-q", {"type": "RUNNING"})
    run(s, "b", "$uniq-q", {"type": "CANCELLING"})
    flow(s)
    loose = {"flow_id": "{flow.id}", "name": "$uniq-c", "work_queue_name": "$uniq-q", "state": {"type": "RUNNING"}}
    s.post("/flow_runs/", loose, only="status")
    masked = ("time_in_current_state",)
    s.post(f"{QUEUE}/concurrency_status", masked=masked, unordered=("flow_runs",))
    s.post(f"{QUEUE}/concurrency_status", {"limit": 1, "page": 2}, masked=(*masked, "flow_runs"))
    s.post(f"{QUEUE}/concurrency_status", {"limit": 0})
    s.post(f"/work_queues/{ZERO}/concurrency_status", {})
    s.post(f"{QUEUE}/concurrency_status", {"page": 0})
