"""Work pools, their queues, and workers."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies, flow

TEMPLATE: dict[str, Any] = {
    "job_configuration": {"command": "{{ command }}", "env": {"A": "{{ size }}", "B": ["{{ command}}"]}},
    "variables": {
        "type": "object",
        "properties": {"command": {"type": "string", "default": "run"}, "size": {"type": "integer"}},
        "required": ["size"],
    },
}
OLD = {"User-Agent": "prefect/3.3.7 (API 0.8.4)"}
NEW = {"User-Agent": "prefect/3.3.8 (API 0.8.4)"}
POOL = "/work_pools/$uniq"
QUEUES = f"{POOL}/queues"


def pool(s: Session, save: str = "pool", name: str = "$uniq", type: str = "process", **more: Any) -> None:
    s.post("/work_pools/", {"name": name, "type": type, **more}, save=save, only="status")


def queue(s: Session, name: str = "q", **more: Any) -> None:
    s.post(QUEUES, {"name": name, **more}, save=name, only="status")


def priorities(s: Session) -> None:
    s.post(f"{QUEUES}/filter", {}, only="status")
    answer = s.request("POST", f"{QUEUES}/filter", {})
    s.steps[-1]["priorities"] = [[one["name"], one["priority"]] for one in answer.body]


@scenario
def create_and_read(s: Session) -> None:
    s.post("/work_pools/", {"name": "$uniq", "type": "process", "description": "d"}, save="pool")
    s.get(POOL)
    s.post("/work_pools/", {"name": "$uniq", "type": "docker"})
    s.get(f"{QUEUES}/default")
    s.post(f"{QUEUES}/filter")
    s.get("/work_pools/$uniq-none")
    s.post("/work_pools/", {"name": "$uniq-limited", "type": "t", "concurrency_limit": 0, "is_paused": True})
    s.get("/work_pools/$uniq-limited")
    s.post("/work_pools/", {"name": "$uniq-agents"})
    s.get("/work_pools/$uniq-agents")
    s.post("/work_pools/", {"name": "$uniq-paused agents", "type": "prefect-agent", "is_paused": True})
    s.patch("/work_pools/$uniq-agents", {"is_paused": True})
    s.get("/work_pools/$uniq-agents")


@scenario
def names(s: Session) -> None:
    for name in ("", " ", "''", '" "', "a/b", "a%b", "a&b", "a<b", "a>b", 1, None, []):
        s.post("/work_pools/", {"name": name})
    for name in ("Prefect", "prefect-$uniq", "PREFECT:managed"):
        s.post("/work_pools/", {"name": name})
        s.patch(f"/work_pools/{name}", {"description": "d"})
        s.patch(f"/work_pools/{name}", {"is_paused": True})
        s.delete(f"/work_pools/{name}")
    s.post("/work_pools/", {"name": "é $uniq.#?", "type": "prefect:managed"})
    s.get("/work_pools/%C3%A9%20$uniq.%23%3F")
    s.post("/work_pools/", {"name": "$uniq" + "x" * 300}, only="status")


@scenario
def bad_pools(s: Session) -> None:
    bad_bodies(s, "POST", "/work_pools/")
    for key, value in (
        ("concurrency_limit", -1),
        ("concurrency_limit", "3"),
        ("concurrency_limit", 1.5),
        ("is_paused", None),
        ("is_paused", "yes"),
        ("type", None),
        ("base_job_template", None),
        ("base_job_template", []),
        ("storage_configuration", None),
        ("storage_configuration", {"x": 1}),
        ("storage_configuration", {"default_result_storage_block_id": "x"}),
        ("unknown", 1),
        ("id", ZERO),
    ):
        s.post("/work_pools/", {"name": "$uniq-a", key: value})
        s.delete("/work_pools/$uniq-a", only="status")


@scenario
def templates(s: Session) -> None:
    s.post("/work_pools/", {"name": "$uniq", "type": "t", "base_job_template": TEMPLATE})
    for template in (
        {"job_configuration": {}},
        {"variables": {}},
        {"job_configuration": {}, "variables": {}},
        {"job_configuration": {"a": "{{ b }}"}, "variables": {}},
        {"job_configuration": {"a": "{{ b }}"}, "variables": {"properties": {}}},
        {"job_configuration": {"a": {"c": ["x{{ b.c }}"]}}, "variables": {"properties": {"b": {}}}},
        {"job_configuration": {"a": "{{ prefect.variables.x }}"}, "variables": {"properties": {"b": {}}}},
        {"job_configuration": {"a": "{{ $HOME }}"}, "variables": {"properties": {"b": {}}}},
        {"x": 1},
    ):
        s.post("/work_pools/", {"name": "$uniq-t", "base_job_template": template})
        s.patch(POOL, {"base_job_template": template})
    s.get(POOL)


@scenario
def template_defaults(s: Session) -> None:
    for number, properties in enumerate(
        (
            {"a": {"type": "integer", "default": "x"}},
            {"a": {"type": "integer", "default": 3}},
            {"a": {"type": "integer", "default": None}},
            {"a": {"type": "nonsense", "default": 1}},
            {"a": {"type": "string", "default": {"$ref": {"block_document_id": ZERO}}}},
            {"a": {"type": "string", "default": {"$ref": {"block_document_id": "x"}}}},
            {"a": {"type": "array", "items": {"type": "string"}, "default": [1]}},
        )
    ):
        template = {"job_configuration": {"k": "{{ a }}"}, "variables": {"type": "object", "properties": properties}}
        s.post("/work_pools/", {"name": f"$uniq-{number}", "type": "t", "base_job_template": template})


@scenario
def storage(s: Session) -> None:
    configuration = {"bundle_upload_step": {"a": 1}, "bundle_execution_step": {"b": [2]}}
    s.post("/work_pools/", {"name": "$uniq", "type": "t", "storage_configuration": configuration})
    s.get(POOL)
    s.get(POOL, headers=OLD)
    s.get(POOL, headers=NEW)
    s.post("/work_pools/filter", {"work_pools": {"name": {"any_": ["$uniq"]}}}, headers=OLD)
    s.post("/work_pools/", {"name": "$uniq-old", "type": "t"}, headers=OLD)
    s.patch(POOL, {"storage_configuration": {"bundle_upload_step": None}})
    s.get(POOL)


@scenario
def patches(s: Session) -> None:
    pool(s)
    for change in (
        {},
        {"description": "new"},
        {"description": None},
        {"concurrency_limit": 5},
        {"concurrency_limit": None},
        {"is_paused": True},
        {"is_paused": True},
        {"is_paused": False},
        {"base_job_template": TEMPLATE},
        {"base_job_template": {}},
    ):
        s.patch(POOL, change)
        s.get(POOL)
    for change in ({"concurrency_limit": -1}, {"name": "n"}, {"type": "t"}, {"is_paused": "x"}, {"status": "READY"}):
        s.patch(POOL, change)
    s.patch("/work_pools/$uniq-none", {"is_paused": True})
    bad_bodies(s, "PATCH", POOL)


@scenario
def patches_with_null(s: Session) -> None:
    pool(s)
    s.patch(POOL, {"is_paused": None})
    s.patch(POOL, {"storage_configuration": None})
    s.get(POOL)


@scenario
def deletes(s: Session) -> None:
    pool(s)
    queue(s)
    s.delete(POOL)
    s.get(POOL)
    s.get("/work_queues/{q.id}")
    s.delete(POOL)
    pool(s)


@scenario
def filters(s: Session) -> None:
    for name, type in (("b", "x"), ("a", "y"), ("c", "x")):
        pool(s, save=name, name=f"$uniq-{name}", type=type)
    mine = ["$uniq-a", "$uniq-b", "$uniq-c"]
    for chosen in (
        {"name": {"any_": mine}},
        {"name": {"any_": mine}, "type": {"any_": ["x"]}},
        {"name": {"any_": mine}, "type": {"any_": []}},
        {"id": {"any_": ["{a.id}", ZERO]}},
        {"operator": "or_", "id": {"any_": ["{a.id}"]}, "name": {"any_": ["$uniq-b"]}},
    ):
        s.post("/work_pools/filter", {"work_pools": chosen}, pick="name")
        s.post("/work_pools/count", {"work_pools": chosen})
    s.post("/work_pools/filter", {"work_pools": {"name": {"any_": mine}}, "limit": 1, "offset": 1}, pick="name")
    for body in (
        {"work_pools": {"x": 1}},
        {"work_pools": {"name": {"like_": "a"}}},
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
        {"work_pools": 1},
    ):
        s.post("/work_pools/filter", body)
    s.post("/work_pools/count", {"work_pools": {"x": 1}})


@scenario
def queue_priorities(s: Session) -> None:
    pool(s)
    for name, priority in (("a", None), ("b", 1), ("c", 7), ("d", None), ("e", 3), ("f", 7)):
        queue(s, name, priority=priority)
        priorities(s)
    for name, priority in (("f", 1), ("a", 20), ("default", 2), ("c", 3), ("e", 3)):
        s.patch(f"{QUEUES}/{name}", {"priority": priority})
        priorities(s)
    s.delete(f"{QUEUES}/b")
    priorities(s)
    queue(s, "g")
    priorities(s)


@scenario
def queue_create_and_read(s: Session) -> None:
    pool(s)
    s.post(QUEUES, {"name": "q", "description": "d", "concurrency_limit": 2}, save="q")
    s.get(f"{QUEUES}/q")
    s.post(QUEUES, {"name": "q"})
    s.post(QUEUES, {"name": "paused", "is_paused": True})
    s.post(QUEUES, {"name": "filtered", "filter": {"tags": ["a"], "deployment_ids": [ZERO]}})
    s.get(f"{QUEUES}/filtered")
    s.get(f"{QUEUES}/none")
    s.get("/work_pools/$uniq-none/queues/q")
    s.post("/work_pools/$uniq-none/queues", {"name": "q"})
    s.post("/work_pools/$uniq-none/queues/filter", {})
    s.patch("/work_pools/$uniq-none/queues/q", {"priority": 1})
    s.patch(f"{QUEUES}/none", {"priority": 1})
    s.delete("/work_pools/$uniq-none/queues/q")
    s.delete(f"{QUEUES}/none")


@scenario
def bad_queues(s: Session) -> None:
    pool(s)
    bad_bodies(s, "POST", QUEUES)
    for key, value in (
        ("name", ""),
        ("name", "a/b"),
        ("name", None),
        ("priority", 0),
        ("priority", -1),
        ("priority", "2"),
        ("concurrency_limit", -1),
        ("is_paused", None),
        ("description", None),
        ("filter", {"tags": "a"}),
        ("filter", []),
        ("last_polled", "$now"),
    ):
        s.post(QUEUES, {"name": "bad", key: value})
        s.delete(f"{QUEUES}/bad", only="status")


@scenario
def queue_patches(s: Session) -> None:
    pool(s)
    queue(s, "q", description="d", concurrency_limit=1)
    queue(s, "other")
    for change in (
        {},
        {"description": "new"},
        {"concurrency_limit": None},
        {"is_paused": True},
        {"is_paused": False},
        {"last_polled": "$now-5", "is_paused": True},
        {"is_paused": False},
        {"filter": {"tags": ["x"]}},
        {"filter": None},
    ):
        s.patch(f"{QUEUES}/q", change)
        s.get(f"{QUEUES}/q")
    for change in ({"is_paused": None}, {"priority": 0}, {"unknown": 1}, {"name": 1}, {"last_polled": "x"}):
        s.patch(f"{QUEUES}/q", change)
    for change in ({"name": "other"}, {"name": None}, {"description": None}, {"priority": None}):
        s.patch(f"{QUEUES}/q", change)
    s.patch(f"{QUEUES}/q", {"name": "renamed"})
    s.get(f"{QUEUES}/renamed")
    s.get(f"{QUEUES}/q")


@scenario
def deleting_the_default_queue(s: Session) -> None:
    pool(s)
    s.delete(f"{QUEUES}/default")
    s.get(f"{QUEUES}/default")


@scenario
def queue_filters(s: Session) -> None:
    pool(s)
    for name in ("a1", "a2", "b1"):
        queue(s, name)
    for chosen in (
        {},
        {"name": {"any_": ["a1", "b1"]}},
        {"name": {"startswith_": ["a", "d"]}},
        {"id": {"any_": ["{a1.id}"]}},
        {"operator": "or_", "name": {"any_": ["a1"]}, "id": {"any_": ["{b1.id}"]}},
    ):
        s.post(f"{QUEUES}/filter", {"work_queues": chosen}, pick="name")
    s.post(f"{QUEUES}/filter", {"limit": 2, "offset": 1}, pick="name")
    for body in ({"work_queues": {"x": 1}}, {"limit": 201}, {"offset": -1}, {"work_queues": None}):
        s.post(f"{QUEUES}/filter", body, only="status" if body.get("work_queues", 1) is None else None)


@scenario
def workers(s: Session) -> None:
    pool(s)
    beat = f"{POOL}/workers/heartbeat"
    s.post(beat, {"name": "w1"})
    s.get(POOL)
    s.post(f"{POOL}/workers/filter", {})
    s.post(beat, {"name": "w1", "heartbeat_interval_seconds": 7})
    s.post(beat, {"name": "w1", "heartbeat_interval_seconds": None})
    s.post(beat, {"name": "w2"})
    s.post(f"{POOL}/workers/filter")
    for chosen in (
        {"status": {"any_": ["ONLINE"]}},
        {"status": {"any_": ["OFFLINE"]}},
        {"status": {"not_any_": ["ONLINE"]}},
        {"last_heartbeat_time": {"after_": "$now-3600"}},
        {"last_heartbeat_time": {"before_": "$now-3600"}},
        {"operator": "or_", "status": {"any_": ["OFFLINE"]}, "last_heartbeat_time": {"after_": "$now-3600"}},
    ):
        s.post(f"{POOL}/workers/filter", {"workers": chosen}, pick="name")
    s.post(f"{POOL}/workers/filter", {"limit": 1, "offset": 1}, pick="name")
    for body in ({"workers": {"status": {"any_": ["x"]}}}, {"workers": {"name": 1}}, {"limit": 300}):
        s.post(f"{POOL}/workers/filter", body)
    for body in ({}, {"name": None}, {"name": 1}, {"name": "w", "heartbeat_interval_seconds": "x"}):
        s.post(beat, body)
    bad_bodies(s, "POST", beat)
    s.patch(POOL, {"is_paused": True})
    s.post(beat, {"name": "w1"})
    s.get(POOL)
    s.patch(POOL, {"is_paused": False})
    s.get(POOL)
    s.delete(f"{POOL}/workers/w1")
    s.delete(f"{POOL}/workers/w1")
    s.post(f"{POOL}/workers/filter", {}, pick="name")
    for path in ("heartbeat", "filter"):
        s.post(f"/work_pools/$uniq-none/workers/{path}", {"name": "w"})
    s.delete("/work_pools/$uniq-none/workers/w1")


def run(s: Session, save: str, queue: str | None = None, state: Any = None, **more: Any) -> None:
    if "flow" not in s.saved:
        flow(s)
    body = {"flow_id": "{flow.id}", "name": f"$uniq-{save}", "work_pool_name": "$uniq", **more}
    if queue is not None:
        body["work_queue_name"] = queue
    s.post("/flow_runs/", {**body, "state": state or scheduled(-5)}, save=save, only="status")


def scheduled(seconds: float) -> dict[str, Any]:
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": f"$now{seconds:+}"}}


def names_polled(s: Session, body: Any = None) -> None:
    answer = s.post(f"{POOL}/get_scheduled_flow_runs", body or {}, only="status")
    s.steps[-1]["names"] = [s.masks.text(one["flow_run"]["name"]) for one in answer.body]


@scenario
def polls(s: Session) -> None:
    pool(s)
    s.post(f"{POOL}/get_scheduled_flow_runs")
    run(s, "a", "default", tags=["t"], parameters={"x": 1}, job_variables={"y": 2})
    s.post(f"{POOL}/get_scheduled_flow_runs", {"limit": 10})
    s.post("/work_pools/$uniq-none/get_scheduled_flow_runs", {})
    s.post(f"{POOL}/get_scheduled_flow_runs", {"work_queue_names": ["none"]})
    s.poll(f"{QUEUES}/default", lambda answer: answer.body["status"] == "READY")
    for body in ({"work_queue_names": "q"}, {"work_queue_names": [1]}, {"scheduled_before": "x"}, {"limit": 201}):
        s.post(f"{POOL}/get_scheduled_flow_runs", body)
    bad_bodies(s, "POST", f"{POOL}/get_scheduled_flow_runs")


@scenario
def polls_in_order(s: Session) -> None:
    pool(s)
    queue(s, "low")
    queue(s, "high", priority=1)
    run(s, "l1", "low", scheduled(-50))
    run(s, "d2", None, scheduled(-20))
    run(s, "d1", None, scheduled(-40))
    run(s, "h1", "high", scheduled(-10))
    run(s, "later", "high", scheduled(500))
    run(s, "pending", "high", {"type": "PENDING"})
    names_polled(s)
    names_polled(s, {"scheduled_before": "$now+10"})
    names_polled(s, {"scheduled_before": "$now-15"})
    names_polled(s, {"scheduled_before": "$now+10", "scheduled_after": "$now-30"})
    names_polled(s, {"scheduled_before": "$now+10", "limit": 2})
    names_polled(s, {"scheduled_before": "$now+10", "limit": 0})
    names_polled(s, {"work_queue_names": ["low", "default"]})
    names_polled(s, {"work_queue_names": []})
    names_polled(s, {"work_queue_names": None})
    s.patch(f"{QUEUES}/high", {"is_paused": True})
    names_polled(s)
    s.patch(POOL, {"is_paused": True})
    names_polled(s)
    names_polled(s, {"work_queue_names": ["low"]})


@scenario
def polls_and_limits(s: Session) -> None:
    pool(s, concurrency_limit=3)
    queue(s, "q", concurrency_limit=2)
    for number in range(4):
        run(s, f"q{number}", "q", scheduled(-50 + number))
        run(s, f"d{number}", None, scheduled(-60 + number))
    names_polled(s)
    names_polled(s, {"work_queue_names": ["q"]})
    s.post("/flow_runs/{q0.id}/set_state", {"state": {"type": "PENDING"}}, only="status")
    names_polled(s, {"work_queue_names": ["q"]})
    names_polled(s)
    s.get(POOL)
    s.get(f"{QUEUES}/q")
    s.post(f"{QUEUES}/filter", {})
    s.post("/work_pools/filter", {"work_pools": {"name": {"any_": ["$uniq"]}}})
    s.post("/flow_runs/{q1.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    s.post("/flow_runs/{d1.id}/set_state", {"state": {"type": "RUNNING"}}, only="status")
    names_polled(s)
    s.get(POOL)
    s.post("/flow_runs/{d1.id}/set_state", {"state": {"type": "COMPLETED"}}, only="status")
    names_polled(s)


@scenario
def concurrency_status(s: Session) -> None:
    pool(s, concurrency_limit=3)
    queue(s, "q", concurrency_limit=2)
    run(s, "a", "q", {"type": "PENDING"})
    run(s, "b", "q", {"type": "RUNNING"})
    run(s, "c", None, {"type": "RUNNING"})
    run(s, "e", None, scheduled(-1))
    path = f"{POOL}/concurrency_status"
    masked = ("time_in_current_state",)
    s.post(path, masked=masked, unordered=("flow_runs",))
    s.post(path, {"flow_run_limit": 0, "limit": 1})
    s.post(path, {"flow_run_limit": 1, "limit": 1, "page": 2}, masked=(*masked, "flow_runs"))
    s.post(path, {"limit": 0})
    s.post("/work_pools/$uniq-none/concurrency_status", {})
    for body in ({"flow_run_limit": 201}, {"flow_run_limit": -1}, {"page": 0}, {"limit": 201}):
        s.post(path, body)
