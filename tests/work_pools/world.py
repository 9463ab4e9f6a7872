"""Pools with queues, deployments and scheduled runs, for tests of polls, with a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests import calls, rows
from tests.web.client import TestClient

from lictor.blocks.encryption import Cipher
from lictor.blocks.types import Blocks
from lictor.concurrency import limits
from lictor.concurrency.facts import deployment_slots
from lictor.concurrency.slots import Waits
from lictor.concurrency.types import ConcurrencyLimitV2Create
from lictor.db import Database
from lictor.feed import Bells
from lictor.flow_runs import routes as flow_run_routes
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.work_pools import channel, cleanups, pools, queue_routes, routes
from lictor.work_pools.channel import Channels
from lictor.work_pools.cleanups import Policy
from lictor.work_pools.polled import PollFollowers

START = datetime(2026, 1, 1, tzinfo=UTC)
SDK = {"User-Agent": "prefect/3.9.1 (API 0.8.4)"}


class World:
    """A pool `p`, a flow, and whatever a test adds."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = START
        clock.set_source(lambda: self.now)
        self.told: list[list[str]] = []
        bells = Bells(db)
        self.http: TestClient = calls.client(
            db,
            routes.router,
            channel.router,
            queue_routes.router,
            flow_run_routes.router,
            orchestration=Orchestration(limits=deployment_slots(Waits())),
            blocks=Blocks(Cipher("0" * 43 + "=", None), lambda tx: None),
            channels=Channels(bells.of(pools.TOPIC), bells.of(cleanups.TOPIC), Policy()),
            followers=PollFollowers((lambda tx, ids: self.told.append(ids),)),
        )
        self.pool = self.http.post("/work_pools/", json={"name": "p", "type": "process"}).json
        self.queues: dict[str, str] = {"default": self.pool["default_queue_id"]}
        self.flow_id = db.write_now(rows.a_flow)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def ago(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)

    def queue(self, name: str, **more: Any) -> str:
        answer = self.http.post("/work_pools/p/queues", json={"name": name, **more})
        self.queues[name] = answer.json["id"]
        return self.queues[name]

    def limit(self, slots: int, name: str = "limit") -> str:
        return self.db.write_now(limits.insert, ConcurrencyLimitV2Create(name=name, limit=slots)).id

    def deployment(self, slots: int | None = None, *, limit_id: str | None = None, **columns: Any) -> str:
        if slots is not None:
            limit_id = self.limit(slots, f"limit-{len(self.queues)}-{slots}-{clock.nanoseconds()}")
        columns.setdefault("work_queue_id", self.queues["default"])
        return self.db.write_now(rows.a_deployment, self.flow_id, concurrency_limit_id=limit_id, **columns)

    def run(self, name: str, *, due: float = -5, queue: str = "default", state: str = "SCHEDULED", **more: Any) -> str:
        """A run due so many seconds from now."""
        at = self.now + timedelta(seconds=due)
        columns = {"expected_start_time": at, "next_scheduled_start_time": at, "work_queue_id": self.queues[queue]}
        details = {"scheduled_time": at.isoformat()} if state.startswith("SCHEDULED") else {}
        run_id = self.db.write_now(rows.a_flow_run, self.flow_id, state, name=name, **{**columns, **more})
        self.db.write_now(rows.set_details, "flow_run", run_id, details)
        return run_id

    def poll(self, **body: Any) -> list[str]:
        """The names of the runs that a worker is handed, ten seconds ahead."""
        body.setdefault("scheduled_before", (self.now + timedelta(seconds=10)).isoformat())
        answer = self.http.post("/work_pools/p/get_scheduled_flow_runs", json=body)
        assert answer.status == 200, answer
        return [one["flow_run"]["name"] for one in answer.json]

    def propose(self, run_id: str, state: str) -> Any:
        self.later(0.001)
        body = {"state": {"type": state}}
        answer = self.http.post(f"/flow_runs/{run_id}/set_state", json=body, headers=SDK)
        assert answer.status in (200, 201), answer
        return answer.json
