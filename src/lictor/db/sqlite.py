"""SQLite: one writer thread that commits in groups, and reader threads on WAL snapshots.

Every write body goes to one queue. The writer takes what is there, runs each body in a savepoint of one transaction,
and commits once: sixteen clients that wait share one fsync, and nobody ever meets "database is locked" in this process.
Other processes (``--workers N``, ``lictor database``) are met at ``begin immediate``, which waits its turn.
A body that fails undoes its own savepoint only.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import apsw
import msgspec

from lictor.db import migrate
from lictor.db.dialect import SQLITE, Compiled
from lictor.db.jobs import Job, deliver
from lictor.db.tx import Database, LostRace, Row, Tx
from lictor.kit import times
from lictor.kit.errors import Conflict, LictorError, Unavailable

log = logging.getLogger(__name__)

R = TypeVar("R")
P = ParamSpec("P")

BATCH = 128
BUSY_TIMEOUT_MS = 10_000
_UNIQUE = re.compile(r"UNIQUE constraint failed: (.*)")


class SqliteTx(Tx):
    """A body's view of one connection."""

    __slots__ = ("_connection", "_execute")

    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__()
        self._connection = connection
        self._execute = connection.execute

    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None:
        row: Row | None = self._execute(statement.text, params).fetchone()
        return row

    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]:
        rows: list[Any] = self._execute(statement.text, params).fetchall()
        return rows

    def _run(self, statement: Compiled, params: dict[str, Any]) -> int:
        self._execute(statement.text, params)
        return self._connection.changes()

    def _put(self, statement: Compiled, params: dict[str, Any]) -> None:
        self._execute(statement.text, params)

    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None:
        self._connection.executemany(statement.text, rows)


class SqliteDatabase(Database):
    """A database file (or a private in-memory one for ``path=":memory:"``)."""

    dialect = SQLITE

    def __init__(self, path: str, *, readers: int = 2) -> None:
        self.url = f"sqlite:///{path}"
        self.path = path
        self._writes: SimpleQueue[Job | None] = SimpleQueue()
        # A private in-memory database is one connection: its reads stand in the writer's queue.
        self._reads: SimpleQueue[Job | None] = SimpleQueue() if path != ":memory:" else self._writes
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._readers = readers if path != ":memory:" else 0
        self._closed = False
        self._memory = self._connect() if path == ":memory:" else None

    def read(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(self._reads, Job(body, args, kwargs))

    def write(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(self._writes, Job(body, args, kwargs))

    def read_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._submit_and_wait(self._reads, Job(body, args, kwargs))
        return result

    def write_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._submit_and_wait(self._writes, Job(body, args, kwargs))
        return result

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
        self._writes.put(None)
        if self._reads is not self._writes:
            for _ in range(self._readers):
                self._reads.put(None)
        for thread in threads:
            thread.join()
        if self._memory is not None:
            self._memory.close()

    def connect(self) -> apsw.Connection:
        """A connection of its own for work outside of the threads (migrations). In memory: the one there is."""
        return self._memory if self._memory is not None else self._connect()

    def _submit(self, queue: SimpleQueue[Job | None], job: Job) -> Awaitable[Any]:
        future = job.awaitable()
        self._put(queue, job)
        return future

    def _submit_and_wait(self, queue: SimpleQueue[Job | None], job: Job) -> Any:
        job.done = threading.Event()
        self._put(queue, job)
        return job.wait()

    def _put(self, queue: SimpleQueue[Job | None], job: Job) -> None:
        if not self._threads or self._closed:
            self._start()
        queue.put(job)

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed")
            if self._threads:
                return
            # Connected here and not in the threads, so that a file that cannot be opened is the caller's error.
            loops = [(self._write_loop, self.connect())]
            loops += [(self._read_loop, self._connect()) for _ in range(self._readers)]
            threads = [threading.Thread(target=loop, args=(own,), name="lictor-db", daemon=True) for loop, own in loops]
            for thread in threads:
                thread.start()
            self._threads = threads

    def _connect(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(self.path)
        except apsw.CantOpenError as error:
            raise LictorError(f"cannot open the database file {self.path}: {error}") from error
        connection.convert_binding = _bind
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on", "cache_size = -32000"):
            connection.pragma(*pragma.split(" = "))
        return connection

    def _write_loop(self, connection: apsw.Connection) -> None:
        while (batch := self._take()) is not None:
            try:
                _run_batch(connection, batch)
            except apsw.Error as error:
                _fail(batch, _translate(error))
            deliver(batch)
        if connection is not self._memory:
            connection.pragma("wal_checkpoint", "passive")
            connection.close()

    def _take(self) -> list[Job] | None:
        first = self._writes.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < BATCH:
            try:
                job = self._writes.get_nowait()
            except Empty:
                break
            if job is None:
                self._writes.put(None)  # close() after what is queued
                break
            batch.append(job)
        return batch

    def _read_loop(self, connection: apsw.Connection) -> None:
        connection.pragma("query_only", 1)
        while (job := self._reads.get()) is not None:
            _run_read(connection, job)
            deliver([job])
        connection.close()

    def migrate(self) -> int:
        self._refuse_foreign()
        open_files(self.path)
        connection = self.connect()
        session = _Session(connection)
        connection.execute("begin immediate")
        try:
            count = migrate.run(session)
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        finally:
            if connection is not self._memory:
                connection.close()
        return count

    def _refuse_foreign(self) -> None:
        """Look before the first pragma: the file of another server is not even switched to WAL."""
        if self._memory is not None or not os.path.exists(self.path):
            return
        connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            migrate.refuse_foreign(_Session(connection))
        finally:
            connection.close()

    def reset(self) -> None:
        self._refuse_foreign()
        connection = self.connect()
        connection.pragma("foreign_keys", 0)
        for kind, name in connection.execute(
            "select type, name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%'"
        ).fetchall():
            connection.execute(f'drop {kind} "{name}"')
        connection.pragma("foreign_keys", 1)
        if connection is not self._memory:
            connection.close()
        self.migrate()


class _Session(migrate.Session):
    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, text: str) -> None:
        self._connection.execute(text)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(text).fetchall())

    def has_table(self, name: str) -> bool:
        found = self._connection.execute("select 1 from sqlite_schema where type = 'table' and name = ?", (name,))
        return found.fetchone() is not None


def open_files(path: str) -> None:
    """Make the folder of a new database file; only its owner may look inside the file."""
    if path == ":memory:":
        return
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _run_batch(connection: apsw.Connection, batch: list[Job]) -> None:
    connection.execute("begin immediate")
    hooks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
    try:
        for job in batch:
            hooks += _run_write(connection, job)
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
    for hook, args in hooks:
        _call(hook, args)


def _run_write(connection: apsw.Connection, job: Job) -> list[tuple[Callable[..., None], tuple[Any, ...]]]:
    connection.execute("savepoint body")
    tx = SqliteTx(connection)
    try:
        job.result = job.body(tx, *job.args, **job.kwargs)
    except Exception as error:
        if not connection.in_transaction:  # disk full and the like: SQLite has rolled back everything
            raise
        connection.execute("rollback to body")
        connection.execute("release body")
        job.error = _translate(error)
        return []
    connection.execute("release body")
    return tx.hooks


def _run_read(connection: apsw.Connection, job: Job) -> None:
    try:
        connection.execute("begin")
        try:
            job.result = job.body(SqliteTx(connection), *job.args, **job.kwargs)
        finally:
            if connection.in_transaction:
                connection.execute("commit")
    except Exception as error:
        job.error = _translate(error)


def _fail(batch: list[Job], error: BaseException) -> None:
    for job in batch:
        job.result = None
        job.error = error


def _call(hook: Callable[..., None], args: tuple[Any, ...]) -> None:
    try:
        hook(*args)
    except Exception:
        log.exception("a hook after a commit failed: %r", hook)


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, apsw.ConstraintError):
        return Conflict(constraint=_constraint_name(str(error)))
    if isinstance(error, LostRace):
        return Unavailable("the row kept changing")
    if isinstance(error, (apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.FullError, apsw.CantOpenError)):
        log.warning("the database cannot be used now: %s", error)
        return Unavailable(str(error))
    return error


def _constraint_name(message: str) -> str | None:
    """SQLite names the columns ("UNIQUE constraint failed: flow.name"); our constraints are named after them."""
    found = _UNIQUE.search(message)
    if found is None:
        return None
    columns = [column.strip().partition(".") for column in found.group(1).split(",")]
    return f"uq_{columns[0][0]}__" + "_".join(name for _, _, name in columns)


def _bind(_cursor: Any, _number: int, value: Any) -> Any:
    if isinstance(value, datetime):
        return times.text(value)
    if isinstance(value, UUID):
        return str(value)
    return msgspec.json.encode(value).decode()
