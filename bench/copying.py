"""The reference's database, filled with the rows of one of Lictor's: both are SQLite, so one file reads the other."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from bench.event_queries import REFERENCE_RESOURCES
from bench.servers import Server

TABLES = (
    "flow", "work_pool", "work_queue", "deployment", "flow_run", "flow_run_state", "task_run", "task_run_state", "log",
    "events",
)  # fmt: skip
# What Lictor has not, or has in another way.
OTHERWISE = {
    ("flow_run", "parameters"): """coalesce((
        select a.parameters from lictor.flow_run_parameters a where a.flow_run_id = theirs.id
    ), theirs.parameters)""",
    ("flow_run", "total_run_time"): "strftime('%Y-%m-%d %H:%M:%f000', theirs.total_run_time, 'unixepoch')",
    ("task_run", "total_run_time"): "strftime('%Y-%m-%d %H:%M:%f000', theirs.total_run_time, 'unixepoch')",
    ("log", "id"): "lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6)))",
    ("events", "created"): "instant(theirs.received)",
    ("events", "updated"): "instant(theirs.received)",
    ("events", "recorded"): "instant(theirs.received)",
    ("events", "related_resource_ids"): "'[]'",
}


def copy(url: str, server: Server) -> None:
    """Have the reference's server make its database, unless it is there, and put the rows of Lictor's into it."""
    path = server.home / "server.db"
    if path.exists():
        return
    server.start()
    server.stop()
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.create_function("instant", 1, instant, deterministic=True)
        file.execute("attach ? as lictor", (str(Path(url.removeprefix("sqlite:///"))),))
        with file:
            file.execute("pragma defer_foreign_keys = on")
            for table in TABLES:
                copy_table(file, table)
            file.execute(REFERENCE_RESOURCES)


def instant(text: str | None) -> str | None:
    """As the reference's files have it: without `T` and zone."""
    return None if text is None else text[:10] + " " + text[11:26]


def copy_table(file: sqlite3.Connection, table: str) -> None:
    """The columns that both have; instants are those that the reference calls so."""
    ours, expressions = columns(file, "lictor", table), {}
    for name, kind in columns(file, "main", table).items():
        if (table, name) in OTHERWISE:
            expressions[name] = OTHERWISE[table, name]
        elif name in ours:
            expressions[name] = f"instant(theirs.{name})" if kind == "DATETIME" else f"theirs.{name}"
    file.execute(
        f"insert into main.{table} ({', '.join(expressions)})"
        f" select {', '.join(expressions.values())} from lictor.{table} theirs"
    )


def columns(file: sqlite3.Connection, schema: str, table: str) -> dict[str, str]:
    """Names and types."""
    return {row[1]: row[2] for row in file.execute(f"pragma {schema}.table_info({table})")}
