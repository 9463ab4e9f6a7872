"""Lists that are read in the order of an index list the same runs as a scan would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests import rows
from tests.architecture.test_plans import explained

from lictor.db import Database, Tx
from lictor.flow_runs import listing
from lictor.flow_runs.listing import FlowRunPage, FlowRunSlice

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def runs(db: Database) -> dict[str, str]:
    """Runs by name; `early` began before the period that it was expected in, `late` after."""

    def fill(tx: Tx) -> dict[str, str]:
        flow = rows.a_flow(tx)
        pool = rows.a_work_pool(tx, "pool")
        queues = [rows.a_work_queue(tx, pool, name) for name in ("default", "other")]
        lonely = rows.a_work_queue(tx, rows.a_work_pool(tx, "lonely"), "default")

        def a_run(expected: datetime, start: datetime | None, queue: str) -> str:
            times = {"expected_start_time": expected, "start_time": start}
            return rows.a_flow_run(tx, flow, "RUNNING" if start else "SCHEDULED", work_queue_id=queue, **times)

        return {
            "before": a_run(NOON - 3 * HOUR, NOON - 3 * HOUR, lonely),
            "early": a_run(NOON - HOUR, NOON - 5 * HOUR, queues[0]),
            "late": a_run(NOON - HOUR, NOON + 2 * HOUR, queues[1]),
            "waiting": a_run(NOON - HOUR / 2, None, lonely),
            "after": a_run(NOON + 3 * HOUR, None, queues[0]),
        }

    return db.write_now(fill)


def listed(db: Database, runs: dict[str, str], **body: Any) -> list[str]:
    names = {run_id: name for name, run_id in runs.items()}
    wanted = msgspec.convert({"sort": "START_TIME_DESC", "limit": 200, **body}, FlowRunSlice)
    return [names[run.id] for run in db.read_now(listing.find_slice, wanted)]


def expected(after: datetime, before: datetime) -> dict[str, Any]:
    return {"expected_start_time": {"after_": after.isoformat(), "before_": before.isoformat()}}


def test_a_period_has_all_runs_expected_in_it_whenever_they_began(db: Database, runs: dict[str, str]) -> None:
    assert listed(db, runs, flow_runs=expected(NOON - 2 * HOUR, NOON)) == ["late", "waiting", "early"]


def test_a_period_may_be_open(db: Database, runs: dict[str, str]) -> None:
    since = {"expected_start_time": {"after_": (NOON - HOUR).isoformat()}}
    assert listed(db, runs, flow_runs=since) == ["after", "late", "waiting", "early"]
    until = {"expected_start_time": {"before_": (NOON - HOUR).isoformat()}}
    assert listed(db, runs, flow_runs=until) == ["late", "before", "early"]


def test_other_filters_hold_beside_the_period(db: Database, runs: dict[str, str]) -> None:
    running = {"state": {"type": {"any_": ["RUNNING"]}}}
    assert listed(db, runs, flow_runs=expected(NOON - 2 * HOUR, NOON) | running) == ["late", "early"]


def test_a_pool_with_one_queue_and_one_with_several(db: Database, runs: dict[str, str]) -> None:
    assert listed(db, runs, work_pools={"name": {"any_": ["lonely"]}}) == ["waiting", "before"]
    assert listed(db, runs, work_pools={"name": {"any_": ["pool"]}}) == ["after", "late", "early"]
    assert listed(db, runs, work_pools={"name": {"any_": ["none"]}}) == []
    both = {"work_pools": {"name": {"any_": ["pool"]}}, "work_pool_queues": {"name": {"any_": ["other"]}}}
    assert listed(db, runs, **both) == ["late"]


def named_page(period: dict[str, Any], number: int) -> FlowRunPage:
    body = {"sort": "START_TIME_DESC", "page": number, "limit": 2, "flow_runs": period | {"name": {"like_": "run-"}}}
    return msgspec.convert(body, FlowRunPage)


@pytest.mark.parametrize("few", [1, 1_000])
def test_pages_of_a_period_by_part_of_the_name(
    db: Database, runs: dict[str, str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", few)
    names = {run_id: name for name, run_id in runs.items()}
    period = expected(NOON - 2 * HOUR, NOON)
    pages = [db.read_now(listing.find_page, named_page(period, number)) for number in (1, 2, 3)]
    assert [[names[run.id] for run in page.results] for page in pages] == [["late", "waiting"], ["early"], []]
    assert {(page.count, page.pages) for page in pages} == {(3, 2)}


@pytest.mark.only_on("sqlite")
def test_the_names_of_a_period_are_looked_at_once(db: Database, runs: dict[str, str]) -> None:
    wanted = named_page(expected(NOON - 2 * HOUR, NOON), 1)
    plan = db.read_now(lambda tx: explained(tx, lambda tx: listing.find_page(tx, wanted)))
    assert plan.count("ix_flow_run__expected_start_time") == 1
