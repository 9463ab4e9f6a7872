"""Every statement of the program prepares on a migrated SQLite and on a migrated PostgreSQL."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import apsw
import apsw.ext
import psycopg

import lictor
from lictor.db import STATEMENTS, Database, Statement
from lictor.db.postgres import PostgresDatabase
from lictor.db.sqlite import SqliteDatabase


def statements() -> Iterator[Statement[object]]:
    """All that is declared with ``sql`` by the modules of the package; not by those of other tests."""
    for module in pkgutil.walk_packages(lictor.__path__, "lictor."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return (statement for name, statement in STATEMENTS.items() if not name.startswith("test"))


def refusals(db: Database) -> Iterator[str]:
    """What the database has against each statement, or against the number of columns that it returns."""
    if isinstance(db, SqliteDatabase):
        with_sqlite = db.connect()
        for statement in statements():
            yield from _refused_by_sqlite(with_sqlite, statement)
    elif isinstance(db, PostgresDatabase):
        with psycopg.connect(db.url, autocommit=True) as connection:
            for statement in statements():
                yield from _refused_by_postgres(connection, statement)


def _refused_by_sqlite(connection: apsw.Connection, statement: Statement[object]) -> Iterator[str]:
    compiled = statement.compiled(SqliteDatabase.dialect)
    try:
        details = apsw.ext.query_info(connection, compiled.text)
    except apsw.Error as error:
        yield f"{statement.name}: {error}\n{compiled.text}"
        return
    yield from _misfits(statement, len(details.description))


def _refused_by_postgres(connection: psycopg.Connection[object], statement: Statement[object]) -> Iterator[str]:
    compiled = statement.compiled(PostgresDatabase.dialect)
    connection.pgconn.prepare(b"checked", compiled.text.encode())
    result = connection.pgconn.describe_prepared(b"checked")
    if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
        prepared = connection.pgconn.prepare(b"", compiled.text.encode())
        yield f"{statement.name}: {prepared.error_message.decode()}\n{compiled.text}"
        return
    connection.execute("deallocate checked")
    yield from _misfits(statement, result.nfields)


def _misfits(statement: Statement[object], columns: int) -> Iterator[str]:
    if statement.shape is not None and columns != statement.shape.width:
        yield f"{statement.name}: selects {columns} columns for {statement.shape.width} fields"


def test_every_statement_prepares(db: Database) -> None:
    assert len(list(statements())) > 10
    assert not "\n\n".join(refusals(db))
