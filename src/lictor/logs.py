"""Logs, at `/api/logs`: written in batches, read by filter, followed over a websocket, swept when their run is gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct

from lictor.db import Database, Tx, Where, sql
from lictor.db.statement import composed
from lictor.feed import Bell, Positions
from lictor.filters.entities import Filter
from lictor.filters.leaves import AnyId, Condition, IdOrNull, Leaf, Operator, Period, TextSearch, on
from lictor.kit import clock, ids, times
from lictor.kit.decoding import decode
from lictor.kit.errors import LictorError, Unavailable
from lictor.loops import Service
from lictor.web import DEFAULT_LIMIT, Closed, Embedded, Instant, Limit, Offset, Router, Socket
from lictor.web.sockets import UNREADABLE

log = logging.getLogger(__name__)

# Each commit that wrote logs tells of it.
TOPIC = "logs"

# A follower reads so many at a time: each may be large, and the follower slow.
MOST_AT_ONCE = 64

LEVEL_BITS = 16  # the reference's column is a smallint


class LogCreate(Struct, forbid_unknown_fields=True):
    name: str
    level: Annotated[int, Meta(ge=-(2 ** (LEVEL_BITS - 1)), lt=2 ** (LEVEL_BITS - 1))]
    message: str
    timestamp: Instant
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class Log(Struct):
    id: str
    created: datetime
    updated: datetime
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: str | None
    task_run_id: str | None


class Stored(Struct):
    """A log where it stands in the table; its id follows from that."""

    position: int
    created: datetime
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: str | None
    task_run_id: str | None

    def log(self) -> Log:
        position, created, *rest = msgspec.structs.astuple(self)[:8]
        return Log(ids.of(created, position), created, created, *rest)


class LevelRange(Leaf):
    ge_: int | None = None
    le_: int | None = None

    def conditions(self, at: on) -> list[Condition]:
        bounds = ((">=", self.ge_), ("<=", self.le_))
        return [Condition(f"{at.column} {sign} {{int:level}}", {"level": b}) for sign, b in bounds if b is not None]


class LogFilter(Filter):
    level: Annotated[LevelRange | None, on("l.level")] = None
    timestamp: Annotated[Period | None, on("l.timestamp")] = None
    flow_run_id: Annotated[AnyId | None, on("l.flow_run_id")] = None
    task_run_id: Annotated[IdOrNull | None, on("l.task_run_id")] = None
    text: Annotated[TextSearch | None, on("l.message || ' ' || l.name")] = None


class LogSort(StrEnum):
    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"


class LogSlice(Embedded):
    offset: Offset = 0
    logs: LogFilter | None = None
    sort: LogSort = LogSort.TIMESTAMP_ASC
    limit: Limit = DEFAULT_LIMIT


class LogStream(Struct, frozen=True):
    """How logs reach those who follow them; not `enabled`, they do not."""

    bell: Bell  # rings when logs were committed
    enabled: bool = False
    poll_seconds: float = 1.0


# Logs of one moment are shown in the order in which they were written.
ORDERS = {
    LogSort.TIMESTAMP_ASC: "l.timestamp, l.position",
    LogSort.TIMESTAMP_DESC: "l.timestamp desc, l.position desc",
}

_COLUMNS = "l.position, l.created, l.name, l.level, l.message, l.timestamp, l.flow_run_id, l.task_run_id"

INSERT = sql(
    "logs.insert",
    None,
    """
    insert into log (created, name, level, message, timestamp, flow_run_id, task_run_id)
    values (:created, :name, :level, :message, :timestamp, :flow_run_id, :task_run_id)
    """,
)
LAST = sql("logs.last", int, "select coalesce(max(position), 0) from log")
TOMBSTONES = sql("logs.tombstones", str, "select run_id from run_tombstone order by deleted limit :limit")
SWEEP = sql(
    "logs.sweep",
    None,
    """
    delete from log where position in (
        select position from log where flow_run_id = :run_id
        union all select position from log where task_run_id = :run_id
        limit :limit
    )
    """,
)
EXHUME = sql("logs.exhume", None, "delete from run_tombstone where run_id = :run_id")


def insert(tx: Tx, logs: list[LogCreate]) -> None:
    """Store logs. NUL characters, which PostgreSQL cannot hold, are left out on both databases."""
    now = times.text(clock.now())
    tx.many(INSERT, _rows(logs, now))
    tx.tell(TOPIC)


def page(tx: Tx, wanted: LogSlice) -> list[Log]:
    where = Where() if wanted.logs is None else wanted.logs.where()
    select = f"select {_COLUMNS} from log l"
    rows = tx.page(Stored, select, where, order=ORDERS[wanted.sort], limit=wanted.limit, offset=wanted.offset)
    return [row.log() for row in rows]


def sweep(tx: Tx, batch: int) -> int:
    """Delete logs of deleted runs, some rows at a time so that nobody waits long; returns how many went."""
    gone = 0
    for run_id in tx.all(TOMBSTONES, limit=batch):
        gone += (swept := tx.run(SWEEP, run_id=run_id, limit=batch - gone))
        if gone >= batch:
            return gone
        tx.run(EXHUME, run_id=run_id)
        gone += swept == 0
    return gone


def _rows(logs: list[LogCreate], now: str) -> list[dict[str, Any]]:
    """The parameters of the inserts, as text already; msgspec writes ids and instants in a tenth of Python's time."""
    rows: list[dict[str, Any]] = msgspec.to_builtins(logs)
    for row, log in zip(rows, logs, strict=True):
        row["created"] = now
        # It leaves out a fraction that is zero, and keeps offsets.
        if len(row["timestamp"]) != _WIDTH or row["timestamp"][-1] != "Z":
            row["timestamp"] = times.text(log.timestamp)
        if "\0" in log.message or "\0" in log.name:
            row |= {"message": log.message.replace("\0", ""), "name": log.name.replace("\0", "")}
    return rows


_WIDTH = len("2024-01-22T15:30:45.123456Z")


router = Router("/logs", tag="Logs")


@router.post("/", status=201)
def create_logs(body: list[LogCreate], db: Database) -> Awaitable[None]:
    return db.write(insert, body)


@router.post("/filter")
def read_logs(body: LogSlice, db: Database) -> Awaitable[list[Log]]:
    return db.read(page, body)


class _Subscribe(Struct):
    type: str
    filter: Raw = Raw(b"")


class Offered(Stored):
    """A log as a follower reads it: it may not want it."""

    wanted: bool


@router.websocket("/out")
async def stream_logs_out(socket: Socket, db: Database, stream: LogStream) -> None:
    """The client sends a filter, the server every log from now on that it lets through."""
    try:
        first = decode(await socket.receive(), _Subscribe)
        if first.type != "filter":
            await socket.close(1002, "Expected 'filter' message")
            return
        if not bytes(first.filter):
            await socket.close(1002, "Invalid filter: 'filter'")
            return
        wanted = decode(first.filter, LogFilter, strict=False)
    except UNREADABLE as error:
        await socket.close(1002, f"Invalid filter: {error}")
        return
    # A live log is matched by level, time and run; words and `operator` are not looked at, as in the reference.
    wanted.text, wanted.operator = None, Operator.and_
    following = asyncio.get_running_loop().create_task(_follow(socket, db, stream, wanted))
    try:
        while True:
            await socket.receive()
    finally:
        following.cancel()


async def _follow(socket: Socket, db: Database, stream: LogStream, wanted: LogFilter) -> None:
    if not stream.enabled:
        return
    with suppress(Closed):
        try:
            await _send_new(socket, db, stream, wanted)
        except LictorError as error:
            log.warning("a follower of logs is sent away: %s", error)
            await socket.close(1011, "The logs cannot be read")


async def _send_new(socket: Socket, db: Database, stream: LogStream, wanted: LogFilter) -> None:
    seen = Positions(await db.read(_last))
    while True:
        heard = stream.bell.rung
        try:
            rows = await db.read(_after, wanted, seen.last, seen.gaps)
        except Unavailable as error:
            log.warning("a follower of logs waits for the database: %s", error)
            rows = []
        for row in rows:
            if row.wanted:
                await socket.send({"type": "log", "log": row.log()})
        seen.saw((row.position for row in rows), time.monotonic())
        if not rows:
            await stream.bell.wait(stream.poll_seconds, heard)


def _last(tx: Tx) -> int:
    return int(tx.value(LAST))


def _after(tx: Tx, wanted: LogFilter, last: int, gaps: list[int]) -> list[Offered]:
    # Logs that are not wanted are read, too: what is not seen would be taken for a gap.
    matches = wanted.where()
    text = f"""
        select {_COLUMNS}, {matches.text()} as wanted from log l
        where l.position > {{int:last}} or l.position {{in:gaps:bigint}} order by l.position limit :limit
    """
    return tx.all(composed(Offered, text), **matches.params, last=last, gaps=gaps, limit=MOST_AT_ONCE)


class LogSweeper(Service):
    """Deletes the logs of deleted runs, which `run_tombstone` lists: a run goes at once, its logs in their own time."""

    name = "log-sweeper"
    batch = 500

    def __init__(self, db: Database, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db

    async def run_once(self) -> int:
        return await self._db.write(sweep, self.batch)
