"""A transaction on PostgreSQL is what is sent between two sync points: nobody says `begin` or `commit`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.db.conftest import names, put, run, statement

from lictor.db import Database, Tx
from lictor.kit.errors import Conflict


@pytest.fixture
def postgres(database: Database) -> Database:
    if database.dialect.name != "postgres":
        pytest.skip("PostgreSQL only")
    return database


def test_what_only_the_commit_finds_out_undoes_the_body(postgres: Database) -> None:
    run(postgres, "create table piece (thing text references thing (name) deferrable initially deferred)")

    def orphan(tx: Tx) -> None:
        put(tx, "a")
        tx.put(statement("insert into piece (thing) values ('nothing')"))

    for _ in range(2):
        with pytest.raises(Conflict):
            postgres.write_now(orphan)
    postgres.write_now(put, "b")
    assert names(postgres) == ["b"]


def test_a_body_that_gives_up_leaves_nothing_and_warns_of_nothing(postgres: Database) -> None:
    noticed: list[str] = []
    connection = postgres.connect()  # type: ignore[attr-defined]
    connection._connection.add_notice_handler(lambda notice: noticed.append(notice.message_primary))
    insert = statement("insert into thing (name) values (:name)").compiled(postgres.dialect)
    for pushes in range(3):
        connection.begin()
        for number in range(pushes):
            connection.push(insert, {"name": f"{pushes} {number}"})
        connection.roll_back()
        connection.begin()
        connection.fetch(insert, {"name": "fetched"})
        connection.roll_back()
    connection.begin()
    connection.commit()
    connection.close()
    assert names(postgres) == []
    assert noticed == []


def test_a_transaction_stays_open_over_what_is_asked_in_it(postgres: Database) -> None:
    count: Any = statement("select count(*) from thing", int)
    seen: list[int] = []

    def body(tx: Tx) -> None:
        put(tx, "a")
        seen.append(tx.value(count))
        tx.put(statement("insert into thing (name) values ('b')"))
        seen.extend((tx.value(count), postgres.read_now(lambda other: other.value(count))))

    postgres.write_now(body)
    assert seen == [1, 2, 0]
    assert names(postgres) == ["a", "b"]
