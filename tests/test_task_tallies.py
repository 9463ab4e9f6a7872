"""What is told of task runs over long times is what they themselves would tell, whatever happened to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests import rows

from lictor import tallies
from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.events.types import Event
from lictor.flow_runs import changes, create
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate
from lictor.kit import clock, ids
from lictor.states.callers import SERVER
from lictor.states.types import StateCreate
from lictor.tallies import ledger
from lictor.task_runs import create as task_create
from lictor.task_runs import listing, recorder, transitions
from lictor.task_runs.listing import TaskRunHistory, TaskRunQuery
from lictor.task_runs.transitions import TaskOrchestration
from lictor.task_runs.types import TaskRunCreate

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS = ["COMPLETED", "FAILED", "RUNNING"]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_source(lambda: NOW)
    monkeypatch.setattr(ledger, "MANY", 0)  # so that short intervals are made of tallies, few as the runs are


class World:
    """A flow, and runs of it with a few task runs."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.flow_id = db.write_now(rows.a_flow)
        self.flow_runs: list[str] = []
        self.tasks: list[str] = []

    def begin(self, tx: Tx, history: list[tuple[datetime, str, int]]) -> None:
        kinds = ("flow_run", "task_run")
        for table in (
            *(f"{kind}{part}" for kind in kinds for part in ("", "_tally", "_unsettled")),
            "flow_run_day",
            "tally_frontier",
        ):
            tx.run(composed(None, f"delete from {table}"))
        for at, state, tasks in history:
            times = {"expected_start_time": at, "start_time": at, "total_run_time": 2.5}
            over = times | {"end_time": at} if state != "RUNNING" else times
            run_id = rows.a_flow_run(tx, self.flow_id, state, **over)
            self.flow_runs.append(run_id)
            for number in range(tasks):
                # The last task of three belongs to no flow run, and never started.
                owner, start = (None, None) if number == 2 else (run_id, at + timedelta(minutes=7 * number))
                expected = {"expected_start_time": at + timedelta(seconds=number), "start_time": start}
                self.tasks.append(rows.a_task_run(tx, owner, state, **over | expected))

    def do(self, tx: Tx, deed: str, which: int, at: datetime) -> None:
        if deed == "begin" or not self.tasks or not self.flow_runs:
            self.begin_task(tx, which, at)
            return
        task, flow_run = self.tasks[which % len(self.tasks)], self.flow_runs[which % len(self.flow_runs)]
        match deed:
            case "tell":
                recorder.record(tx, [told(task, flow_run, at)])
            case "end" | "revive":
                state = StateCreate(type="COMPLETED" if deed == "end" else "RUNNING")
                transitions.set_state(tx, TaskOrchestration(), task, state, force=True)
            case "delete":
                self.tasks.remove(task)
                transitions.delete(tx, TaskOrchestration(), task)
            case "delete all":
                self.flow_runs.remove(flow_run)
                changes.delete(tx, Orchestration(), flow_run)
                self.tasks = [str(id) for id in tx.all(composed(str, "select id from task_run order by id"))]
            case "call":
                wanted = msgspec.convert({"flow_id": self.flow_id, "parent_task_run_id": task}, FlowRunCreate)
                run, _ = create.create(tx, Orchestration(), wanted, caller=SERVER)
                self.flow_runs.append(run.id)

    def begin_task(self, tx: Tx, which: int, at: datetime) -> None:
        owner = self.flow_runs[which % len(self.flow_runs)] if self.flow_runs else None
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}
        body = {"flow_run_id": owner, "task_key": "new", "dynamic_key": ids.new(), "state": state}
        run, _ = task_create.create(tx, TaskOrchestration(), msgspec.convert(body, TaskRunCreate))
        self.tasks.append(run.id)


def told(task: str, flow_run: str, at: datetime) -> Event:
    """A client tells, long after, of a task that moves to another time; it may be one that nobody knew."""
    run = {"task_key": "told", "dynamic_key": task, "expected_start_time": at.isoformat(), "start_time": None}
    payload = {"validated_state": {"type": "FAILED"}, "task_run": run}
    return Event(
        occurred=NOW + timedelta(seconds=1),
        event="prefect.task-run.Failed",
        resource={"prefect.resource.id": f"prefect.task-run.{task}", "prefect.orchestration": "client"},
        related=[{"prefect.resource.id": f"prefect.flow-run.{flow_run}", "prefect.resource.role": "flow-run"}],
        payload=Raw(msgspec.json.encode(payload)),
    )


def window(name: str, begin: timedelta, end: timedelta) -> dict[str, Any]:
    return {name: {"after_": (NOW - begin).isoformat(), "before_": (NOW - end).isoformat()}}


SPANS = [(6 * DAY, 0 * DAY), (3 * DAY + timedelta(minutes=7), timedelta(hours=2, minutes=1))]
ALONE = {"subflow_runs": {"exists_": False}}
FILTERS: list[dict[str, Any]] = [
    {},
    {"state": {"type": {"any_": ["COMPLETED", "FAILED"]}}},
    ALONE,
    {"subflow_runs": {"exists_": True}},
    *(window("start_time", *span) | ALONE | {"state": {"type": {"any_": ["COMPLETED"]}}} for span in SPANS),
    *(window("start_time", *span) for span in SPANS),
    window("expected_start_time", *SPANS[1]),
]
# True of all rows, but more than tallies know.
PLAINLY = {"name": {"like_": "%"}}


def questions() -> list[tuple[Any, Any]]:
    """Each as tallies answer it, and as they cannot."""
    asked: list[tuple[Any, Any]] = []
    for body in FILTERS:
        for extra in ({}, {"flow_runs": {}}):
            asked.append((wanted(TaskRunQuery, body, extra), wanted(TaskRunQuery, body | PLAINLY, extra)))
            for begin, end in SPANS:
                span = {"history_start": (NOW - begin).isoformat(), "history_end": (NOW - end).isoformat()}
                grid = extra | span | {"history_interval_seconds": 10_001.0 if extra else 1_300.0}
                if "expected_start_time" not in body:
                    asked.append((wanted(TaskRunHistory, body, grid), wanted(TaskRunHistory, body | PLAINLY, grid)))
    for begin, end in SPANS:
        of_period = window("expected_start_time", begin, end)
        for runs in (of_period, of_period | {"state": {"type": {"any_": ["FAILED"]}}}):
            plainly = {"flow_runs": runs | PLAINLY}
            asked.append((msgspec.convert({"flow_runs": runs}, TaskRunQuery), msgspec.convert(plainly, TaskRunQuery)))
    return asked


def wanted(kind: type[Any], task_runs: dict[str, Any], more: dict[str, Any]) -> Any:
    return msgspec.convert({"task_runs": task_runs, **more}, kind)


def answer(tx: Tx, question: Any) -> Any:
    if isinstance(question, TaskRunHistory):
        found = listing.history(tx, question)
        return [
            (
                state.state_name,
                state.count_runs,
                round(state.sum_estimated_run_time),
                round(state.sum_estimated_lateness),
            )
            for interval in found
            for state in interval.states
        ]
    return listing.count(tx, question)


def compare(tx: Tx) -> None:
    for question, plainly in questions():
        assert listing.tallied(plainly) is None
        assert answer(tx, question) == answer(tx, plainly), question


moments = st.integers(0, 6 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))
histories = st.lists(st.tuples(moments, st.sampled_from(KINDS), st.integers(0, 3)), min_size=1, max_size=8)
names = st.sampled_from(["begin", "tell", "end", "revive", "delete", "delete all", "call"])
deeds = st.lists(st.tuples(names, st.integers(0, 24), moments), max_size=6)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, deeds=deeds)
def test_what_is_told_is_what_a_scan_would_tell(
    db: Database, history: list[tuple[datetime, str, int]], deeds: list[tuple[str, int, datetime]]
) -> None:
    world = World(db)
    db.write_now(world.begin, history)
    settle_all(db)
    db.read_now(compare)
    for deed, which, at in deeds:
        db.write_now(world.do, deed, which, at)
        assert db.read_now(tallies.check) == []
        db.read_now(compare)
        settle_all(db)
    assert db.read_now(tallies.check) == []
    db.read_now(compare)


def settle_all(db: Database) -> None:
    while db.write_now(tallies.settle, clock.now()):
        pass


def test_what_is_settled_is_read_from_tallies(db: Database) -> None:
    """Nobody may delete runs behind the tallies' back: it shows that the runs are not what is read."""
    world = World(db)
    db.write_now(world.begin, [(NOW - 2 * DAY, "COMPLETED", 2)])
    settle_all(db)
    db.write_now(lambda tx: tx.run(composed(None, "delete from task_run")))
    counted = wanted(TaskRunQuery, window("start_time", 3 * DAY, 0 * DAY) | ALONE, {"flow_runs": {}})
    assert db.read_now(listing.count, counted) == 2
    assert {one.runs for one in db.read_now(tallies.check)} == {"flow_runs", "task_runs"}
    db.write_now(lambda tx: tallies.mend(tx, tallies.check(tx)))
    assert db.read_now(listing.count, counted) == 0
    settle_all(db)
    assert db.read_now(tallies.check) == []
