"""PostgreSQL: a pool of threads with one connection each (psycopg 3, prepared statements).

A write body runs in a transaction and in pipeline mode: statements whose results nobody waits for travel together.
Deadlocks, serialisation failures and lost races run the body again; a connection that broke before the commit was sent does, too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
import psycopg
from msgspec import Raw, Struct
from psycopg import errors as pg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8Dumper

from lictor.db import migrate
from lictor.db.dialect import POSTGRES, Compiled
from lictor.db.jobs import Job, deliver
from lictor.db.tx import Database, LostRace, Row, Tx
from lictor.kit.errors import Conflict, Unavailable

log = logging.getLogger(__name__)

R = TypeVar("R")
P = ParamSpec("P")

TRIES = 5
_AGAIN = (pg.SerializationFailure, pg.DeadlockDetected)
_JSON = (dict, list, tuple, Struct, Raw)


class PostgresTx(Tx):
    """A body's view of one connection."""

    __slots__ = ("_cursor", "_pipeline")

    dialect = POSTGRES

    def __init__(self, cursor: psycopg.Cursor[Any], pipeline: psycopg.Pipeline | None = None) -> None:
        super().__init__()
        self._cursor = cursor
        self._pipeline = pipeline

    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None:
        row: Row | None = self._cursor.execute(statement.text, _params(statement, params)).fetchone()
        return row

    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]:
        rows: list[Row] = self._cursor.execute(statement.text, _params(statement, params)).fetchall()
        return rows

    def _run(self, statement: Compiled, params: dict[str, Any]) -> int:
        self._cursor.execute(statement.text, _params(statement, params))
        if self._pipeline is not None:
            self._pipeline.sync()
        return self._cursor.rowcount

    def _put(self, statement: Compiled, params: dict[str, Any]) -> None:
        # A cursor of its own: asking the shared one for anything would wait for this result.
        self._cursor.connection.execute(statement.text, _params(statement, params))

    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None:
        self._cursor.executemany(statement.text, [_params(statement, dict(row)) for row in rows])


class PostgresDatabase(Database):
    """A PostgreSQL database, reached by up to ``pool_size`` connections that are opened when they are needed."""

    dialect = POSTGRES

    def __init__(self, conninfo: str, *, pool_size: int = 8, statement_timeout: float | None = 10.0) -> None:
        self.url = conninfo
        self.statement_timeout = statement_timeout
        self._pool_size = pool_size
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def read(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(Job(_Read(body), args, kwargs))

    def write(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self._submit(Job(body, args, kwargs))

    def read_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._submit_and_wait(Job(_Read(body), args, kwargs))

    def write_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._submit_and_wait(Job(body, args, kwargs))

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A new connection with this database's conventions. Raises Unavailable when the server cannot be reached."""
        try:
            connection = psycopg.connect(self.url, autocommit=autocommit, connect_timeout=5, prepare_threshold=1)
        except psycopg.OperationalError as error:
            raise Unavailable(f"cannot reach the database: {error}") from error
        connection.prepared_max = 500
        _adapt(connection)
        timeout = int((self.statement_timeout or 0) * 1000)
        connection.execute(f"set timezone = 'UTC'; set statement_timeout = {timeout}", prepare=False)
        if not autocommit:
            connection.commit()
        return connection

    def _submit(self, job: Job) -> Awaitable[Any]:
        future = job.awaitable()
        self._put(job)
        return future

    def _submit_and_wait(self, job: Job) -> Any:
        job.done = threading.Event()
        self._put(job)
        return job.wait()

    def _put(self, job: Job) -> None:
        if self._closed:
            raise Unavailable("the database is closed")
        self._jobs.put(job)
        if self._idle == 0 and len(self._threads) < self._pool_size:
            with self._lock:
                if len(self._threads) < self._pool_size and not self._closed:
                    thread = threading.Thread(target=self._loop, name="lictor-db", daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _loop(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while (job := self._next()) is not None:
            connection = self._run(connection, job)
            deliver([job])
        if connection is not None:
            connection.close()

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
        try:
            return self._jobs.get()
        finally:
            with self._lock:
                self._idle -= 1

    def _run(self, connection: psycopg.Connection[Any] | None, job: Job) -> psycopg.Connection[Any] | None:
        """Run a job, several times if it must be; returns the connection to go on with."""
        for attempt in range(1, TRIES + 1):
            fresh = connection is None
            try:
                connection = connection or self.connect()
                (_run_read if isinstance(job.body, _Read) else _run_write)(connection, job)
                return connection
            except Exception as error:
                broken = connection is None or connection.closed
                if broken and connection is not None:
                    connection.close()
                    connection = None
                job.error = _translate(error)
                stale = broken and not fresh and not isinstance(error, _CommitLost)
                if attempt == TRIES or not (stale or isinstance(error, (*_AGAIN, LostRace))):
                    return connection
                job.error = None
                if not stale:
                    time.sleep(0.002 * attempt * attempt)
        return connection

    def migrate(self) -> int:
        with self.connect(autocommit=False) as connection:
            connection.execute("set statement_timeout = 0")
            connection.execute("select pg_advisory_xact_lock(%s)", (migrate.LOCK,))
            return migrate.run(_Session(connection))

    def reset(self) -> None:
        with self.connect(autocommit=False) as connection:
            connection.execute("set statement_timeout = 0")
            connection.execute("select pg_advisory_xact_lock(%s)", (migrate.LOCK,))
            session = _Session(connection)
            migrate.refuse_foreign(session)
            for (name,) in session.rows("select tablename from pg_tables where schemaname = current_schema()"):
                session.execute(f'drop table "{name}" cascade')
            migrate.run(session)


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


class _Read:
    """Marks a body that only reads: it needs no transaction block around a single statement."""

    __slots__ = ("body",)

    def __init__(self, body: Callable[..., Any]) -> None:
        self.body = body


class _CommitLost(psycopg.OperationalError):
    """The connection broke while the commit was under way: nobody knows whether it stands, so the body must not run again."""


def _run_read(connection: psycopg.Connection[Any], job: Job) -> None:
    with connection.cursor() as cursor:
        job.result = job.body.body(PostgresTx(cursor), *job.args, **job.kwargs)


def _run_write(connection: psycopg.Connection[Any], job: Job) -> None:
    with connection.cursor() as cursor:
        try:
            with connection.pipeline() as pipeline:
                tx = PostgresTx(cursor, pipeline)
                connection.execute("begin")
                job.result = job.body(tx, *job.args, **job.kwargs)
                connection.execute("commit")
        except BaseException as error:
            _roll_back(connection)
            raise error
    for hook, args in tx.hooks:
        try:
            hook(*args)
        except Exception:
            log.exception("a hook after a commit failed: %r", hook)


def _roll_back(connection: psycopg.Connection[Any]) -> None:
    if connection.closed:
        return
    try:
        connection.execute("rollback", prepare=False)
    except psycopg.Error:
        connection.close()


def _params(statement: Compiled, params: dict[str, Any]) -> dict[str, Any]:
    for name, value in params.items():
        if isinstance(value, _JSON) and name not in statement.lists:
            params[name] = msgspec.json.encode(value).decode()
        elif isinstance(value, bytes):
            params[name] = value.decode()
    return params


def _translate(error: BaseException) -> BaseException:
    if isinstance(error, pg.IntegrityError):
        return Conflict(constraint=error.diag.constraint_name)
    if isinstance(error, (LostRace, psycopg.OperationalError, pg.QueryCanceled, psycopg.InterfaceError)):
        log.warning("the database cannot be used now: %s", error)
        return Unavailable(str(error))
    return error


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _BytesLoader(Loader):
    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def _adapt(connection: psycopg.Connection[Any]) -> None:
    adapters = connection.adapters
    adapters.register_loader("uuid", _TextLoader)
    for json_type in ("json", "jsonb"):
        adapters.register_loader(json_type, _BytesLoader)
    # One prepared statement per text, whatever the size of the numbers in it.
    adapters.register_dumper(int, Int8Dumper)
