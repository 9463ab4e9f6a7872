"""All logs of a flow run as one CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit.errors import NotFound

PAGE = 1000
HEADER = ("timestamp", "level", "flow_run_id", "task_run_id", "message")


class LogRow(Struct):
    position: int
    timestamp: datetime
    level: int
    task_run_id: str | None
    message: str


NAME = sql("flow_runs.name", str, "select name from flow_run where id = :id")
LOGS = sql(
    "flow_runs.logs",
    LogRow,
    """
    select position, timestamp, level, task_run_id, message from log
    where flow_run_id = :id and (timestamp, position) > ({ts:after}, {int:position})
    order by timestamp, position
    limit :limit
    """,
)


def get_file_name(tx: Tx, run_id: str) -> str:
    return quote(tx.get(NAME, NotFound("Flow run not found"), id=run_id) + "-logs.csv", safe="")


def page_logs(tx: Tx, run_id: str, after: LogRow | None) -> list[LogRow]:
    """The next logs by time; those of the same instant in the order in which they came."""
    instant, position = (datetime(1, 1, 1, tzinfo=UTC), 0) if after is None else (after.timestamp, after.position)
    return tx.all(LOGS, id=run_id, after=instant, position=position, limit=PAGE)


async def chunks(db: Database, run_id: str) -> AsyncIterator[str]:
    """The file, a page of logs at a time: each is a read of its own, so no snapshot stays open while a client loads."""
    yield _lines([HEADER])
    last: LogRow | None = None
    while logs := await db.read(page_logs, run_id, last):
        yield _lines((log.timestamp, log.level, run_id, log.task_run_id, log.message) for log in logs)
        if len(logs) < PAGE:
            return
        last = logs[-1]


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
