"""SQLite: one writer thread that commits in groups, and reader threads on WAL snapshots.

Every write body goes to one queue. The writer takes what is there, runs it in one transaction and commits once: sixteen
clients that wait share one fsync (`turns` tells who is next), and nobody ever meets "database is locked" in this
process. A body that fails undoes only what it did itself. Other processes (``--workers N``, ``lictor database``) are
met at ``begin immediate``, which waits its turn.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import apsw
import msgspec

from lictor.db import migrate
from lictor.db.dialect import SQLITE, Compiled
from lictor.db.jobs import Job, Outboxes, deliver
from lictor.db.turns import Turns
from lictor.db.tx import Database, LostRace, Row, Tx
from lictor.kit import times
from lictor.kit.errors import Conflict, LictorError, Unavailable, Unprocessable

log = logging.getLogger(__name__)

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")

TRIES = 5
BUSY_TIMEOUT_MS = 10_000
STATEMENTS_KEPT = 500  # prepared, on each connection
# Pages in the WAL before they are moved into the file: one that many commits have written is moved once.
CHECKPOINT_PAGES = 4000
# What each connection keeps of the file: a writer and two readers, in a server that is to stay small. The system keeps
# the rest.
CACHE_KB = 20_000
# A connection is used by one thread at a time, so SQLite need not lock it, nor keep count of its memory under a lock.
# It has to be told before the first connection is opened.
apsw.shutdown()
apsw.config(apsw.SQLITE_CONFIG_MULTITHREAD)
apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, False)
apsw.initialize()

_UNIQUE = re.compile(r"UNIQUE constraint failed: (?:index '(\w+)'|(.*))")


class SqliteTx(Tx):
    """A body's view of one connection."""

    __slots__ = ("_connection", "_cursor")

    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__()
        self._connection = connection
        # For statements that are always carried through; to make a cursor for each costs a tenth of a small one.
        self._cursor = connection.cursor()

    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None:
        # A cursor of its own, which ends here: one that was left at its first row would hold the snapshot.
        row: Row | None = self._connection.execute(statement.text, statement.pick(params)).fetchone()
        return row

    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]:
        rows: list[Any] = self._cursor.execute(statement.text, statement.pick(params)).fetchall()
        return rows

    def _run(self, statement: Compiled, params: dict[str, Any]) -> int:
        self._cursor.execute(statement.text, statement.pick(params))
        return self._connection.changes()

    def _put(self, statement: Compiled, params: dict[str, Any]) -> None:
        self._cursor.execute(statement.text, statement.pick(params))

    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None:
        self._cursor.executemany(statement.text, map(statement.pick, rows))


class SqliteDatabase(Database):
    """A database file (or a private in-memory one for ``path=":memory:"``)."""

    dialect = SQLITE

    def __init__(self, path: str, *, readers: int = 2) -> None:
        super().__init__()
        self.url = f"sqlite:///{path}"
        self.path = path
        self._writes: SimpleQueue[Job | None] = SimpleQueue()
        # A private in-memory database is one connection: its reads stand in the writer's queue.
        self._reads: SimpleQueue[Job | None] = SimpleQueue() if path != ":memory:" else self._writes
        self._outboxes = Outboxes()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._readers = readers if path != ":memory:" else 0
        self._closed = False
        self._memory = self._connect() if path == ":memory:" else None

    def read(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(self._reads, Job(body, args, kwargs))

    def write(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(self._writes, Job(body, args, kwargs))

    async def write_each(self, body: Callable[[Tx, T], R], each: Iterable[T]) -> list[R]:
        jobs = [Job(body, (one,), {}, behind=True) for one in each]
        results: list[R] = await asyncio.gather(*[self._submit(self._writes, job) for job in jobs])
        return results

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
            # Behind everything that is queued, and nothing comes after: `_put` takes the same lock.
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
        future = self._outboxes.address(job)
        self._put(queue, job)
        return future

    def _submit_and_wait(self, queue: SimpleQueue[Job | None], job: Job) -> Any:
        job.done = threading.Event()
        self._put(queue, job)
        return job.wait()

    def _put(self, queue: SimpleQueue[Job | None], job: Job) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed")
            if not self._threads:
                self._start()
            queue.put(job)

    def _start(self) -> None:
        # Connected here and not in the threads, so that a file that cannot be opened is the caller's error.
        loops = [(self._write_loop, self.connect())]
        loops += [(self._read_loop, self._connect()) for _ in range(self._readers)]
        threads = [threading.Thread(target=loop, args=(own,), name="lictor-db", daemon=True) for loop, own in loops]
        for thread in threads:
            thread.start()
        self._threads = threads

    def _connect(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(self.path, statementcachesize=STATEMENTS_KEPT)
            # Plans must not depend on bound values: without this a statement is compiled anew whenever its parameters
            # change and a partial index is near, which for the read of a run costs twenty times its execution.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            connection.convert_binding = _bind
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            # Only heard by a file that is still empty: room that deleted rows leave can be given back (see `space`).
            connection.pragma("auto_vacuum", 2)
            _use_wal(connection)
            for pragma in ("synchronous = full", "foreign_keys = on", f"cache_size = -{CACHE_KB}"):
                connection.pragma(*pragma.split(" = "))
            connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        except apsw.BusyError as error:
            raise _translate(error) from error
        except apsw.Error as error:
            raise LictorError(f"cannot open the database file {self.path}: {error}") from error
        return connection

    def _write_loop(self, connection: apsw.Connection) -> None:
        turns = Turns(self._writes)
        while (first := turns.first()) is not None:
            batch: list[Job] = []
            try:
                self._committed(_run_batch(connection, turns.together(first), batch))
            except BaseException as error:  # whatever it is: nobody may wait for ever, and the thread goes on
                for job in batch:
                    job.fail(_translate(error))
            deliver(batch)
        if connection is not self._memory:
            with suppress(apsw.Error):
                connection.pragma("wal_checkpoint", "passive")
            connection.close()

    def _read_loop(self, connection: apsw.Connection) -> None:
        connection.pragma("query_only", 1)
        while (job := self._reads.get()) is not None:
            try:
                _run_read(connection, job)
            except BaseException as error:  # as in `_write_loop`
                job.fail(_translate(error))
            deliver([job])
        connection.close()

    def migrate(self) -> int:
        with self._exclusively() as session:
            return migrate.run(session)

    def reset(self) -> None:
        with self._exclusively() as session:
            migrate.refuse_foreign(session)
            for kind, name in session.rows(
                "select type, name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%'"
            ):
                session.execute(f'drop {kind} "{name}"')
            migrate.run(session)

    @contextmanager
    def _exclusively(self) -> Iterator[_Session]:
        """A transaction that no other writer shares; processes that start together queue here."""
        _refuse_foreign(self.path)
        open_files(self.path)
        connection = self.connect()
        try:
            connection.pragma("foreign_keys", 0)  # cannot be switched in a transaction; tables go in any order
            connection.execute("begin immediate")
            yield _Session(connection)
            connection.execute("commit")
        except apsw.BusyError as error:
            raise _translate(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("rollback")
            connection.pragma("foreign_keys", 1)
            if connection is not self._memory:
                connection.close()


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
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise LictorError(f"cannot make the database file {path}: {error.strerror}") from error


def _refuse_foreign(path: str) -> None:
    """Look at a file that may be somebody else's without changing a byte of it."""
    if not os.path.exists(path) or not os.path.getsize(path):
        return
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        try:
            migrate.refuse_foreign(_Session(connection))
        finally:
            connection.close()
    except apsw.Error as error:
        raise LictorError(f"cannot open the database file {path}: {error}") from error


def _use_wal(connection: apsw.Connection) -> None:
    # Of processes that open a new file together one may be told "locked" at once, whatever the timeout.
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _run_batch(connection: apsw.Connection, jobs: Iterator[Job], batch: list[Job]) -> list[SqliteTx]:
    """Run jobs in one transaction; those that stand. `batch` lists those that were begun, also if this raises.

    A savepoint costs as much as a small statement, and hardly any body fails after it has written something. So there
    are none at first. When a body does fail so, everything is rolled back and runs again with a savepoint for each.
    """
    try:
        done = _run_bare(connection, jobs, batch)
        if done is None:
            _begin(connection)
            done = [tx for job in batch if (tx := _run_guarded(connection, job)) is not None]
        connection.execute("commit")
        return done
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _run_bare(connection: apsw.Connection, jobs: Iterator[Job], batch: list[Job]) -> list[SqliteTx] | None:
    """Run jobs without savepoints; None if one failed and left something to undo. (No body changes the schema.)"""
    done: list[SqliteTx] = []
    for job in jobs:
        batch.append(job)
        if len(batch) == 1:
            _begin(connection)
        tx = SqliteTx(connection)
        before = connection.total_changes()
        try:
            job.result = job.body(tx, *job.args, **job.kwargs)
        except BaseException as error:
            if not connection.in_transaction:  # disk full and the like: SQLite has rolled back everything
                raise
            if isinstance(error, LostRace) or connection.total_changes() != before:
                return None
            job.fail(_translate(error))
        else:
            done.append(tx)
    return done


def _begin(connection: apsw.Connection) -> None:
    if connection.in_transaction:  # the rollback of the batch before failed, too
        connection.execute("rollback")
    connection.execute("begin immediate")


def _run_guarded(connection: apsw.Connection, job: Job) -> SqliteTx | None:
    job.error = None
    for attempt in range(1, TRIES + 1):
        connection.execute("savepoint body")
        tx = SqliteTx(connection)
        try:
            job.result = job.body(tx, *job.args, **job.kwargs)
        except BaseException as error:
            if not connection.in_transaction:  # disk full and the like: SQLite has rolled back everything
                raise
            connection.execute("rollback to body")
            connection.execute("release body")
            if isinstance(error, LostRace) and attempt < TRIES:
                continue
            job.fail(_translate(error))
            return None
        connection.execute("release body")
        return tx
    raise AssertionError("the last try returns")


def _run_read(connection: apsw.Connection, job: Job) -> None:
    connection.execute("begin")
    try:
        job.result = job.body(SqliteTx(connection), *job.args, **job.kwargs)
    finally:
        if connection.in_transaction:
            connection.execute("commit")


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, apsw.ConstraintError):
        return _violation(error)
    too_long = isinstance(error, apsw.SQLError) and "pattern too complex" in str(error)  # 50,000 bytes for LIKE
    if too_long or isinstance(error, (OverflowError, UnicodeEncodeError, apsw.TooBigError)):
        return Unprocessable(f"the database refuses this value: {error}")
    if isinstance(error, LostRace):
        return Unavailable("the row kept changing")
    if isinstance(error, _UNUSABLE):
        log.warning("the database cannot be used now: %s", error)
        return Unavailable(str(error))
    return error


_UNUSABLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
    apsw.IOError,
    apsw.FullError,
    apsw.CantOpenError,
)


def _violation(error: apsw.ConstraintError) -> LictorError:
    code = getattr(error, "extendedresult", None)
    if code == apsw.SQLITE_CONSTRAINT_DATATYPE:
        return Unprocessable(f"the database refuses this value: {error}")
    if code == apsw.SQLITE_CONSTRAINT_UNIQUE:
        return Conflict(constraint=_constraint_name(str(error)))
    return Conflict()


def _constraint_name(message: str) -> str | None:
    """SQLite names the columns ("UNIQUE constraint failed: flow.name"); our constraints are named after them."""
    found = _UNIQUE.search(message)
    if found is None:
        return None
    if found.group(1):
        return found.group(1)
    columns = [column.strip().partition(".") for column in found.group(2).split(",")]
    return f"uq_{columns[0][0]}__" + "_".join(name for _, _, name in columns)


def _bind(_cursor: Any, _number: int, value: Any) -> Any:
    if isinstance(value, datetime):
        return times.text(value)
    if isinstance(value, UUID):
        return str(value)
    return msgspec.json.encode(value).decode()
