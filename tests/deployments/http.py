"""Deployments over HTTP, for tests, with a clock that stands still until it is moved, and a scheduler run by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from tests import calls
from tests.flow_runs.http import Told
from tests.web.client import TestClient

from lictor import flows, variables
from lictor.blocks.encryption import Cipher
from lictor.blocks.types import Blocks
from lictor.concurrency import routes as limit_routes
from lictor.concurrency.facts import deployment_slots
from lictor.concurrency.slots import Waits
from lictor.db import Database, sql
from lictor.db.statement import composed
from lictor.deployments import routes
from lictor.deployments.loops import ScheduleAuditor, Scheduler
from lictor.deployments.scheduler import Horizon
from lictor.flow_runs import list_routes
from lictor.flow_runs import routes as run_routes
from lictor.flow_runs.catch_up import CatchUp
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.task_runs import routes as task_run_routes
from lictor.task_runs.transitions import TaskOrchestration
from lictor.work_pools import queue_routes
from lictor.work_pools import routes as pool_routes
from lictor.work_pools.polled import PollFollowers

START = datetime(2026, 5, 4, 10, 0, 30, tzinfo=UTC)
HORIZON = Horizon(3, 100, timedelta(hours=1), timedelta(days=100))
CRON = {"cron": "* * * * *"}
HOURLY = {"cron": "0 * * * *"}

EVENTS = sql(
    "test.deployments.events",
    Told,
    "select id, event, resource, related, payload, follows from events where event like 'prefect.deployment.%'"
    " order by position",
)


class Run(Struct):
    id: str
    state_type: str
    state_name: str
    expected_start_time: datetime
    idempotency_key: str | None
    auto_scheduled: bool


RUNS = sql(
    "test.deployments.runs",
    Run,
    """
    select id, state_type, state_name, expected_start_time, idempotency_key, auto_scheduled from flow_run
    where deployment_id = :id order by expected_start_time, id
    """,
)


class Api:
    """The routes, the scheduler and the auditor."""

    def __init__(self, db: Database, catch_up: CatchUp | None = None) -> None:
        self.db = db
        self.now = START
        self.orchestration = Orchestration(limits=deployment_slots(Waits()), catch_up=catch_up or CatchUp())
        clock.set_source(lambda: self.now)
        self.http: TestClient = calls.client(
            db,
            flows.router,
            variables.router,
            run_routes.router,
            task_run_routes.router,
            list_routes.router,
            pool_routes.router,
            queue_routes.router,
            limit_routes.router,
            routes.router,
            runs=self.orchestration,
            tasks=TaskOrchestration(),
            waits=Waits(),
            followers=PollFollowers(),
            blocks=Blocks(Cipher(None, None), lambda tx: None),
        )
        self.scheduler = Scheduler(db, HORIZON)
        self.auditor = ScheduleAuditor(db)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def flow(self, name: str = "f", **more: Any) -> str:
        return str(self.http.post("/flows/", json={"name": name, **more}).json["id"])

    def deploy(self, *schedules: dict[str, Any], name: str = "d", **more: Any) -> str:
        """A deployment with these schedules, or the same one with others."""
        given = [one if "schedule" in one else {"schedule": one} for one in schedules]
        body = {"name": name, "flow_id": more.pop("flow_id", None) or self.flow(), "schedules": given, **more}
        answer = self.http.post("/deployments/", json=body)
        assert answer.status in (200, 201), answer
        return str(answer.json["id"])

    def read(self, id: str) -> Any:
        return self.http.get(f"/deployments/{id}").json

    def patch(self, id: str, **body: Any) -> None:
        answer = self.http.patch(f"/deployments/{id}", json=body)
        assert answer.status == 204, answer

    def schedule(self) -> int:
        """Rounds of the scheduler until there is nothing to do."""
        done = 0
        while some := asyncio.run(self.scheduler.run_once()):
            done += some
        return done

    def audit(self) -> int:
        return asyncio.run(self.auditor.run_once())

    def runs(self, id: str) -> list[Run]:
        return self.db.read_now(lambda tx: tx.all(RUNS, id=id))

    def dates(self, id: str) -> list[str]:
        return [f"{run.expected_start_time:%d %H:%M}" for run in self.runs(id)]

    def events(self) -> list[Told]:
        return self.db.read_now(lambda tx: tx.all(EVENTS))

    def value(self, text: str, **params: Any) -> Any:
        return self.db.read_now(lambda tx: tx.value(composed(None, text), **params))

    def execute(self, text: str, **params: Any) -> int:
        return self.db.write_now(lambda tx: tx.run(composed(None, text), **params))
