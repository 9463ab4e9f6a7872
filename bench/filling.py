"""A history of any length, written by SQL: `python -m bench.filling --database URL --runs 100000`.

What stands there afterwards is as a busy server would have left it over ninety days: 98 % of the runs are older than a
day; 50 flows, 500 deployments, 20 pools with a queue each. Every run has its state; every tenth its whole history too:
four states, ten task runs with two states each, thirty log lines. Every run of the last week has one event, about three
resources.
The text is one for both databases; rows are made by the database itself, so a million runs take minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bench.report import say
from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import naming
from lictor.kit import clock

FLOWS, DEPLOYMENTS, POOLS = 50, 500, 20
DAYS = 90
EVENT_DAYS = 7  # retention deletes older ones
CHUNK = 50_000
SECONDS = DAYS * 86_400
KINDS = {
    "flow": 1,
    "pool": 2,
    "queue": 3,
    "deployment": 4,
    "run": 5,
    "state": 6,
    "task": 7,
    "task_state": 8,
    "event": 9,
}


def an_id(kind: str, number: int) -> str:
    """The id of the row with this number, counted from 1."""
    return f"0000000{KINDS[kind]}-0000-7000-8000-{number:012}"


def id_sql(kind: str, number: str) -> str:
    """The same in SQL."""
    text = f"cast({number} as text)"
    digits = f"substr('000000000000' || {text}, length({text}) + 1, 12)"
    return f"cast('0000000{KINDS[kind]}-0000-7000-8000-' || {digits} as {{uuid_type}})"


def series(extra: str = "") -> str:
    """Common tables: `n (i)` from `first` to `last`; with the instant `now`."""
    return f"""
        with recursive n (i) as (select {{int:first}} union all select i + 1 from n where i < {{int:last}}),
        moments as (select {{ts:now}} as now) {extra}"""


# 98 % are spread over the days before the last one, the others over the last; run numbers follow time.
AGE = f"""(case when i <= {{int:total}} * 0.98 then {SECONDS} - (i / ({{int:total}} * 0.98)) * {SECONDS - 86_400}
    else 86400 - 86400 * (i - {{int:total}} * 0.98) / ({{int:total}} * 0.02) end)"""
# A number below 10,000 that looks like chance.
CHANCE = "((i * 7919) % 10007)"

FLOW = f"""
    insert into flow (id, created, updated, name)
    {series()} select {id_sql("flow", "i")}, now, now, 'flow ' || cast(i as text) from n cross join moments"""
POOL = f"""
    insert into work_pool (id, created, updated, name, type, default_queue_id)
    {series()} select {id_sql("pool", "i")}, now, now, 'pool ' || cast(i as text), 'process', {id_sql("queue", "i")}
    from n cross join moments"""
QUEUE = f"""
    insert into work_queue (id, created, updated, work_pool_id, name)
    {series()} select {id_sql("queue", "i")}, now, now, {id_sql("pool", "i")}, 'default' from n cross join moments"""
DEPLOYMENT = f"""
    insert into deployment (id, created, updated, flow_id, name, work_queue_id, work_queue_name)
    {series()} select {id_sql("deployment", "i")}, now, now, {id_sql("flow", f"1 + i % {FLOWS}")},
        'deployment ' || cast(i as text), {id_sql("queue", f"1 + i % {POOLS}")}, 'default'
    from n cross join moments"""

STATE_TYPE = f"""case when i > {{int:total}} * 0.9998 then 'RUNNING' when {CHANCE} < 700 then 'FAILED'
    when {CHANCE} < 1000 then 'CRASHED' when {CHANCE} < 1300 then 'CANCELLED' else 'COMPLETED' end"""
RUNS = series(
    f""", ages as (select i, {AGE} as age, {STATE_TYPE} as type, 1 + {CHANCE} % {DEPLOYMENTS} as deployment from n),
    runs as (select i, type, deployment, age, {{add_seconds:now:-age}} as moment,
        {{add_seconds:now:2 - age}} as begun, {{add_seconds:now:62 - age}} as over
        from ages cross join moments)"""
)
RUN = f"""
    insert into flow_run (
        id, created, updated, name, flow_id, deployment_id, work_queue_id, work_queue_name, state_id, state_type,
        state_name, state_timestamp, expected_start_time, start_time, end_time, total_run_time, run_count,
        parameters, tags
    )
    {RUNS} select {id_sql("run", "i")}, moment, moment, 'run-' || cast(i as text),
        {id_sql("flow", f"1 + deployment % {FLOWS}")}, {id_sql("deployment", "deployment")},
        {id_sql("queue", f"1 + deployment % {POOLS}")}, 'default', {id_sql("state", "i * 4")}, type,
        upper(substr(type, 1, 1)) || lower(substr(type, 2)), case when type = 'RUNNING' then begun else over end,
        moment, begun, case when type <> 'RUNNING' then over end, case when type = 'RUNNING' then 0 else 60 end, 1,
        cast('{{"number": ' || cast(i as text) || '}}' as {{json_type}}),
        cast(case when i % 5 = 0 then '["nightly"]' else '[]' end as {{json_type}})
    from runs"""
LAST_STATE = f"""
    insert into flow_run_state (id, flow_run_id, timestamp, type, name)
    {RUNS} select {id_sql("state", "i * 4")}, {id_sql("run", "i")},
        case when type = 'RUNNING' then begun else over end, type, upper(substr(type, 1, 1)) || lower(substr(type, 2))
    from runs"""
EARLIER_STATES = f"""
    insert into flow_run_state (id, flow_run_id, timestamp, type, name)
    {RUNS}, earlier (k, type, name) as (
        select 1, 'SCHEDULED', 'Scheduled' union all select 2, 'PENDING', 'Pending'
        union all select 3, 'RUNNING', 'Running'
    )
    select {id_sql("state", "i * 4 - k")}, {id_sql("run", "i")}, {{add_seconds:moment:k / 2.0}}, e.type, e.name
    from runs cross join earlier e where i % 10 = 0 and runs.type <> 'RUNNING'"""
TEN = ", ten (k) as (select 1 union all select k + 1 from ten where k < 10)"
TASK = f"""
    insert into task_run (
        id, created, updated, name, flow_run_id, task_key, dynamic_key, state_id, state_type, state_name,
        state_timestamp, expected_start_time, start_time, end_time, total_run_time, run_count
    )
    {RUNS} {TEN} select {id_sql("task", "i * 10 + k")}, moment, moment, 'task-' || cast(k as text),
        {id_sql("run", "i")}, 'task', cast(k as text), {id_sql("task_state", "(i * 10 + k) * 2")},
        'COMPLETED', 'Completed', over, moment, begun, over, 60, 1
    from runs cross join ten where i % 10 = 0"""
TASK_STATES = f"""
    insert into task_run_state (id, task_run_id, timestamp, type, name)
    {RUNS} {TEN}, kinds (j, type, name) as (select 0, 'COMPLETED', 'Completed' union all select 1, 'RUNNING', 'Running')
    select {id_sql("task_state", "(i * 10 + k) * 2 + j")}, {id_sql("task", "i * 10 + k")},
        case when j = 0 then over else begun end, kinds.type, kinds.name
    from runs cross join ten cross join kinds where i % 10 = 0"""
LOGS = f"""
    insert into log (created, name, level, message, timestamp, flow_run_id)
    {RUNS} {TEN}, three (j) as (select 1 union all select 2 union all select 3)
    select begun, 'prefect.flow_runs', 10 + 10 * j, 'line ' || cast(k as text) || ' of what this run has to say', begun,
        {id_sql("run", "i")}
    from runs cross join ten cross join three where i % 10 = 0"""
RESOURCE = f"""'prefect.flow-run.' || cast({id_sql("run", "i")} as text)"""
EVENTS = f"""
    insert into events (id, occurred, received, event, resource_id, resource, related, payload)
    {RUNS} select {id_sql("event", "i")}, moment, moment,
        'prefect.flow-run.' || upper(substr(type, 1, 1)) || lower(substr(type, 2)), {RESOURCE},
        cast('{{"prefect.resource.id": "' || {RESOURCE} || '"}}' as {{raw_json_type}}),
        cast('[]' as {{raw_json_type}}), cast('{{}}' as {{raw_json_type}})
    from runs where age < {EVENT_DAYS * 86_400}"""
OF_RUN = "flow_run r on r.id = cast(substr(e.resource_id, length('prefect.flow-run.') + 1) as {uuid_type})"
NAME = "(select n.id from event_name n where n.name = e.event)"
EVENT_RESOURCES = f"""
    insert into event_resources (resource_id, occurred, position, kind, name)
    select e.resource_id, e.occurred, e.position, 0, {NAME} from events e where e.position > :position
    union all
    select 'prefect.flow.' || cast(r.flow_id as text), e.occurred, e.position, 1, {NAME}
    from events e join {OF_RUN} where e.position > :position
    union all
    select 'prefect.deployment.' || cast(r.deployment_id as text), e.occurred, e.position, 1, {NAME}
    from events e join {OF_RUN} where e.position > :position"""


def fill(db: Database, runs: int, told: Callable[[str], None] = lambda line: None) -> None:
    """Fill a migrated, empty database with this many flow runs and all that belongs to them, up to now."""
    db.write_now(few, FLOW, FLOWS)
    db.write_now(few, POOL, POOLS)
    db.write_now(few, QUEUE, POOLS)
    db.write_now(few, DEPLOYMENT, DEPLOYMENTS)
    now = clock.now()
    indexes = db.write_now(drop_indexes)
    for first in range(1, runs + 1, CHUNK):
        begun = time.monotonic()
        last = min(runs, first + CHUNK - 1)
        db.write_now(many, first, last, runs, now)
        told(f"runs {first:,} to {last:,} in {time.monotonic() - begun:.1f} s")
    for index in indexes:
        db.write_now(make_index, index)
    db.write_now(gather_statistics)


def is_filled(tx: Tx) -> bool:
    return bool(tx.value(composed(int, "select count(*) from work_pool")))


def few(tx: Tx, text: str, count: int) -> None:
    tx.run(composed(None, text), first=1, last=count, now=clock.now())


def many(tx: Tx, first: int, last: int, total: int, now: datetime) -> None:
    """The runs of one stretch with their states, tasks, logs and events, in one transaction."""
    patience(tx)
    place = {"first": first, "last": last, "total": total, "now": now}
    for text in (RUN, LAST_STATE, EARLIER_STATES, TASK, TASK_STATES, LOGS):
        tx.run(composed(None, text), **place)
    position = tx.value(composed(int, "select coalesce(max(position), 0) from events"))
    tx.run(composed(None, EVENTS), **place)
    number_names(tx, position)
    tx.run(composed(None, EVENT_RESOURCES), position=position)


def number_names(tx: Tx, position: int) -> None:
    """Number the names of the events behind a position."""
    names = tx.all(
        composed(str, "select distinct e.event from events e where e.position > :position"), position=position
    )
    tx.many(naming.NUMBER, [{"id": naming.made(name), "name": name} for name in names])


def patience(tx: Tx) -> None:
    if tx.dialect.name == "postgres":
        tx.run(composed(None, "set local statement_timeout = 0"))
        # Rows that are made here have what they refer to: a look for each would take half of the time.
        tx.run(composed(None, "set local session_replication_role = replica"))


INDEXES = """
    select i.indexdef from pg_indexes i where i.schemaname = current_schema() and i.tablename {in:tables}
    and not exists (select 1 from pg_constraint c where c.conname = i.indexname)"""


def drop_indexes(tx: Tx) -> list[str]:
    """On PostgreSQL indexes are made several times as fast when everything is there; the statements that do so."""
    if tx.dialect.name != "postgres":
        return []
    found = tx.all(composed(str, INDEXES), tables=list(TABLES))
    for text in found:
        tx.run(composed(None, f"drop index {text.partition(' INDEX ')[2].partition(' ON ')[0]}"))
    return found


def make_index(tx: Tx, text: str) -> None:
    patience(tx)
    tx.run(composed(None, "set local maintenance_work_mem = '512MB'"))
    tx.run(composed(None, text))


TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "events", "event_resources")


def gather_statistics(tx: Tx) -> None:
    """PostgreSQL does so by itself a little later; SQLite has none in a new installation."""
    patience(tx)
    if tx.dialect.name == "postgres":
        tallied = [f"{runs}_{kind}" for runs in ("flow_run", "task_run") for kind in ("tally", "unsettled")]
        for table in (*TABLES, *tallied):
            tx.run(composed(None, f"analyze {table}"))


def window(now: datetime, days: float) -> dict[str, str]:
    """The last days, as dashboards ask for them."""
    return {"after_": (now - timedelta(days=days)).isoformat(), "before_": now.isoformat()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.filling", description=__doc__.partition("\n")[0])
    parser.add_argument("--database", required=True, help="an empty database's URL")
    parser.add_argument("--runs", type=int, default=100_000)
    options = parser.parse_args()
    db = open_database(options.database)
    db.migrate()
    fill(db, options.runs, say)
    db.close()


if __name__ == "__main__":
    main()
