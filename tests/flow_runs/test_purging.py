"""A flow with many runs is gone at once, and its runs follow."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from tests import rows

from lictor import flows, tallies
from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.deployments.store import delete_of_flows
from lictor.flow_runs import create, listing, purging
from lictor.flow_runs.listing import FlowRunQuery
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunCreate
from lictor.flows import FlowCreate, FlowPage, Going
from lictor.kit import clock
from lictor.kit.errors import Conflict, NotFound
from lictor.states.callers import SERVER

ORCHESTRATION = Orchestration()
GOING = Going(delete_deployments=delete_of_flows)
RUNS = 7
NEWEST = "select max(expected_start_time) from flow_run where flow_id = :id"


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 3)
    monkeypatch.setattr(flows, "MOST_RUNS", RUNS - 1)


def a_large_flow(tx: Tx, name: str) -> str:
    flow_id = rows.a_flow(tx, name)
    rows.a_deployment(tx, flow_id)
    for number in range(RUNS):
        at = clock.now() - timedelta(days=number)
        run_id = rows.a_flow_run(tx, flow_id, "COMPLETED", expected_start_time=at, start_time=at, end_time=at)
        rows.a_task_run(tx, run_id, "COMPLETED", expected_start_time=at)
    return flow_id


def count(db: Database, table: str) -> int:
    return int(db.read_now(lambda tx: tx.value(composed(int, f"select count(*) from {table}"))))


def test_the_flow_is_gone_before_its_runs_are(db: Database) -> None:
    flow_id = db.write_now(a_large_flow, "large")
    db.write_now(flows.delete, GOING, flow_id)

    assert count(db, "flow_run") == RUNS
    assert count(db, "deployment") == 0
    assert db.read_now(flows.page, FlowPage(limit=200)) == []
    for gone in (flows.get, lambda tx, id: flows.delete(tx, GOING, id)):
        with pytest.raises(NotFound):
            db.write_now(gone, flow_id)
    with pytest.raises(Conflict):
        db.write_now(a_run_of, flow_id)
    again = db.write_now(flows.insert_or_get, FlowCreate("large"))
    assert (again.created, again.value.id != flow_id) == (True, True)
    assert db.read_now(flows.get_by_name, "large") == again.value


def a_run_of(tx: Tx, flow_id: str) -> None:
    create.create(tx, ORCHESTRATION, FlowRunCreate(flow_id=flow_id), caller=SERVER)  # type: ignore[arg-type]


def test_the_runs_follow_the_newest_first_whoever_goes_on(db: Database) -> None:
    flow_id, other = db.write_now(a_large_flow, "large"), db.write_now(rows.a_flow)
    kept = db.write_now(rows.a_flow_run, other, "COMPLETED", expected_start_time=clock.now() - timedelta(days=3))
    while db.write_now(tallies.settle, clock.now()):
        pass
    db.write_now(flows.delete, GOING, flow_id)

    assert db.write_now(purging.purge, ORCHESTRATION, flow_id) == 3
    assert db.read_now(listing.count, FlowRunQuery()) == RUNS + 1 - 3 == 1 + db.read_now(purging.left)
    newest = db.read_now(lambda tx: tx.one(composed(datetime, NEWEST), id=flow_id))
    assert newest is not None
    assert newest < clock.now() - timedelta(days=2.9)

    assert asyncio.run(purging.Purge(db, ORCHESTRATION).run_once()) == RUNS - 3
    assert db.read_now(lambda tx: tx.all(composed(str, "select id from flow_run"))) == [kept]
    assert (count(db, "task_run"), count(db, "flow"), count(db, "run_tombstone")) == (0, 1, RUNS)
    assert asyncio.run(purging.Purge(db, ORCHESTRATION).run_once()) == 0
    assert db.read_now(tallies.check) == []


def test_few_runs_go_with_their_flow(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    db.write_now(rows.a_flow_run, flow_id, "COMPLETED")
    db.write_now(flows.delete, GOING, flow_id)

    assert (count(db, "flow"), count(db, "flow_run")) == (0, 0)
    assert db.read_now(flows.hidden) == []
