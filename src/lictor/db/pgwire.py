"""One PostgreSQL connection, spoken to through libpq's pipeline with prepared statements.

psycopg connects and translates errors; its cursors are passed by, because they cost five times what the database work
does (a transaction of six statements: 790 µs of client CPU through cursors, 110 µs here). Parameters travel as text and
the server infers their types, so a statement has one plan whatever Python values it gets.

Nobody says ``begin`` or ``commit``: what is sent between two sync points of a pipeline is one transaction, which the
second of them commits, or rolls back if a statement failed. Two commands fewer is a tenth of a small transaction.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from lictor.db.dialect import Compiled
from lictor.kit import times

Row = Sequence[Any]

_OK = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_CHUNK = 256  # results of so many statements fit the socket's buffers: neither side can block on the other
_MOST_PREPARED = 1000  # lists are asked for with any filters, so their statements are without number

# A server that vanished without a word is noticed within a minute; a URL may say otherwise.
_NOTICE_SILENCE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


class Connection:
    """A connection that is always in pipeline mode: ``push`` sends, ``fetch`` sends and waits for everything sent.

    Between ``begin`` and ``commit`` they are parts of one transaction; else each ``fetch`` ends one.
    """

    __slots__ = (
        "_connection",
        "_count",
        "_failed",
        "_in_transaction",
        "_loaders",
        "_open",
        "_pending",
        "_pg",
        "_prepared",
        "_readable",
        "_ready",
    )

    def __init__(self, conninfo: str, *, connect_timeout: int = 5) -> None:
        settings = {**_NOTICE_SILENCE, "connect_timeout": connect_timeout, **conninfo_to_dict(conninfo)}
        self._connection = psycopg.connect(autocommit=True, **settings)  # type: ignore[arg-type]
        self._pg = self._connection.pgconn
        self._prepared: dict[str, bytes] = {}
        self._loaders: dict[bytes, list[Callable[[bytes], Any] | None]] = {}
        self._pending: list[str | None] = []  # what was sent: the text that is being prepared, or None for the rest
        self._count = 0
        self._in_transaction = False
        self._open = False  # something was sent since the last sync point
        self._failed = False  # and part of it failed: the server ignores everything until the next one
        self._pg.enter_pipeline_mode()
        self._readable = select.poll()
        self._readable.register(self._pg.socket, select.POLLIN)
        self._ready = select.poll()
        self._ready.register(self._pg.socket, select.POLLIN | select.POLLOUT)

    @property
    def broken(self) -> bool:
        return self._pg.status != pq.ConnStatus.OK

    @property
    def stale(self) -> bool:
        """Whether the server said anything since it was last asked: then it has hung up, or is about to."""
        return self.broken or bool(self._readable.poll(0))

    def close(self) -> None:
        self._connection.close()

    def push(self, statement: Compiled, params: dict[str, Any]) -> None:
        """Send a statement; what it returns is dropped, its error shows at the next ``fetch`` or ``sync``."""
        lists = statement.lists
        values = [_dump(params[key], key in lists) for key in statement.parameters]
        name = self._prepared.get(statement.text) or self._prepare(statement.text)
        self._pg.send_query_prepared(name, values)
        self._pending.append(None)
        self._open = True
        if len(self._pending) >= _CHUNK:
            self._answers()

    def fetch(self, statement: Compiled, params: dict[str, Any]) -> Result:
        """Send a statement and return its result. Raises the first error of anything that was sent."""
        self.push(statement, params)
        name = self._prepared[statement.text]
        result = self._answers() if self._in_transaction else self.sync()
        assert result is not None
        return Result(result, self._loaders_of(name, result))

    def command(self, text: str) -> None:
        """Send a parameterless command such as ``begin``."""
        name = self._prepared.get(text) or self._prepare(text)
        self._pg.send_query_prepared(name, [])
        self._pending.append(None)
        self._open = True

    def begin(self) -> None:
        """Begin a transaction. Statements that were prepared before are forgotten when they are many."""
        self._in_transaction = True
        if len(self._prepared) > _MOST_PREPARED:
            self._pg.send_query_params(b"deallocate all", None)
            self._pending.append(None)
            self._open = True
            self._prepared.clear()
            self._loaders.clear()

    def commit(self) -> None:
        """Wait until everything that was sent is durable. Raises the first error, and also when there was one that
        the body did not let out: the server rolls back then."""
        failed = self._failed
        self.sync()
        if failed:
            raise psycopg.InternalError("the transaction was rolled back: an error in it was passed over")

    def sync(self) -> pq.abc.PGresult | None:
        """End what was sent since the last sync point, and wait for it; returns the last result. Raises the first
        error."""
        self._in_transaction = False
        if not self._open:
            return None
        self._pg.pipeline_sync()
        try:
            return self._results()
        finally:
            self._open = self._failed = False
            self._sync_point()

    def roll_back(self) -> None:
        """Undo what was sent since the last sync point; a connection that cannot is closed."""
        try:
            if self._open and not self._failed:
                # `begin` takes what there is into a transaction that can be ended so without a warning in the log.
                self.command("begin")
                self.command("rollback")
            self.sync()
        except psycopg.Error:  # at a sync point the server rolls back after an error
            if self.broken:
                self.close()

    def _answers(self) -> pq.abc.PGresult | None:
        """Wait for what was sent, within a transaction; returns the last result. Raises the first error."""
        if self._failed:
            raise psycopg.InternalError("an error in the transaction was passed over")
        self._pg.send_flush_request()
        return self._results()

    def _results(self) -> pq.abc.PGresult | None:
        pending, self._pending = self._pending, []
        self._flush()
        last: pq.abc.PGresult | None = None
        failed: pq.abc.PGresult | None = None
        for text in pending:
            result = self._result()
            if result.status in _OK:
                last = result if text is None else last
                continue
            failed = failed or result
            if text is not None:
                self._prepared.pop(text, None)
        if failed is not None:
            self._failed = True
            raise psycopg.errors.error_from_result(failed)
        return last

    def _sync_point(self) -> None:
        result = self._result()
        if result.status != pq.ExecStatus.PIPELINE_SYNC:  # the commit itself failed
            self._result()
            raise psycopg.errors.error_from_result(result)

    def _flush(self) -> None:
        """Send what the socket did not take at once; meanwhile take in what the server says, or it would stop too."""
        while self._pg.flush():
            if any(event & select.POLLIN for _, event in self._ready.poll()):
                self._pg.consume_input()

    def _result(self) -> pq.abc.PGresult:
        while (result := self._next()) is None:  # None ends the results of one command
            if self.broken:
                raise psycopg.OperationalError("the connection to the database broke")
        if result.status == pq.ExecStatus.FATAL_ERROR and self.broken:
            raise psycopg.OperationalError(result.get_error_message())
        return result

    def _next(self) -> pq.abc.PGresult | None:
        # get_result waits inside of libpq with the interpreter locked: a thread that waits for a row lock there would
        # keep the thread that holds the row from ever committing. So the wait is ours.
        while self._pg.is_busy():
            self._readable.poll()
            self._pg.consume_input()
        return self._pg.get_result()

    def _prepare(self, text: str) -> bytes:
        self._count += 1
        name = b"s%d" % self._count
        self._pg.send_prepare(name, text.encode())
        self._pending.append(text)
        self._prepared[text] = name
        return name

    def _loaders_of(self, name: bytes, result: pq.abc.PGresult) -> list[Callable[[bytes], Any] | None]:
        loaders = self._loaders.get(name)
        if loaders is None:
            loaders = [_LOADERS.get(result.ftype(column), _text) for column in range(result.nfields)]
            self._loaders[name] = loaders
        return loaders


class Result:
    """The rows of one statement, converted as they are read."""

    __slots__ = ("_loaders", "_result")

    def __init__(self, result: pq.abc.PGresult, loaders: list[Callable[[bytes], Any] | None]) -> None:
        self._result = result
        self._loaders = loaders

    @property
    def changed(self) -> int:
        return self._result.command_tuples or 0

    def first(self) -> Row | None:
        return self._row(0) if self._result.ntuples else None

    def rows(self) -> list[Row]:
        return [self._row(index) for index in range(self._result.ntuples)]

    def _row(self, index: int) -> Row:
        value = self._result.get_value
        row: list[Any] = []
        for column, load in enumerate(self._loaders):
            data = value(index, column)
            row.append(data if data is None or load is None else load(data))
        return row


def _dump(value: Any, is_list: bool) -> bytes | None:
    kind = type(value)
    if kind is str:
        return _no_null(value.encode())
    if value is None:
        return None
    if is_list:
        return _array(value)
    if kind is datetime:
        return times.text(value).encode()
    if kind is bool:
        return b"t" if value else b"f"
    if kind is int or kind is float:
        return repr(value).encode()
    if isinstance(value, str):
        return _no_null(str.__str__(value).encode())
    if kind is bytes:
        return value  # type: ignore[no-any-return]
    return str(value).encode() if kind is UUID else msgspec.json.encode(value)


def _no_null(data: bytes) -> bytes:
    if b"\0" in data:
        raise psycopg.errors.DataError("text cannot contain NUL characters on PostgreSQL")
    return data


def _array(values: Sequence[Any]) -> bytes:
    quoted = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return _no_null(("{" + ",".join(f'"{value}"' for value in quoted) + "}").encode())


def _text(data: bytes) -> str:
    return data.decode()


def _instant(data: bytes) -> datetime:
    found = datetime.fromisoformat(data.decode())  # the session's time zone is UTC: "2024-01-22 15:30:45.123456+00"
    return found if found.tzinfo is UTC else found.astimezone(UTC)


_LOADERS: dict[int, Callable[[bytes], Any] | None] = {
    16: lambda data: data == b"t",
    20: int,
    21: int,
    23: int,
    26: int,
    114: None,
    700: float,
    701: float,
    1184: _instant,
    1700: float,
    3802: None,
}
