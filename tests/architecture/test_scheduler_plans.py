"""The scheduler's statements, and those of a change of a deployment, use their indexes beside a long history."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, NamedTuple

from tests.architecture.test_plans import RUNS, START, _plan, an_id, fill, gather_statistics, id_sql

from lictor.db import Database, Tx
from lictor.db.statement import Statement, composed
from lictor.deployments import scheduler, status
from lictor.flow_runs import catch_up, planned
from lictor.kit import times

DEPLOYMENTS = 1000
NOW = START + timedelta(minutes=RUNS)
DEPLOYMENT_ROWS = f"""
    with recursive n (i) as (select 1 union all select i + 1 from n where i < :count)
    insert into deployment (id, created, updated, flow_id, name, last_polled)
    select {id_sql("i")}, {{ts:now}}, {{ts:now}}, {id_sql("1 + i % 50")}, 'd' || cast(i as text), {{ts:now}} from n
"""
SCHEDULE_ROWS = f"""
    with recursive n (i) as (select 1 union all select i + 1 from n where i < :count)
    insert into deployment_schedule (id, created, updated, deployment_id, schedule, planned_until, due)
    select {id_sql("i")}, {{ts:now}}, {{ts:now}}, {id_sql("i")}, '<schedule>', {{ts:later}}, {{ts:later}} from n
"""


class Case(NamedTuple):
    """A statement, what it is asked for, and the indexes that have to be used (a | b: one of them)."""

    statement: Statement[Any]
    params: dict[str, Any]
    indexes: tuple[str, ...]


BY_DEPLOYMENT, WAITING = "ix_flow_run__deployment_id", "ix_flow_run__waiting"
PRIMARY, LOGS = "sqlite_autoindex_flow_run_1|flow_run_pkey", "ix_log__flow_run_id_timestamp"
SCHEDULES = "sqlite_autoindex_deployment_schedule_2|uq_deployment_schedule__deployment_id_slug"
ONE = {"deployment_id": an_id(7)}
SPANS = [an_id(number) + times.text(START) + times.text(NOW) for number in (7, 8)]
CASES = (
    Case(scheduler.DUE, {"now": NOW, "limit": 100}, ("ix_deployment_schedule__due",)),
    Case(scheduler.LOST, {"now": NOW, "limit": 500}, (f"{BY_DEPLOYMENT}|ix_flow_run__expected_start_time",)),
    Case(planned.KNOWN, {"flow_id": an_id(7), "keys": ["k", "l"]}, ("uq_flow_run__flow_id_idempotency_key",)),
    *(Case(kind.find, {**ONE, "now": NOW, "old": NOW, "limit": 1_000}, (WAITING, LOGS)) for kind in planned.KINDS),
    *(Case(kind.delete, {"ids": [an_id(7)], "now": NOW}, (PRIMARY,)) for kind in planned.KINDS),
    Case(catch_up.BEHIND, {"now": START}, ("ix_flow_run__due",)),
    Case(catch_up.OVERTAKEN, {**ONE, "now": NOW, "newest": 3, "limit": 500}, (WAITING, BY_DEPLOYMENT)),
    Case(catch_up.IS_OVERTAKEN, {"id": an_id(7), "now": NOW, "newest": 3}, (BY_DEPLOYMENT,)),
    Case(
        status.WORTH_NOTING,
        {"deployment_ids": [], "work_queue_ids": [an_id(7)], "noted_before": NOW},
        ("ix_deployment__work_queue_id",),
    ),
)


def test_the_scheduler_and_changes_read_what_they_need_and_no_more(db: Database) -> None:
    db.write_now(fill)
    db.write_now(schedules)
    if db.dialect.name == "postgres":
        # It counts how many runs schedules have made: were there none, it would look at all of those.
        db.write_now(all_by_schedules)
    db.write_now(gather_statistics)
    if db.dialect.name == "postgres":
        db.write_now(lambda tx: tx.run(composed(None, "analyze deployment, deployment_schedule")))

    def look(tx: Tx) -> list[str]:
        taken = Case(planned.TAKEN[tx.dialect.name], {"spans": SPANS}, (BY_DEPLOYMENT, SCHEDULES))
        return [text for case in (taken, *CASES) if (text := complaint(tx, case)) is not None]

    found = "\n\n".join(db.read_now(look))
    assert not found, found


def schedules(tx: Tx) -> None:
    given = {"now": NOW, "later": NOW + timedelta(hours=1), "count": DEPLOYMENTS}
    tx.run(composed(None, DEPLOYMENT_ROWS), now=NOW, count=DEPLOYMENTS)
    tx.run(composed(None, SCHEDULE_ROWS.replace("<schedule>", '{"cron": "0 * * * *"}')), **given)


def all_by_schedules(tx: Tx) -> None:
    tx.run(composed(None, "set local statement_timeout = 0"))
    tx.run(composed(None, "update flow_run set auto_scheduled = true"))


def complaint(tx: Tx, case: Case) -> str | None:
    compiled = case.statement.compiled(tx.dialect)
    plan = "\n".join(_plan(tx, compiled, case.params))
    reads_all = re.search(r"SCAN (r|other|l)$|Seq Scan on (flow_run|log)", plan, re.MULTILINE)
    missing = [index for index in case.indexes if not any(one in plan for one in index.split("|"))]
    return f"{case.statement}: without {missing}\n{plan}" if reads_all or missing else None
