"""A poll reads few rows of a large pool, on both databases: each of its statements keeps to its index."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial

import pytest
from tests.architecture.test_plans import START, an_id, explained, gather_statistics, id_sql
from tests.rows import a_deployment, a_flow, a_work_pool, a_work_queue

from lictor.concurrency import limits
from lictor.concurrency.types import ConcurrencyLimitV2Create
from lictor.db import Database, Tx, Where
from lictor.db.statement import composed
from lictor.flow_runs import planned, purging, withdrawals
from lictor.flow_runs.withdrawals import Withdrawal
from lictor.work_pools import polling
from lictor.work_pools.polling import Poll, Slots, Source, Window

QUEUE, OTHER = an_id(900_001), an_id(900_002)
DEPLOYMENTS = 40
# Every tenth run is in the queue that is polled; those of the first deployment are all due before any other.
RUNS = f"""
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into flow_run (
        id, created, updated, name, flow_id, deployment_id, work_queue_id, state_type, state_name,
        expected_start_time, next_scheduled_start_time
    )
    select {id_sql("i")}, s, s, 'run', {{uuid:flow_id}}, {id_sql(f"case when i < 5000 then 1 else 1 + i % {DEPLOYMENTS} end")},
        case when i % 10 = 0 or i < 5000 then {{uuid:queue_id}} else {{uuid:other_id}} end, 'SCHEDULED', 'Scheduled',
        {{add_seconds:s:i}}, {{add_seconds:s:i}}
    from n cross join (select {{ts:start}} as s) start
"""  # noqa: E501 - it reads best as it is


@pytest.fixture
def large(db: Database) -> Database:
    db.write_now(fill)
    db.write_now(gather_statistics)
    return db


def fill(tx: Tx) -> None:
    flow_id, pool_id = a_flow(tx), a_work_pool(tx, "p")
    for queue_id in (QUEUE, OTHER):
        a_work_queue(tx, pool_id, queue_id, id=queue_id)
    limit = limits.insert(tx, ConcurrencyLimitV2Create(name="l", limit=1))
    for number in range(1, DEPLOYMENTS + 1):
        limit_id = limit.id if number == 1 else None
        a_deployment(tx, flow_id, id=an_id(number), concurrency_limit_id=limit_id, work_queue_id=QUEUE)
    tx.run(composed(None, RUNS), flow_id=flow_id, queue_id=QUEUE, other_id=OTHER, start=START)


def test_a_poll_of_a_large_pool_reads_by_its_indexes(large: Database) -> None:
    window = Window(START + timedelta(seconds=30_000))

    def plan(tx: Tx, source: Source) -> str:
        return explained(tx, lambda watched: polling.choose(watched, source, window, Slots(watched), 10))

    for source in (polling.in_queue(QUEUE), polling.of_deployments([an_id(1), an_id(2)])):
        assert not re.search(r"SCAN r\b|Seq Scan on flow_run r", large.read_now(plan, source))


def test_who_waits_for_a_slot_does_not_hide_a_large_pool_s_others(large: Database) -> None:
    def look(tx: Tx) -> list[str | None]:
        wanted = Poll(work_queue_names=[QUEUE], scheduled_before=START + timedelta(seconds=30_000), limit=3)
        return [run.flow_run.deployment_id for run in polling.poll_pool(tx, "p", wanted).runs]

    first, *others = large.read_now(look)
    assert first == an_id(1)
    assert an_id(1) not in others
    assert len(others) == 2


@pytest.mark.only_on("sqlite")
def test_planned_runs_that_are_to_go_are_found_in_the_order_of_an_index(large: Database) -> None:
    def plans(tx: Tx) -> list[str]:
        params = {"deployment_id": an_id(2), "now": START, "old": START, "limit": 1_000}
        return [explained(tx, partial(Tx.all, statement=kind.find, **params)) for kind in planned.KINDS]

    for plan in large.read_now(plans):
        assert "ix_flow_run__waiting" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_what_is_withdrawn_is_counted_by_its_index(large: Database) -> None:
    large.write_now(withdrawals.insert, Withdrawal(an_id(2), None))
    plan = large.read_now(explained, lambda tx: withdrawals.count(tx, Where()))
    if large.dialect.name == "sqlite":  # PostgreSQL may as well read all here, where all is scheduled
        assert "ix_flow_run__waiting" in plan, plan
        assert not re.search(r"SCAN r\b", plan), plan
    assert large.read_now(withdrawals.count, Where()) == large.read_now(purging.left) > 300
