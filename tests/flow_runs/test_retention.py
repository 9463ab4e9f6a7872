"""Runs that are over are kept as long as the settings say, and then go with all that is theirs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests import rows

from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.flow_runs import retention
from lictor.flow_runs.retention import Keeping, RunRetention
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
DAY = 86_400.0


@pytest.fixture(autouse=True)
def _now() -> None:
    clock.set_source(lambda: NOW)


def a_run(tx: Tx, flow_id: str, days: float, state: str = "COMPLETED", **columns: Any) -> str:
    """A run that was over so many days ago."""
    over = NOW - timedelta(days=days)
    return rows.a_flow_run(tx, flow_id, state, expected_start_time=over, start_time=over, end_time=over, **columns)


def left(db: Database) -> set[str]:
    return set(db.read_now(lambda tx: tx.all(composed(str, "select cast(id as text) from flow_run"))))


def expire(db: Database, keeping: Keeping, most: int = 200) -> int:
    return asyncio.run(RunRetention(db, Orchestration(), keeping, most, 60.0).run_once())


def test_runs_past_their_time_go_and_others_stay(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    old, young = (db.write_now(a_run, flow_id, days) for days in (31, 29))
    running = db.write_now(lambda tx: rows.a_flow_run(tx, flow_id, "RUNNING", start_time=NOW - timedelta(days=60)))
    assert expire(db, Keeping(30 * DAY)) == 1
    assert left(db) == {young, running}
    assert expire(db, Keeping(30 * DAY)) == 0
    assert old not in left(db)


def test_many_runs_go_some_at_a_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    flow_id = db.write_now(rows.a_flow)
    db.write_now(lambda tx: [a_run(tx, flow_id, 100 + index % 3) for index in range(35)])
    kept = db.write_now(lambda tx: [a_run(tx, flow_id, 200, "FAILED") for _ in range(5)])
    assert expire(db, Keeping(30 * DAY, states={"FAILED": 365 * DAY}), most=4) == 35
    assert left(db) == set(kept)


def test_what_is_a_run_s_goes_with_it(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    run_id = db.write_now(a_run, flow_id, 100)
    task_id = db.write_now(rows.a_task_run, run_id, "COMPLETED")
    subflow = db.write_now(a_run, flow_id, 100, parent_task_run_id=task_id)
    found = retention.preview(db, Keeping(30 * DAY), NOW)
    assert (found.runs, found.task_runs, found.states) == (1, 1, 2)
    assert expire(db, Keeping(30 * DAY)) == 1, "a subflow stays as long as its parent"
    assert left(db) == {subflow}
    assert db.read_now(lambda tx: tx.value(composed(int, "select count(*) from task_run"))) == 0
    assert expire(db, Keeping(30 * DAY)) == 1


def test_deployments_tags_and_states_have_times_of_their_own(db: Database) -> None:
    def fill(tx: Tx) -> dict[str, str]:
        flow_id = rows.a_flow(tx, "flow")
        deployment = rows.a_deployment(tx, flow_id, "audited")
        return {
            "audited": a_run(tx, flow_id, 100, deployment_id=deployment, tags=["short"]),
            "tagged": a_run(tx, flow_id, 100, tags=["short", "long"]),
            "short": a_run(tx, flow_id, 2, tags=["short"]),
            "failed": a_run(tx, flow_id, 100, "FAILED"),
            "plain": a_run(tx, flow_id, 100),
        }

    runs = db.write_now(fill)
    keeping = Keeping(
        30 * DAY,
        deployments={"flow/audited": 365 * DAY},
        tags={"short": DAY, "long": 200 * DAY},
        states={"FAILED": 200 * DAY},
    )
    assert retention.preview(db, keeping, NOW).runs == 2
    assert expire(db, keeping) == 2
    assert left(db) == {runs[name] for name in ("audited", "tagged", "failed")}


def test_the_newest_runs_of_a_deployment_are_kept(db: Database) -> None:
    def fill(tx: Tx) -> list[str]:
        flow_id = rows.a_flow(tx)
        deployment = rows.a_deployment(tx, flow_id)
        return [a_run(tx, flow_id, days, deployment_id=deployment) for days in (100, 101, 102, 103)]

    runs = db.write_now(fill)
    assert expire(db, Keeping(30 * DAY, last=3)) == 1
    assert left(db) == set(runs[:3])
