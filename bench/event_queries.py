"""What is asked of a long event log: `python -m bench event_queries`, on a million events of seven days.

Four events a flow run, of twenty names, each with a flow, a deployment and a work pool beside its run: 50 flows, 500
deployments, 10 pools. The reference, on SQLite, gets a tenth of the events. Each question is asked some times, one
after the other; the milliseconds are those of the client, with the CPU of the server and of its database beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import report, servers
from bench.filling import NAME, gather_statistics, number_names, patience
from bench.http import Connection
from bench.measure import Opponent
from bench.postgres import Postgres
from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import tallies, types

EVENTS = 1_000_000
SHARE = 10  # of them, the reference gets one in so many
DAYS = 7
CHUNK = 100_000
FOLDED = 20_000
TIMES = 15

RUN = "'prefect.flow-run.' || cast(i / 4 as text)"
RELATED = {
    "flow": "'prefect.flow.' || cast(i / 4 % 50 as text)",
    "deployment": "'prefect.deployment.' || cast(i / 4 % 500 as text)",
    "work-pool": "'prefect.work-pool.' || cast(i / 4 % 10 as text)",
}
OTHERS = " || ',' || ".join(
    f"""'{{"prefect.resource.id": "' || {id} || '", "prefect.resource.role": "{role}", "prefect.name": "some name"}}'"""
    for role, id in RELATED.items()
)
NUMBERS = "with recursive n (i) as (select {first} union all select i + 1 from n where i < {last})"
DIGITS = "substr('000000000000' || cast(i as text), length(cast(i as text)) + 1, 12)"
ROW = f"""
    '00000000-0000-7000-8000-' || {DIGITS} as id, 'prefect.flow-run.State' || cast(i % 20 as text) as event,
    {RUN} as resource_id, '{{"prefect.resource.id": "' || {RUN} || '", "prefect.resource.name": "run"}}' as resource,
    '[' || {OTHERS} || ']' as related,
    '{{"intended": {{"from": "PENDING", "to": "RUNNING"}}, "initial_state": {{"type": "PENDING", "name": "Pending"}}}}'
        as payload"""
# What the columns of an event are made of: `moment` is what a dialect makes of the seconds since the first.
LICTOR = f"""
    insert into events (id, occurred, received, event, resource_id, resource, related, payload)
    {NUMBERS.format(first="{int:first}", last="{int:last}")},
    moments as (select i, {{add_seconds:s.start:i * s.step}} as moment from n cross join (
        select {{ts:start}} as start, cast(:step as {{float_type}}) as step) s)
    select cast(id as {{uuid_type}}), moment, moment, event, resource_id, cast(resource as {{raw_json_type}}),
        cast(related as {{raw_json_type}}), cast(payload as {{raw_json_type}})
    from (select moment, {ROW} from moments) made order by moment"""
LICTOR_RESOURCES = " union all ".join(
    f"select {id}, e.occurred, e.position, {kind}, {NAME} from (select e.occurred, e.position, e.event,"
    " {int:first} + e.position - :begin as i from events e where e.position >= :begin) e"
    for id, kind in ((RUN, types.ABOUT), *((id, types.RELATED) for id in RELATED.values()))
)
REFERENCE = f"""
    insert into events (id, created, updated, occurred, received, recorded, event, resource_id, resource,
        related_resource_ids, related, payload)
    {NUMBERS.format(first=":first", last=":last")}
    select id, moment, moment, moment, moment, moment, event, resource_id, resource, '[]', related, payload from (
        select strftime('%Y-%m-%d %H:%M:%f000', :start, (i * :step) || ' seconds') as moment, {ROW} from n) made"""
REFERENCE_RESOURCES = """
    insert into event_resources (id, created, updated, occurred, resource_id, resource_role, resource, event_id)
    select lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6))), occurred, occurred, occurred,
        r.resource_id, r.role, r.resource, r.id
    from (
        select id, occurred, resource_id, '' as role, resource from events
        union all
        select e.id, e.occurred, value ->> '$."prefect.resource.id"', value ->> '$."prefect.resource.role"', value
        from events e, json_each(e.related)
    ) r"""


def run(options: argparse.Namespace) -> int:
    """Measure and print; the exit code."""
    events = options.units or EVENTS
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        home = Path(directory)
        home.chmod(0o755)  # PostgreSQL may run as another user
        rows = of_lictor(home / "lictor", options.database, events)
        report.show(f"{events:,} events on {options.database}", rows)
        if options.reference and options.database == "sqlite":
            rows = of_reference(home / "reference", options.reference, events // SHARE)
            report.show(f"{events // SHARE:,} events, the reference", rows)
    return 0


def of_lictor(home: Path, database: str, events: int) -> list[dict[str, Any]]:
    with contextlib.ExitStack() as stack:
        home.mkdir()
        instance, url = None, servers.sqlite_url(home)
        if database == "postgres":
            instance = Postgres(home / "postgres")
            stack.callback(instance.stop)
            instance.start()
            url = instance.create("bench")
        db = open_database(url)
        db.migrate()
        fill(db, events)
        db.close()
        server = servers.lictor(home, url)
        stack.callback(server.stop)
        server.start()
        return asyncio.run(ask(Opponent(server, events, instance)))


def fill(db: Database, events: int) -> None:
    """The events of the last seven days, folded into tallies."""
    start = datetime.now(UTC) - timedelta(days=DAYS)
    for first in range(0, events, CHUNK):
        db.write_now(some, first, min(events, first + CHUNK) - 1, start, DAYS * 86_400 / events)
    db.write_now(gather_statistics)
    while db.write_now(fold):
        pass
    db.write_now(gather_statistics)


def fold(tx: Tx) -> int:
    patience(tx)
    return tallies.fold(tx, FOLDED)


def some(tx: Tx, first: int, last: int, start: datetime, step: float) -> None:
    patience(tx)
    begin = 1 + int(tx.value(composed(int, "select coalesce(max(position), 0) from events")))
    tx.run(composed(None, LICTOR), first=first, last=last, start=start, step=step)
    number_names(tx, begin - 1)
    text = f"insert into event_resources (resource_id, occurred, position, kind, name) {LICTOR_RESOURCES}"
    tx.run(composed(None, text), first=first, begin=begin)


def of_reference(home: Path, executable: Path, events: int) -> list[dict[str, Any]]:
    server = servers.reference(executable, home)
    try:
        server.start()
        server.stop()
        start = datetime.now(UTC) - timedelta(days=DAYS)
        with contextlib.closing(sqlite3.connect(home / "server.db")) as file, file:
            place = {"first": 0, "last": events - 1, "start": start.isoformat(" "), "step": DAYS * 86_400 / events}
            file.execute(REFERENCE, place)
            file.execute(REFERENCE_RESOURCES)
        server.start()
        return asyncio.run(ask(Opponent(server, events)))
    finally:
        server.stop()


Body = dict[str, Any]


def questions(now: datetime) -> list[tuple[str, str, Body]]:
    """What is asked: a name, a path and a body."""
    week = {"occurred": {"since": (now - timedelta(days=DAYS + 1)).isoformat(), "until": now.isoformat()}}
    some = {"event": {"exclude_name": ["prefect.flow-run.State3"]}}
    # As dashboards ask: what begins with an id, and all names but those of logs.
    shown = {"any_resource": {"id_prefix": ["prefect.work-pool.7"]}, "event": {"exclude_name": ["prefect.log.write"]}}
    pools = [f"prefect.work-pool.{number}" for number in (3, 7)]
    return [
        ("newest page", "filter", {"filter": week}),
        ("newest page without a name", "filter", {"filter": week | some}),
        ("page of a run", "filter", {"filter": week | {"any_resource": {"id": ["prefect.flow-run.777"]}}}),
        ("page of a deployment", "filter", {"filter": week | {"related": {"id": ["prefect.deployment.77"]}}}),
        ("page of a flow", "filter", {"filter": week | {"related": {"id": ["prefect.flow.7"]}}}),
        ("page of a work pool", "filter", {"filter": week | {"related": {"id": ["prefect.work-pool.7"]}}}),
        ("page of a work pool, by a dashboard", "filter", {"filter": week | shown}),
        ("page of a work pool, oldest first", "filter", {
            "filter": week | {"order": "ASC", "related": {"id": ["prefect.work-pool.7"]}}
        }),
        ("page of a flow without a name", "filter", {"filter": week | some | {"related": {"id": ["prefect.flow.7"]}}}),
        ("page of a work pool without a name", "filter", {
            "filter": week | some | {"related": {"id": ["prefect.work-pool.7"]}}
        }),
        ("page of a work pool in its role", "filter", {
            "filter": week | {"related": {"id": ["prefect.work-pool.7"], "role": ["work-pool"]}}
        }),
        ("page of either of two work pools", "filter", {"filter": week | {"any_resource": {"id": pools}}}),
        ("page of a work pool and a deployment", "filter", {
            "filter": week | {"related": [{"id": ["prefect.work-pool.7"]}, {"id": ["prefect.deployment.77"]}]}
        }),
        ("page of all runs", "filter", {"filter": week | {"resource": {"id_prefix": ["prefect.flow-run."]}}}),
        ("page of a label", "filter", {"filter": week | {"resource": {"labels": {"prefect.resource.name": "run"}}}}),
        ("page of a role", "filter", {"filter": week | {"related": {"role": ["flow"]}}}),
        ("page of a text", "filter", {"filter": week | {"text": {"query": "deployment.77"}}}),
        ("page of a text in all names", "filter", {"filter": week | {"text": {"query": "flow-run"}}}),
        ("page of a text of three words", "filter", {"filter": week | {"text": {"query": "not to be found"}}}),
        ("by day", "count-by/day", {"filter": week}),
        ("by hour", "count-by/time", {"filter": week, "time_unit": "hour"}),
        ("by hour without a name", "count-by/time", {"filter": week | some, "time_unit": "hour"}),
        ("by 13 minutes", "count-by/time", {"filter": week, "time_unit": "minute", "time_interval": 13}),
        ("by hour of a work pool, by a dashboard", "count-by/time", {"filter": week | shown, "time_unit": "hour"}),
        ("by name", "count-by/event", {"filter": week}),
        ("by resource of a deployment", "count-by/resource", {
            "filter": week | {"related": {"id": ["prefect.deployment.77"]}}
        }),
        ("by resource", "count-by/resource", {"filter": week}),
    ]  # fmt: skip


async def ask(opponent: Opponent) -> list[dict[str, Any]]:
    rows = []
    for name, path, body in questions(datetime.now(UTC)):
        # One each: the reference hangs up on who asked something long ago.
        connection = opponent.server.connection(timeout=300)
        try:
            rows.append({"question": name} | await asked(opponent, connection, f"/api/events/{path}", body))
        except ConnectionError:  # and on texts, on SQLite, which it cannot search
            rows.append({"question": name, "status": 0})
        await connection.close()
    return rows


async def asked(opponent: Opponent, connection: Connection, path: str, body: Body) -> dict[str, Any]:
    took: list[float] = []
    used: list[tuple[float, ...]] = []
    for number in range(TIMES + 1):
        before = opponent.exact_cpu()
        begun = time.perf_counter()
        answer = await connection.post(path, body)
        took.append((time.perf_counter() - begun) * 1000)
        used.append(tuple((now - was) * 1000 for was, now in zip(before, opponent.exact_cpu(), strict=True)))
        if took[-1] > 5000 and number:  # often enough
            break
    again = [sum(cpu) for cpu in used[1:]]
    return {
        "status": answer.status, "p50_ms": statistics.median(took[1:]), "max_ms": max(took[1:]),
        "first_cpu_ms": sum(used[0]), "again_cpu_ms": min(again),
        "server_cpu_ms": statistics.mean(cpu[0] for cpu in used[1:]),
        "database_cpu_ms": statistics.mean(cpu[1] for cpu in used[1:]), "bytes": len(answer.body),
    }  # fmt: skip
