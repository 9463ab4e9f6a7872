"""The lists that clients ask for all day use their index on a large table, on both databases.

SQLite is asked without statistics, as a new installation has none; PostgreSQL with them, since it gathers its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from lictor import flows, metrics, tallies
from lictor.db import Database, Tx
from lictor.db.dialect import Compiled
from lictor.db.statement import composed
from lictor.db.tx import Row
from lictor.flow_runs import children, download, graph, listing, loops, purging
from lictor.flow_runs.listing import FlowRunHistory, FlowRunPage, FlowRunQuery, FlowRunSlice
from lictor.task_runs import listing as task_listing
from lictor.task_runs import unfinished
from lictor.task_runs.listing import TaskRunHistory, TaskRunPage, TaskRunQuery
from lictor.ui import flow_runs as runs_in_short

RUNS = 50_000
START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = {"after_": "2026-01-20T00:00:00Z", "before_": "2026-01-21T00:00:00Z"}


def an_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012}"


def id_sql(number: str) -> str:
    """The same in SQL."""
    text = f"cast({number} as text)"
    return (
        f"cast('00000000-0000-7000-8000-' || substr('000000000000' || {text}, length({text}) + 1, 12) as {{uuid_type}})"
    )


SERIES = """
    with recursive n (i) as (select 1 union all select i + 1 from n where i < :count),
    numbers as (select i, {add_seconds:start:i * 60} as moment from n cross join (select {ts:start} as start) s)
"""
FLOWS = f"""
    insert into flow (id, created, updated, name)
    {SERIES} select {id_sql("i")}, moment, moment, 'flow ' || cast(i as text) from numbers
"""
# Nearly all are over, and so are those of most quarters of an hour; one in 120 is scheduled, one in fifty is a subflow
# run. Flow and deployment 51 run seldom.
FLOW_RUNS = f"""
    insert into flow_run (
        id, created, updated, name, flow_id, deployment_id, state_type, state_name, state_timestamp,
        expected_start_time, next_scheduled_start_time, start_time, end_time, parent_task_run_id
    )
    {SERIES}, runs as (
        select i, moment, case i % 500 when 7 then 51 else 1 + i % 50 end as flow,
            case i % 500 when 7 then 51 else 1 + i % 40 end as deployment,
            case when i % 120 = 0 then 'SCHEDULED' when i % 360 = 1 then 'RUNNING' when i % 20 = 2 then 'FAILED'
                else 'COMPLETED' end as state_type
        from numbers
    )
    select {id_sql("i")}, moment, moment, 'run ' || cast(i as text), {id_sql("flow")}, {id_sql("deployment")},
        state_type, state_type, moment, moment, case when state_type = 'SCHEDULED' then moment end,
        case when state_type <> 'SCHEDULED' then moment end,
        case when state_type in ('COMPLETED', 'FAILED') then moment end, case when i % 50 = 0 then {id_sql("i")} end
    from runs
"""
TASK_RUNS = f"""
    insert into task_run (
        id, created, updated, name, flow_run_id, task_key, dynamic_key, expected_start_time, start_time, state_type,
        state_name
    )
    {SERIES}
    select {id_sql("i")}, moment, moment, 'task', {id_sql("1 + i / 20")}, 'key', cast(i as text), moment, moment,
        'COMPLETED', 'Completed' from numbers
"""
LOGS = f"""
    insert into log (created, name, level, message, timestamp, flow_run_id)
    {SERIES} select moment, 'log', 20, 'message', moment, {id_sql("1 + i % 100")} from numbers
"""


class Case(NamedTuple):
    """What is read, and the indexes of which one must be used."""

    name: str
    read: Callable[[Tx], object]
    indexes: tuple[str, ...]


def query(kind: type[Any], **body: Any) -> Any:
    return msgspec.convert(body, kind)


def page(sort: str = "ID_DESC", **body: Any) -> Callable[[Tx], object]:
    wanted = query(FlowRunSlice, sort=sort, limit=200, **body)
    return lambda tx: listing.find_slice(tx, wanted)


def count(**filters: Any) -> Callable[[Tx], object]:
    wanted = query(FlowRunQuery, **filters)
    return lambda tx: listing.count(tx, wanted)


PRIMARY = ("sqlite_autoindex_flow_run_1", "flow_run_pkey")
BY_START = ("ix_flow_run__start", "ix_flow_run__state_start")
# Of few subflows, all may be read.
LIVE_CHILD = ("ix_flow_run__live_child", "ix_flow_run__parent_task_run_id")
DAY = {"history_start": "2026-01-20T00:00:00Z", "history_end": "2026-01-21T00:00:00Z", "history_interval_seconds": 60}
FAILED = {"state": {"type": {"any_": ["FAILED"]}}}
OVER = {"state": {"type": {"any_": ["FAILED", "COMPLETED"]}}, "start_time": WINDOW}
ENDED = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
LONG_RUNNING = {"state": {"type": {"any_": ["RUNNING"]}}, "start_time": {"before_": "2026-01-30T00:00:00Z"}}
OF_DEPLOYMENT = query(FlowRunPage, sort="START_TIME_DESC", limit=100, deployments={"id": {"any_": [an_id(51)]}})
DUE = {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": {"before_": "2026-01-02T00:00:00Z"}}

# SQLite names the key that it goes by, PostgreSQL the table, small as it is.
TALLIES = ("PRIMARY KEY (slot", "flow_run_tally")
TASK_TALLIES = ("PRIMARY KEY (slot", "task_run_tally")
FLOW = ("ix_flow_run__flow_id", "ix_flow_run__flow_start", "uq_flow_run__flow_id_idempotency_key")
MONTH = {"after_": "2026-01-03T00:07:00Z", "before_": "2026-02-02T00:07:00Z"}
LONG = {"history_start": MONTH["after_"], "history_end": MONTH["before_"], "history_interval_seconds": 25_920}
OF_FLOW = {"id": {"any_": [an_id(7)]}}
BEGUN = {"start_time": {"is_null_": False}}
NAMED = {"expected_start_time": WINDOW, "name": {"like_": "run 281"}}
STARTED = query(TaskRunQuery, task_runs={"start_time": MONTH, "subflow_runs": {"exists_": False}})
STARTED_HISTORY = query(TaskRunHistory, **LONG, flow_runs={}, task_runs={"start_time": MONTH})
OF_PERIOD = query(TaskRunQuery, flow_runs={"expected_start_time": MONTH})
PAGE_OF_PERIOD = query(
    TaskRunPage,
    sort="EXPECTED_START_TIME_DESC",
    limit=10,
    flow_runs={"expected_start_time": {"after_": START.isoformat()}},
)

CASES = [
    Case("all", page(), PRIMARY),
    Case("by id", page(flow_runs={"id": {"any_": [an_id(7)]}}), PRIMARY),
    Case("by ids", page(flow_runs={"id": {"any_": [an_id(7), an_id(8)]}}), PRIMARY),
    Case("newest", page("START_TIME_DESC"), ("ix_flow_run__start",)),
    Case("by state and window", page("START_TIME_DESC", flow_runs=FAILED | {"start_time": WINDOW}), BY_START),
    Case("by states and window", page("START_TIME_DESC", flow_runs=OVER), BY_START),
    Case("newest of a state", page("START_TIME_DESC", flow_runs=FAILED), BY_START),
    Case(
        "of a deployment",
        page("EXPECTED_START_TIME_DESC", flow_runs={"deployment_id": {"any_": [an_id(51)]}}),
        ("ix_flow_run__deployment_id",),
    ),
    Case(
        "of a flow",
        page("EXPECTED_START_TIME_DESC", flows={"id": {"any_": [an_id(51)]}}),
        ("ix_flow_run__flow_id", "ix_flow_run__flow_start"),
    ),
    Case(
        "newest of a flow",
        page("START_TIME_DESC", flows={"id": {"any_": [an_id(7)]}}),
        ("ix_flow_run__flow_start", "ix_flow_run__start"),
    ),
    Case(
        "newest of a period",
        page("START_TIME_DESC", flow_runs={"expected_start_time": WINDOW}),
        ("ix_flow_run__start", "ix_flow_run__expected_start_time"),
    ),
    Case(
        "numbered page of a deployment",
        lambda tx: listing.find_page(tx, OF_DEPLOYMENT),
        ("ix_flow_run__deployment_id",),
    ),
    Case("long running", page("START_TIME_ASC", flow_runs=LONG_RUNNING), ("ix_flow_run__state_start",)),
    Case(
        "newest since a moment",
        page("START_TIME_DESC", flow_runs={"expected_start_time": {"after_": "2026-01-20T00:00:00Z"}}),
        ("ix_flow_run__start", "ix_flow_run__expected_start_time"),
    ),
    Case("due", page("NEXT_SCHEDULED_START_TIME_ASC", flow_runs=DUE), ("ix_flow_run__due",)),
    Case(
        "of a task run",
        page(flow_runs={"parent_task_run_id": {"any_": [an_id(50)]}}),
        ("ix_flow_run__parent_task_run_id",),
    ),
    Case(
        "of a parent",
        page(flow_runs={"parent_flow_run_id": {"any_": [an_id(3)]}}),
        ("ix_flow_run__parent_task_run_id",),
    ),
    Case("may be late", lambda tx: loops.late(tx, START, 500), ("ix_flow_run__due",)),
    Case("subflows of the cancelled", lambda tx: children.of_cancelled(tx, 500), LIVE_CHILD),
    Case("lost subflows", lambda tx: children.lost(tx, START, 500), LIVE_CHILD),
    Case("unfinished tasks", lambda tx: unfinished.silent(tx, START, 500), ("ix_task_run__state_start",)),
    Case("by name", page(flow_runs={"name": {"any_": ["run 7"]}}), ("ix_flow_run__name",)),
    Case(
        "count of a state", count(flow_runs={"state": {"type": {"any_": ["RUNNING"]}}}), ("ix_flow_run__state_start",)
    ),
    Case(
        "numbered page",
        lambda tx: listing.find_page(tx, query(FlowRunPage, limit=50, flow_runs={"id": {"any_": [an_id(7)]}})),
        PRIMARY,
    ),
    Case(
        "history",
        lambda tx: listing.history(tx, query(FlowRunHistory, **DAY)),
        ("ix_flow_run__expected_start_time",),
    ),
    Case("count of all, from tallies", count(), TALLIES),
    Case("count of what is over, from tallies", count(flow_runs=ENDED), TALLIES),
    Case("counts by state, from tallies", tallies.flow_runs.by_state, TALLIES),
    Case(
        "how many are due", lambda tx: tx.one(metrics.DUE, now=START + timedelta(minutes=RUNS)), ("ix_flow_run__due",)
    ),
    Case("count of a month, from tallies", count(flow_runs={"expected_start_time": MONTH}), TALLIES),
    Case("history of a month, from tallies", lambda tx: listing.history(tx, query(FlowRunHistory, **LONG)), TALLIES),
    Case("count of a flow's runs that began", count(flows=OF_FLOW, flow_runs=BEGUN), ("ix_flow_run__state_start",)),
    Case(
        "names in a period",
        lambda tx: listing.find_page(tx, query(FlowRunPage, sort="START_TIME_DESC", limit=10, flow_runs=NAMED)),
        ("ix_flow_run__expected_start_time",),
    ),
    Case(
        "history of the ui",
        lambda tx: runs_in_short.history(tx, query(runs_in_short.FlowRunHistory, flow_runs={"start_time": WINDOW})),
        (*BY_START, "ix_flow_run__expected_start_time"),
    ),
    Case("task runs that started in a month", lambda tx: task_listing.count(tx, STARTED), TASK_TALLIES),
    Case("history of task runs", lambda tx: task_listing.history(tx, STARTED_HISTORY), TASK_TALLIES),
    Case("task runs of a period's flow runs", lambda tx: task_listing.count(tx, OF_PERIOD), TALLIES),
    Case(
        "page of task runs of a period's flow runs",
        lambda tx: task_listing.find_page(tx, PAGE_OF_PERIOD),
        ("ix_task_run__expected_start_time",),
    ),
    Case(
        "runs of a deleted flow",
        lambda tx: tx.all(purging.NEXT, flow_id=an_id(7), limit=50),
        ("ix_flow_run__flow_id", "ix_flow_run__flow_start"),
    ),
    Case("whether a flow has many runs", lambda tx: tx.one(flows.MANY_RUNS, id=an_id(7), most=500), FLOW),
    Case("logs", lambda tx: download.page_logs(tx, an_id(7), None), ("ix_log__flow_run_id_timestamp",)),
    Case(
        "graph",
        lambda tx: tx.all(graph.NODES, id=an_id(7), limit=10_000),
        ("sqlite_autoindex_task_run_2", "uq_task_run__flow_run_id_task_key_dynamic_key"),
    ),
]


class Watched(Tx):
    """A transaction that keeps the statements that were read through it."""

    dialect: Any

    def __init__(self, tx: Tx) -> None:
        super().__init__()
        self.tx = tx
        self.dialect = tx.dialect
        self.seen: list[tuple[Compiled, dict[str, Any]]] = []

    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None:
        self.seen.append((statement, dict(params)))
        return self.tx._first(statement, params)

    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]:
        self.seen.append((statement, dict(params)))
        return self.tx._rows(statement, params)

    def _run(self, statement: Compiled, params: dict[str, Any]) -> int:
        raise AssertionError("a list writes nothing")

    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None:
        raise AssertionError("a list writes nothing")


def fill(tx: Tx) -> None:
    if tx.dialect.name == "postgres":
        tx.run(composed(None, "set local statement_timeout = 0"))
    for text, count in ((FLOWS, 51), (FLOW_RUNS, RUNS), (TASK_RUNS, 20_000), (LOGS, RUNS)):
        tx.run(composed(None, text), start=START, count=count)


def gather_statistics(tx: Tx) -> None:
    if tx.dialect.name == "postgres":
        tables = ("flow", "flow_run", "task_run", "log", "flow_run_tally", "task_run_tally", "flow_run_unsettled")
        for table in tables:
            tx.run(composed(None, f"analyze {table}"))


# To look at all 50,000 runs takes SQLite's virtual machine two million steps or more.
MOST_STEPS = 1_200_000


def steps(tx: Tx, read: Callable[[Tx], object]) -> int:
    """How much SQLite has to do, in steps of its virtual machine."""
    taken = 0

    def count() -> bool:
        nonlocal taken
        taken += 1000
        return False

    connection: Any = tx._connection  # type: ignore[attr-defined]
    connection.set_progress_handler(count, 1000)
    try:
        read(tx)
    finally:
        connection.set_progress_handler(None)
    return taken


def explained(tx: Tx, read: Callable[[Tx], object]) -> str:
    watched = Watched(tx)
    read(watched)
    return "\n".join(line for statement, params in watched.seen for line in _plan(tx, statement, params))


def _plan(tx: Tx, statement: Compiled, params: dict[str, Any]) -> list[str]:
    how = "explain query plan" if tx.dialect.name == "sqlite" else "explain (costs off)"
    rows = tx._rows(Compiled(f"{how} {statement.text}", statement.parameters, statement.lists), params)
    return [str(row[-1]) for row in rows]


# Read in the order of an index: nothing is sorted but ties.
IN_ORDER = ("all", "newest", "newest of a state", "newest of a flow", "of a deployment", "due")


def complaint(case: Case, plan: str) -> str | None:
    if case.name in IN_ORDER and "USE TEMP B-TREE FOR ORDER BY" in plan:
        return f"{case.name}: sorts everything\n{plan}"
    reads_all = re.search(r"SCAN (r|t|log)$|Seq Scan on (flow_run r|task_run t|log)$", plan, re.MULTILINE)
    if reads_all or not any(index in plan for index in case.indexes):
        return f"{case.name}: none of {', '.join(case.indexes)}\n{plan}"
    return None


def test_lists_use_their_indexes(db: Database) -> None:
    db.write_now(fill)
    while db.write_now(tallies.settle, START + timedelta(minutes=RUNS)):
        pass
    db.write_now(gather_statistics)

    def look(tx: Tx) -> list[str]:
        found = [complaint(case, explained(tx, case.read)) for case in CASES]
        if tx.dialect.name == "sqlite":
            taken = {case.name: steps(tx, case.read) for case in CASES}
            found += [f"{name}: {count} steps" for name, count in taken.items() if count > MOST_STEPS]
        return [text for text in found if text is not None]

    assert not "\n\n".join(db.read_now(look))


assert timedelta(seconds=60 * RUNS) > timedelta(days=30)  # the windows above have runs in them
