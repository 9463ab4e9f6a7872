"""Every driver in turn: a SQLite file, SQLite in memory, PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lictor.db import Database, Statement, Tx, open_database
from lictor.db.statement import composed

DRIVERS = ("sqlite", "memory", "postgres")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "driver" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--db")
        of_choice = {"both": DRIVERS, "sqlite": ("sqlite", "memory"), "postgres": ("postgres",)}
        metafunc.parametrize("driver", of_choice[chosen])


@pytest.fixture
def driver_url(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if driver != "postgres":
        yield f"sqlite:///{tmp_path / 'test.db'}" if driver == "sqlite" else "sqlite://"
        return
    postgres = request.getfixturevalue("_postgres")
    url = postgres.create(migrated=False)
    try:
        yield url
    finally:
        postgres.drop(url)


@pytest.fixture
def database(driver_url: str) -> Iterator[Database]:
    """An open database of each kind, with one table, `thing`."""
    opened = open_database(driver_url, statement_timeout=5.0)
    opened.write_now(_create)
    yield opened
    opened.close()


def statement(text: str, into: Any = None) -> Statement[Any]:
    """A statement that is not registered."""
    return composed(into, text)


def run(database: Database, text: str, **params: Any) -> int:
    return database.write_now(lambda tx: tx.run(statement(text), **params))


def value(database: Database, text: str, **params: Any) -> Any:
    return database.read_now(lambda tx: tx.value(statement(text), **params))


def names(database: Database) -> list[str]:
    return database.read_now(lambda tx: tx.all(statement("select name from thing order by name", str)))


def put(tx: Tx, name: str) -> None:
    tx.run(statement("insert into thing (name) values (:name)"), name=name)


def _create(tx: Tx) -> None:
    tx.run(
        statement(
            """
            create table thing (
                name text not null, number {int_type}, weight {float_type}, good {bool_type}, born {ts_type},
                kind text, ref {uuid_type}, tags {json_type}, data {json_type}, copy {raw_json_type},
                constraint uq_thing__name unique (name),
                constraint uq_thing__kind_ref unique (kind, ref)
            ) {strict}
            """
        )
    )
    tx.run(
        statement(
            "create table part (id {uuid_type} primary key, thing text not null references thing (name)) {strict}"
        )
    )
