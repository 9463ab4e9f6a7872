"""Many callers, other processes, and connections that break."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.db.conftest import names, put, run, statement, value
from tests.processes import until

from lictor.db import Database, Tx, open_database, sqlite
from lictor.kit.errors import Conflict, Unavailable

BUMP = statement("update thing set number = coalesce(number, 0) + 1 where name = :name")
NUMBER = statement("select coalesce(number, 0) from thing where name = :name")


def bump(tx: Tx, name: str) -> None:
    tx.run(BUMP, name=name)


def test_many_writers_at_once(database: Database) -> None:
    database.write_now(put, "a")

    async def main() -> list[Any]:
        jobs: list[Any] = []
        for index in range(100):
            jobs += [database.write(bump, "a"), database.write(put, "a"), database.write(put, f"b{index:03}")]
            jobs += [database.read(lambda tx: tx.value(NUMBER, name="a"))]
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = asyncio.run(main())

    # Each body that failed undid itself alone.
    assert results[0::4] == [None] * 100
    assert {type(result) for result in results[1::4]} == {Conflict}
    assert results[2::4] == [None] * 100
    assert all(isinstance(number, int) for number in results[3::4])
    assert value(database, "select number from thing where name = 'a'") == 100
    assert len(names(database)) == 101


def test_callers_from_many_threads_and_loops(database: Database) -> None:
    database.write_now(put, "a")

    def with_a_loop() -> None:
        async def main() -> None:
            for _ in range(10):
                await asyncio.gather(*(database.write(bump, "a") for _ in range(5)))

        asyncio.run(main())

    def without() -> None:
        for _ in range(50):
            database.write_now(bump, "a")

    threads = [threading.Thread(target=target) for target in (with_a_loop, without) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert value(database, "select number from thing where name = 'a'") == 300


def test_reads_see_what_is_committed(database: Database) -> None:
    """In memory there is one connection, so a read waits for the write."""
    wrote, go_on = threading.Event(), threading.Event()
    seen: list[list[str]] = []

    def write(tx: Tx) -> None:
        put(tx, "a")
        wrote.set()
        go_on.wait(10)

    def look() -> None:
        seen.append(names(database))

    writer = threading.Thread(target=database.write_now, args=(write,))
    writer.start()
    assert wrote.wait(10)
    reader = threading.Thread(target=look)
    reader.start()
    if database.url != "sqlite:///:memory:":
        reader.join(10)
        assert seen == [[]]
    go_on.set()
    writer.join(10)
    reader.join(10)
    assert names(database) == ["a"]


def test_a_read_s_snapshot_stands_still_on_sqlite(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    database.write_now(lambda tx: tx.run(statement("create table thing (name text)")))

    def body(tx: Tx) -> list[int]:
        before = tx.value(statement("select count(*) from thing"))
        database.write_now(put, "a")
        return [before, tx.value(statement("select count(*) from thing"))]

    assert database.read_now(body) == [0, 0]
    database.close()


def test_a_reader_cannot_write_on_sqlite(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    database.write_now(lambda tx: tx.run(statement("create table thing (name text)")))
    with pytest.raises(Exception, match="readonly"):
        database.read_now(put, "a")
    database.close()


# --- SQLite and other processes

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin exclusive")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("commit")
print("free", flush=True)
"""


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Database, Callable[[], None]]]:
    """A database that another process has locked, and what unlocks it."""
    file = tmp_path / "test.db"
    database = open_database(f"sqlite:///{file}")
    database.write_now(lambda tx: tx.run(statement("create table thing (name text unique, number integer)")))
    other = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "locked\n"

    def unlock() -> None:
        other.communicate("\n", timeout=10)

    yield database, unlock
    other.kill()
    other.wait(10)
    database.close()


def test_a_file_that_is_locked_is_waited_for(locked: tuple[Database, Callable[[], None]]) -> None:
    database, unlock = locked
    done = threading.Event()
    writer = threading.Thread(target=lambda: (database.write_now(put, "a"), done.set()))
    writer.start()
    assert not done.wait(0.2)
    assert names(database) == []
    unlock()
    assert done.wait(10)
    assert names(database) == ["a"]


def test_a_file_that_stays_locked_is_not_available(
    locked: tuple[Database, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, unlock = locked
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 100)
    other = open_database(database.url)
    with pytest.raises(Unavailable):
        other.write_now(put, "a")
    with pytest.raises(Unavailable):
        other.migrate()
    unlock()
    other.write_now(put, "b")
    assert names(other) == ["b"]
    other.close()


def test_a_commit_that_fails_fails_everybody_in_it(tmp_path: Path) -> None:
    """Here because of a constraint that is looked at in the end only."""
    database = open_database(f"sqlite:///{tmp_path / 'a.db'}")

    def create(tx: Tx) -> None:
        tx.run(statement("create table thing (name text primary key)"))
        tx.run(statement("create table part (thing text references thing (name) deferrable initially deferred)"))

    database.write_now(create)
    started, go_on = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        started.set()
        go_on.wait(10)

    async def main() -> list[Any]:
        holding = database.write(hold)
        await asyncio.to_thread(started.wait, 10)
        jobs = [database.write(put, "a"), database.write(lambda tx: tx.run(statement("insert into part values ('x')")))]
        go_on.set()
        return await asyncio.gather(holding, *jobs, return_exceptions=True)

    assert [type(result) for result in asyncio.run(main())] == [Conflict, Conflict, Conflict]
    database.write_now(put, "b")
    assert names(database) == ["b"]
    database.close()


# --- PostgreSQL: what other transactions do to ours


@pytest.fixture
def pg(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("PostgreSQL only")
    postgres = request.getfixturevalue("_postgres")
    url = postgres.create(migrated=False)
    database = open_database(url, statement_timeout=5.0, pool_size=4)
    database.write_now(lambda tx: tx.run(statement("create table thing (name text primary key, number bigint)")))
    yield database
    database.close()
    postgres.drop(url)


def execute(database: Database, text: str) -> list[Any]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def backends(database: Database) -> list[int]:
    text = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    return [pid for (pid,) in execute(database, text)]


def terminate(database: Database) -> None:
    ours = backends(database)
    for pid in ours:
        execute(database, f"select pg_terminate_backend({pid})")
    until(lambda: not set(ours) & set(backends(database)))


def test_deadlocks_are_run_again(pg: Database) -> None:
    for name in "ab":
        pg.write_now(put, name)
    both = threading.Barrier(2)
    tries: list[str] = []

    def body(tx: Tx, first: str, second: str) -> None:
        tries.append(first)
        bump(tx, first)
        if len(tries) <= 2:
            both.wait(10)
        bump(tx, second)

    async def main() -> None:
        await asyncio.gather(pg.write(body, "a", "b"), pg.write(body, "b", "a"))

    asyncio.run(main())
    assert execute(pg, "select name, number from thing order by name") == [("a", 2), ("b", 2)]
    assert len(tries) > 2


def test_serialisation_failures_are_run_again(pg: Database) -> None:
    pg.write_now(put, "a")
    both = threading.Barrier(2)
    tries: list[int] = []

    def body(tx: Tx) -> None:
        tx.run(statement("set transaction isolation level repeatable read"))
        tries.append(1)
        tx.value(NUMBER, name="a")
        if len(tries) <= 2:
            both.wait(10)
        bump(tx, "a")

    async def main() -> None:
        await asyncio.gather(pg.write(body), pg.write(body))

    asyncio.run(main())
    assert value(pg, "select number from thing") == 2
    assert len(tries) == 3


def test_connections_that_the_server_closed_are_replaced(pg: Database) -> None:
    insert = statement("insert into thing (name) values (:name)")
    for name in "abc":
        terminate(pg)
        pg.write_now(lambda tx, name=name: tx.put(insert, name=name))
        terminate(pg)
        assert name in names(pg)
    assert names(pg) == ["a", "b", "c"]


def test_a_body_whose_connection_breaks_runs_again(pg: Database) -> None:
    tries: list[int] = []
    pg.write_now(put, "a")

    def body(tx: Tx) -> int:
        tries.append(1)
        bump(tx, "a")
        if len(tries) == 1:
            terminate(pg)
        return int(tx.value(NUMBER, name="a"))

    assert pg.write_now(body) == 1
    assert len(tries) == 2


def test_a_commit_whose_answer_is_lost_is_not_tried_again(pg: Database) -> None:
    tries: list[int] = []
    pg.write_now(put, "a")

    def body(tx: Tx) -> None:
        tries.append(1)
        bump(tx, "a")
        terminate(pg)

    with pytest.raises(Unavailable):
        pg.write_now(body)
    assert len(tries) == 1
    pg.write_now(put, "b")
    assert names(pg) == ["a", "b"]


def test_statements_that_take_too_long_are_given_up(pg: Database) -> None:
    impatient = open_database(pg.url, statement_timeout=0.1)
    with pytest.raises(Unavailable):
        run(impatient, "select pg_sleep(5)")
    with pytest.raises(Unavailable):
        value(impatient, "select pg_sleep(5)")
    impatient.write_now(put, "a")
    impatient.close()


def test_a_lock_that_is_waited_for_while_much_is_sent_stops_nobody(pg: Database) -> None:
    """The server reads no further while it waits for a lock, and then the sender waits, too: not with the GIL."""
    pg.write_now(put, "a")
    holding = threading.Event()
    touch = statement("update thing set number = :size where name = 'a' and {text:filler} is not null")

    def hold(tx: Tx) -> None:
        bump(tx, "a")
        holding.set()
        for _ in range(50):
            tx.value(NUMBER, name="a")

    def flood(tx: Tx) -> None:
        for size in range(40):
            tx.put(touch, size=size, filler="x" * 500_000)

    async def main() -> None:
        first = pg.write(hold)
        await asyncio.to_thread(holding.wait, 10)
        await asyncio.wait_for(asyncio.gather(first, pg.write(flood)), 30)

    asyncio.run(main())
    assert value(pg, "select number from thing") == 39


def test_a_reader_that_writes_harms_nobody_else(pg: Database) -> None:
    pg.write_now(put, "a")
    insert = statement("insert into thing (name) values ('a')")
    with pytest.raises(Conflict):
        pg.read_now(lambda tx: tx.put(insert))
    assert names(pg) == ["a"]


def test_prepared_statements_are_not_left_behind(pg: Database) -> None:
    pg.write_now(put, "a")
    for _ in range(20):
        with pytest.raises(Conflict):
            pg.write_now(put, "a")
    for index in range(20):
        with pytest.raises(Exception, match="nowhere"):
            run(pg, f"select {index} from nowhere")

    def count(tx: Tx) -> int:
        return int(tx.value(statement("select count(*) from pg_prepared_statements")))

    assert pg.write_now(count) < 10


def test_prepared_statements_are_forgotten_when_they_are_many(pg: Database) -> None:
    def body(tx: Tx) -> None:
        for index in range(1500):
            tx.put(statement(f"select {index}"))

    pg.write_now(body)
    pg.write_now(put, "a")
    assert pg.write_now(lambda tx: tx.value(statement("select count(*) from pg_prepared_statements"))) < 10
    assert names(pg) == ["a"]
