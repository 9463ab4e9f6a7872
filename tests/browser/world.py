"""What the pages show: a little of everything, made through the API. What a server cannot make yet is left out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

CLIENT = {"User-Agent": "prefect/3.9.1 (API 0.8.4)"}

POOL_TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "title": "Command", "description": "What to run."},
            "env": {"type": "object", "title": "Environment", "additionalProperties": {"type": "string"}},
        },
    },
}

PARAMETERS = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "factor": {"type": "integer", "title": "factor", "position": 0, "default": 2},
        "note": {"type": "string", "title": "note", "position": 1, "default": "none"},
    },
}

TRIGGER = {
    "type": "event",
    "match": {"prefect.resource.id": "prefect.flow-run.*"},
    "expect": ["prefect.flow-run.Failed"],
    "posture": "Reactive",
    "threshold": 1,
    "within": 0,
}


@dataclass
class World:
    """`ids` of what was made, by name; a page can be opened when it has the ids that its path names."""

    api: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)

    def make(self, name: str, path: str, body: Any) -> str | None:
        """The new thing's id; None where the server cannot make it yet."""
        made = self.post(path, body)
        if made is None:
            return None
        self.ids[name] = made["id"]
        return self.ids[name]

    def post(self, path: str, body: Any) -> Any:
        """What was answered; None where nothing was, or the server cannot do it yet."""
        answer = self.api.post(path, json=body)
        for _ in range(20):  # the reference is busy with itself now and then
            if answer.status_code != 503:
                break
            time.sleep(0.2)
            answer = self.api.post(path, json=body)
        assert answer.status_code < 300 or answer.status_code == 501, f"{path} {answer.status_code} {answer.text}"
        return answer.json() if answer.content and answer.status_code < 300 else None

    def set_state(self, kind: str, id: str, type: str, **more: Any) -> None:
        self.post(f"/{kind}/{id}/set_state", {"state": {"type": type, **more}, "force": True})

    def run(self, name: str, *states: str, **more: Any) -> str:
        """A flow run that has gone through the states."""
        body = {"flow_id": self.ids["flow"], "name": name, "state": {"type": "PENDING"}, **more}
        id = self.make(name, "/flow_runs/", body)
        assert id is not None
        for state in states:
            self.set_state("flow_runs", id, state)
        return id

    def task(self, name: str, run: str, *states: str, inputs: Any = None) -> str:
        body = {
            "name": name,
            "flow_run_id": run,
            "task_key": name,
            "dynamic_key": "0",
            "state": {"type": "PENDING"},
            "task_inputs": inputs or {},
        }
        id = self.make(name, "/task_runs/", body)
        assert id is not None
        for state in states:
            self.set_state("task_runs", id, state)
        return id


def build(api_url: str, auth: str | None = None) -> World:
    credentials = None if auth is None else httpx.BasicAuth(*auth.split(":", 1))
    world = World(httpx.Client(base_url=api_url, headers=CLIENT, timeout=60, auth=credentials))
    _runs(world)
    _settings(world)
    _artifacts(world)
    _pool(world)
    _deployment(world)
    _block(world)
    _automation(world)
    return world


def _runs(world: World) -> None:
    world.make("flow", "/flows/", {"name": "demo-etl", "tags": ["demo"]})
    done = world.run("green-heron", "RUNNING", tags=["demo"], parameters={"factor": 2})
    first = world.task("extract-0", done, "RUNNING", "COMPLETED")
    source = {"rows": [{"input_type": "task_run", "id": first}]}
    second = world.task("transform-0", done, "RUNNING", "COMPLETED", inputs=source)
    parent = world.task("child-0", done, "RUNNING", inputs={"rows": [{"input_type": "task_run", "id": second}]})
    child = world.run("small-heron", "RUNNING", parent_task_run_id=parent)
    world.task("inside-0", child, "RUNNING", "COMPLETED")
    world.set_state("flow_runs", child, "COMPLETED")
    world.set_state("task_runs", parent, "COMPLETED")
    world.set_state("flow_runs", done, "COMPLETED")
    logs = [{"name": "prefect.flow_runs", "level": 20, "message": f"line {n}", "flow_run_id": done} for n in range(5)]
    now = datetime.now(UTC)
    world.post("/logs/", [{**log, "timestamp": (now + timedelta(seconds=n)).isoformat()} for n, log in enumerate(logs)])
    failed = world.run("red-crab", "RUNNING")
    world.task("break-0", failed, "RUNNING", "FAILED")
    world.set_state("flow_runs", failed, "FAILED", message="ValueError: no rows")
    running = world.run("blue-otter", "RUNNING")
    world.task("slow-0", running, "RUNNING")
    paused = world.run("calm-owl", "RUNNING")
    timeout = {"pause_timeout": (now + timedelta(hours=1)).isoformat(), "pause_reschedule": True, "pause_key": "k"}
    world.set_state("flow_runs", paused, "PAUSED", state_details=timeout)
    world.run("odd-wasp", "RUNNING", "CRASHED")
    world.run("tired-sloth", "RUNNING", "CANCELLED")
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": (now + timedelta(hours=2)).isoformat()}}
    world.run("early-bird", state=later)
    for name in ("first-to-go", "second-to-go"):
        world.run(name, "RUNNING", "COMPLETED")


def _settings(world: World) -> None:
    world.make("variable", "/variables/", {"name": "demo_variable", "value": {"a": 1}, "tags": ["demo"]})
    world.make("limit", "/v2/concurrency_limits/", {"name": "demo-limit", "limit": 5, "active": True})
    world.make("tag_limit", "/concurrency_limits/", {"tag": "demo-tag", "concurrency_limit": 3})


def _artifacts(world: World) -> None:
    run = {"flow_run_id": world.ids["green-heron"], "task_run_id": world.ids["extract-0"]}
    markdown = {"key": "demo-report", "type": "markdown", "data": "# Report\n\nAll is well.", **run}
    world.make("markdown", "/artifacts/", {**markdown, "description": "What came out"})
    table = '[{"city": "Oslo", "rows": 3}, {"city": "Bern", "rows": 5}]'
    world.make("table", "/artifacts/", {"key": "demo-table", "type": "table", "data": table, **run})
    world.make("progress", "/artifacts/", {"key": "demo-progress", "type": "progress", "data": 40.0, **run})


def _pool(world: World) -> None:
    pool = {"name": "demo-pool", "type": "process", "base_job_template": POOL_TEMPLATE}
    if world.make("pool", "/work_pools/", pool) is not None:
        world.make("queue", "/work_pools/demo-pool/queues", {"name": "demo-high", "priority": 1})
        world.post("/work_pools/demo-pool/workers/heartbeat", {"name": "demo-worker"})


def _deployment(world: World) -> None:
    deployment = {
        "name": "nightly",
        "flow_id": world.ids["flow"],
        "tags": ["demo"],
        "parameters": {"factor": 3},
        "parameter_openapi_schema": PARAMETERS,
        "enforce_parameter_schema": True,
        "schedules": [{"active": True, "schedule": {"cron": "0 3 * * *", "timezone": "UTC"}}],
        "entrypoint": "flows.py:etl",
        "path": "/flows",
    }
    if "pool" in world.ids:
        deployment |= {"work_pool_name": "demo-pool", "work_queue_name": "demo-high"}
    if world.make("deployment", "/deployments/", deployment) is not None:
        world.make("deployed", f"/deployments/{world.ids['deployment']}/create_flow_run", {"name": "swift-hare"})


def _block(world: World) -> None:
    types = world.post("/block_types/filter", {"block_types": {"slug": {"any_": ["secret"]}}})
    if not types:
        return
    ids = {"block_type_id": {"any_": [types[0]["id"]]}}
    schemas = world.post("/block_schemas/filter", {"block_schemas": ids})
    if schemas:
        block = {"name": "demo-secret", "data": {"value": "do not show"}, "is_anonymous": False}
        keys = {"block_type_id": types[0]["id"], "block_schema_id": schemas[0]["id"]}
        world.make("block", "/block_documents/", block | keys)


def _automation(world: World) -> None:
    actions = [{"type": "cancel-flow-run"}]
    automation = {"name": "demo-automation", "trigger": TRIGGER, "actions": actions, "enabled": True}
    world.make("automation", "/automations/", automation)
