"""PostgreSQL: a pool of threads with one connection each.

A write body runs in a transaction and in libpq's pipeline (see ``pgwire``): statements whose results nobody waits for
travel together. Deadlocks, serialisation failures and lost races run the body again, and so does a connection that
broke before the commit was sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import errors as pg

from lictor.db import migrate
from lictor.db.dialect import POSTGRES, Compiled
from lictor.db.jobs import Job, Outboxes, deliver
from lictor.db.pgwire import Connection, Row
from lictor.db.statement import Statement
from lictor.db.tx import Database, LostRace, Tx
from lictor.kit.errors import Conflict, LictorError, Unavailable, Unprocessable

log = logging.getLogger(__name__)

R = TypeVar("R")
P = ParamSpec("P")

TRIES = 5
# None of our statements divides by what may be zero, but that of `guarded`, which does so on purpose.
_LOST = (LostRace, pg.DivisionByZero)
_AGAIN = (*_LOST, pg.SerializationFailure, pg.DeadlockDetected)
_REFUSED = (pg.DataError, pg.ProgramLimitExceeded, OverflowError, UnicodeEncodeError)


class PostgresTx(Tx):
    """A body's view of one connection."""

    __slots__ = ("_connection",)

    dialect = POSTGRES

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None:
        return self._connection.fetch(statement, params).first()

    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]:
        return self._connection.fetch(statement, params).rows()

    def _run(self, statement: Compiled, params: dict[str, Any]) -> int:
        return self._connection.fetch(statement, params).changed

    def _put(self, statement: Compiled, params: dict[str, Any]) -> None:
        self._connection.push(statement, params)

    def guarded(self, update: Statement[Any], then: Statement[Any], **params: Any) -> None:
        self._connection.push(_guarded(update, then).compiled(self.dialect), params)

    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self._connection.push(statement, dict(row))


@lru_cache(maxsize=256)
def _guarded(update: Statement[Any], then: Statement[Any]) -> Statement[Any]:
    """Both in one statement, which fails if the update changed nothing: nobody need wait for its result.

    Half of what a small statement costs the server is to start and to end it.
    """
    text = f"with entered as ({update.text} returning 1), other as ({then.text}) select 1 / count(*) from entered"
    return Statement(f"{update.name}+{then.name}", None, text)


class PostgresDatabase(Database):
    """A PostgreSQL database, reached by up to ``pool_size`` connections that are opened when they are needed."""

    dialect = POSTGRES

    def __init__(self, conninfo: str, *, pool_size: int = 8, statement_timeout: float | None = 10.0) -> None:
        super().__init__()
        self.url = conninfo
        self.statement_timeout = statement_timeout
        self._pool_size = pool_size
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outboxes = Outboxes()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def read(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(Job(body, args, kwargs, reads=True))

    def write(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(Job(body, args, kwargs))

    def read_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._submit_and_wait(Job(body, args, kwargs, reads=True))
        return result

    def write_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._submit_and_wait(Job(body, args, kwargs))
        return result

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
            # Behind everything that is queued, and nothing comes after: `_put` takes the same lock.
            for _ in threads:
                self._jobs.put(None)
        for thread in threads:
            thread.join()

    def connect(self) -> Connection:
        """A new connection with this database's conventions. Raises Unavailable when the server cannot be reached."""
        try:
            connection = Connection(self.url)
            connection.command("set timezone = 'UTC'")
            # Bodies guard their writes themselves; a stricter default would only make more of them fail.
            connection.command("set default_transaction_isolation = 'read committed'")
            # Compiling a plan takes longer than any of our statements.
            connection.command("set jit = off")
            # So does starting the workers that would share one.
            connection.command("set max_parallel_workers_per_gather = 0")
            connection.command(f"set statement_timeout = {int((self.statement_timeout or 0) * 1000)}")
            connection.sync()
        except psycopg.OperationalError as error:
            raise Unavailable(f"cannot reach the database: {error}") from error
        return connection

    def _submit(self, job: Job) -> Awaitable[Any]:
        future = self._outboxes.address(job)
        self._put(job)
        return future

    def _submit_and_wait(self, job: Job) -> Any:
        job.done = threading.Event()
        self._put(job)
        return job.wait()

    def _put(self, job: Job) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable("the database is closed")
            self._jobs.put(job)
            if self._jobs.qsize() > self._idle and len(self._threads) < self._pool_size:
                thread = threading.Thread(target=self._loop, name="lictor-db", daemon=True)
                thread.start()
                self._threads.append(thread)

    def _loop(self) -> None:
        connection: Connection | None = None
        while (job := self._next()) is not None:
            try:
                connection = self._run(connection, job)
            except BaseException as error:  # whatever it is: nobody may wait for ever, and the thread goes on
                job.fail(_translate(error))
                _drop(connection)
                connection = None
            deliver([job])
        _drop(connection)

    def _next(self) -> Job | None:
        if not self._jobs.empty():
            with suppress(Empty):
                return self._jobs.get_nowait()
        with self._lock:
            self._idle += 1
        try:
            return self._jobs.get()
        finally:
            with self._lock:
                self._idle -= 1

    def _run(self, connection: Connection | None, job: Job) -> Connection | None:
        """Run a job, several times if it must be; returns the connection to go on with."""
        for attempt in range(1, TRIES + 1):
            if connection is not None and connection.stale:
                _drop(connection)
                connection = None
            fresh = connection is None
            try:
                connection = connection or self.connect()
                if job.reads:
                    _run_read(connection, job)
                else:
                    self._committed([_run_write(connection, job)])
                return connection
            except BaseException as error:
                broke = connection is not None and connection.broken
                if broke:
                    _drop(connection)
                    connection = None
                # One that broke when it was new will break again; of the commit nobody knows whether it stands.
                again = isinstance(error, _AGAIN) or (broke and not fresh and not isinstance(error, _CommitLost))
                if attempt == TRIES or not again:
                    job.fail(_translate(error))
                    return connection
                if not broke:
                    time.sleep(0.002 * attempt * attempt)
        return connection

    def migrate(self) -> int:
        with self._locked() as session:
            return migrate.run(session)

    def reset(self) -> None:
        with self._locked() as session:
            migrate.refuse_foreign(session)
            for (name,) in session.rows("select tablename from pg_tables where schemaname = current_schema()"):
                session.execute(f'drop table "{name}" cascade')
            migrate.run(session)

    @contextmanager
    def _locked(self) -> Iterator[_Session]:
        """A transaction that holds the migrations' lock; replicas that start together queue here."""
        try:
            connection = psycopg.connect(self.url, connect_timeout=5)
        except psycopg.OperationalError as error:
            raise LictorError(f"cannot reach the database: {error}") from error
        with connection:
            connection.execute("set statement_timeout = 0")
            connection.execute("select pg_advisory_xact_lock(%s)", (migrate.LOCK,))
            yield _Session(connection)


class _Session(migrate.Session):
    dialect = POSTGRES

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, text: str) -> None:
        self._connection.execute(text.encode(), prepare=False)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(text.encode(), prepare=False).fetchall()

    def has_table(self, name: str) -> bool:
        return self._connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,)


class _CommitLost(psycopg.OperationalError):
    """The connection broke while the commit was under way: nobody knows whether it stands, so it must not run again."""


def _run_read(connection: Connection, job: Job) -> None:
    try:
        job.result = job.body(PostgresTx(connection), *job.args, **job.kwargs)
        connection.sync()
    except BaseException:
        connection.roll_back()
        raise


def _run_write(connection: Connection, job: Job) -> PostgresTx:
    tx = PostgresTx(connection)
    committing = False
    try:
        connection.begin()
        job.result = job.body(tx, *job.args, **job.kwargs)
        committing = True
        connection.commit()
    except BaseException as error:
        connection.roll_back()
        if committing and connection.broken:
            raise _CommitLost(str(error)) from error
        raise
    return tx


def _drop(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, pg.IntegrityError):
        return Conflict(constraint=_ours(error.diag.constraint_name))
    if isinstance(error, _LOST):
        return Unavailable("the row kept changing")
    if isinstance(error, _REFUSED):
        return Unprocessable(f"the database refuses this value: {error}")
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        log.warning("the database cannot be used now: %s", error)
        return Unavailable(str(error))
    return error


def _ours(constraint: str | None) -> str | None:
    """The names that we gave; those of primary and foreign keys are PostgreSQL's alone."""
    return constraint if constraint is not None and constraint.startswith("uq_") else None
