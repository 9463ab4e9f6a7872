"""The history of a flow's task runs is read by their time or by the flow's runs, whichever are fewer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.architecture.test_plans import explained, id_sql, steps

from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.filters.history import Interval, run_history
from lictor.task_runs import listing
from lictor.task_runs.listing import TaskRunHistory

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = 8_000
BUSY, SELDOM = (f"00000000-0000-7000-8000-{number:012}" for number in (1, 2))

NUMBERS = """
    with recursive n (i) as (select 1 union all select i + 1 from n where i < :count),
    numbers as (select i, {add_seconds:start:i * 60} as moment from n cross join (select {ts:start} as start) s)
"""
FLOWS = f"""
    insert into flow (id, created, updated, name)
    {NUMBERS} select {id_sql("i")}, moment, moment, 'flow ' || cast(i as text) from numbers
"""
# A run a minute, each with a task run; one in 200 is of the second flow.
FLOW_RUNS = f"""
    insert into flow_run (id, created, updated, name, flow_id, expected_start_time)
    {NUMBERS} select {id_sql("i")}, moment, moment, 'run', {id_sql("case when i % 200 = 0 then 2 else 1 end")}, moment
    from numbers
"""
TASK_RUNS = f"""
    insert into task_run (
        id, created, updated, name, flow_run_id, task_key, dynamic_key, expected_start_time, start_time, state_type,
        state_name
    )
    {NUMBERS} select {id_sql("i")}, moment, moment, 'task', {id_sql("i")}, 'key', 'a', moment, moment, 'COMPLETED',
        'Completed' from numbers
"""


@pytest.fixture
def filled(db: Database) -> Database:
    def fill(tx: Tx) -> None:
        for text, count in ((FLOWS, 2), (FLOW_RUNS, RUNS), (TASK_RUNS, RUNS)):
            tx.run(composed(None, text), start=START, count=count)

    db.write_now(fill)
    return db


def asked(flow: str, begin: int, minutes: int, **more: Any) -> TaskRunHistory:
    body = {
        "history_start": START + timedelta(minutes=begin),
        "history_end": START + timedelta(minutes=begin + minutes),
        "history_interval_seconds": minutes * 6,
        "flows": {"id": {"any_": [flow]}},
        "task_runs": {"start_time": {"after_": START.isoformat()}},
        **more,
    }
    return msgspec.convert(body, TaskRunHistory)


BY_TIME, BY_FLOW = (
    "SEARCH t USING INDEX ix_task_run__expected_start_time",
    "SEARCH r USING INDEX ix_flow_run__flow_start",
)
# What is asked, how it is to be read, and in how many steps at most.
CASES = {
    "an hour of a flow with many runs": (asked(BUSY, 7_000, 60), BY_TIME, 20_000),
    "a day of a flow with many": (asked(BUSY, 6_000, 1_440), BY_TIME, 140_000),
    "all time of a flow with few": (asked(SELDOM, 0, RUNS + 1), BY_FLOW, 40_000),
    "a day of a flow with few": (asked(SELDOM, 6_000, 1_440, flow_runs={}), BY_FLOW, 18_000),
}


def test_both_ways_find_the_same_and_sqlite_takes_the_shorter(filled: Database) -> None:
    for wanted, index, most in CASES.values():
        filled.read_now(finds_the_same, wanted)
        if filled.dialect.name == "sqlite":
            filled.read_now(takes_the_shorter, wanted, index, most)


def finds_the_same(tx: Tx, wanted: TaskRunHistory) -> None:
    found = listing.history(tx, wanted)
    assert sum(state.count_runs for one in found for state in one.states) > 0
    assert found == by_flow(tx, wanted) == by_time(tx, wanted)


def takes_the_shorter(tx: Tx, wanted: TaskRunHistory, index: str, most: int) -> None:
    def history(tx: Tx) -> list[Interval]:
        return listing.history(tx, wanted)

    assert index in explained(tx, history)
    assert steps(tx, history) < most


def by_flow(tx: Tx, wanted: TaskRunHistory) -> list[Interval]:
    return run_history(tx, "task_run t", wanted, wanted.where_for("task_run"))


def by_time(tx: Tx, wanted: TaskRunHistory) -> list[Interval]:
    return run_history(tx, "task_run t", wanted, listing._each_of(wanted), plain=True)


@pytest.mark.only_on("sqlite")
def test_the_longer_way_takes_more_steps_than_that(filled: Database) -> None:
    def look(tx: Tx) -> list[str]:
        return [
            case
            for case, (wanted, index, most) in CASES.items()
            if steps(tx, lambda tx: (by_flow if index == BY_TIME else by_time)(tx, wanted)) < most  # noqa: B023
        ]

    assert filled.read_now(look) == []
