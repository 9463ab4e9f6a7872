"""Runs that are over are kept as long as the settings say, and then go with all that is theirs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw
from tests import rows

from lictor import logs
from lictor.artifacts import store as artifacts
from lictor.artifacts.types import ArtifactCreate, CollectionPage
from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.events import store as events
from lictor.events.loops import EventRetention, Retention
from lictor.events.types import Event
from lictor.flow_runs import retention
from lictor.flow_runs.retention import Keeping, RunRetention
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.logs import LogCreate
from lictor.loops import Service

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
    forget = artifacts.delete_of_runs
    return asyncio.run(RunRetention(db, Orchestration(), keeping, most, 60.0, forget=forget).run_once())


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


COLUMNS = {
    "sqlite": """
        select t.name, c.name from sqlite_master t join pragma_table_info(t.name) c
        where t.type = 'table' and c.name in ('flow_run_id', 'task_run_id', 'parent_task_run_id', 'run_id')
    """,
    "postgres": """
        select table_name, column_name from information_schema.columns where table_schema = current_schema()
        and column_name in ('flow_run_id', 'task_run_id', 'parent_task_run_id', 'run_id')
    """,
}


def mentions(tx: Tx, run_ids: list[str]) -> dict[str, int]:
    """In which columns of the database these runs stand, and how often."""
    found = {}
    for table, column in tx.all(composed(None, COLUMNS[tx.dialect.name])):
        text = f"select count(*) from {table} where {column} {{in:ids:uuid}}"
        if times := tx.value(composed(int, text), ids=run_ids):
            found[f"{table}.{column}"] = times
    return found


def an_artifact(tx: Tx, flow_run_id: str, key: str | None, data: str) -> None:
    artifacts.insert(tx, ArtifactCreate(key=key, data=Raw(data.encode()), flow_run_id=UUID(flow_run_id)))


def test_nothing_is_left_of_a_run_but_its_events(db: Database) -> None:
    def fill(tx: Tx) -> tuple[list[str], str]:
        flow_id = rows.a_flow(tx)
        kept, gone = a_run(tx, flow_id, 1), a_run(tx, flow_id, 100)
        task = rows.a_task_run(tx, gone, "COMPLETED")
        subflow = a_run(tx, flow_id, 99, parent_task_run_id=task)
        now = clock.now()
        rows.insert(tx, "flow_run_input", flow_run_id=gone, key="k", value="v", created=now, updated=now)
        for run in (gone, kept):
            lines = [
                LogCreate(name="n", level=20, message="m", timestamp=now, flow_run_id=UUID(run), task_run_id=of_task)
                for of_task in (None, UUID(task) if run == gone else None)
            ]
            logs.insert(tx, lines)
        an_artifact(tx, gone, "old", '"gone"')
        an_artifact(tx, kept, "both", '"kept"')
        an_artifact(tx, gone, "both", '"gone"')
        an_artifact(tx, gone, None, '"gone"')
        return [gone, task, subflow], kept

    gone, kept = db.write_now(fill)
    assert db.read_now(mentions, gone).keys() >= {
        "artifact.flow_run_id", "artifact_collection.flow_run_id", "flow_run.parent_task_run_id",
        "flow_run_input.flow_run_id", "flow_run_state.flow_run_id", "log.flow_run_id", "log.task_run_id",
        "task_run.flow_run_id", "task_run_state.task_run_id",
    }  # fmt: skip
    assert expire(db, Keeping(30 * DAY)) + expire(db, Keeping(30 * DAY)) == 2
    while asyncio.run(logs.LogSweeper(db).run_once()):
        pass
    assert db.read_now(mentions, gone) == {}
    assert left(db) == {kept}
    assert db.read_now(mentions, [kept])["log.flow_run_id"] == 2
    [shown] = db.read_now(artifacts.page_latest, CollectionPage(limit=10))
    assert (shown.key, shown.data) == ("both", Raw(b'"kept"'))


def an_event(name: str, occurred: datetime) -> Event:
    return Event(occurred=occurred, event=name, resource={"prefect.resource.id": "r"})


def test_sweeps_of_events_and_of_runs_go_on_beside_writes(db: Database) -> None:
    def fill(tx: Tx) -> str:
        flow_id = rows.a_flow(tx)
        for _ in range(60):
            a_run(tx, flow_id, 100)
        events.emit_all(tx, [an_event(f"old {number}", NOW - timedelta(days=30)) for number in range(60)])
        return flow_id

    flow_id = db.write_now(fill)

    async def sweep(service: Service) -> int:
        done = 0
        while some := await service.run_once():
            done += some
        return done

    def write(tx: Tx, number: int) -> str:
        events.emit(tx, an_event(f"new {number}", NOW))
        return a_run(tx, flow_id, 0)

    async def both() -> tuple[list[str], list[int]]:
        runs = RunRetention(db, Orchestration(), Keeping(30 * DAY), 5, 60.0, forget=artifacts.delete_of_runs)
        of_events = EventRetention(db, Retention(timedelta(days=7), {}), batch=5)
        sweeps = asyncio.gather(sweep(runs), sweep(of_events))
        written = []
        while not sweeps.done():
            written.append(await db.write(write, len(written)))
        return written, await sweeps

    written, swept = asyncio.run(both())
    assert swept == [60, 60]
    assert len(written) > 5, "nobody waits for the end of a sweep"
    assert left(db) == set(written)
    names = db.read_now(lambda tx: tx.all(composed(str, "select event from events where event not like 'prefect%'")))
    assert sorted(names) == sorted(f"new {number}" for number in range(len(written)))


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
