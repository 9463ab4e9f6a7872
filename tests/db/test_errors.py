"""What goes wrong in a body, and what the caller is told: never nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.db.conftest import names, put, run, statement, value

from lictor.db import Database, LostRace, Tx, open_database
from lictor.kit.errors import Conflict, LictorError, NotFound, Unavailable, Unprocessable

PART = "0190d5c4-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("insert into thing (name) values ('a')", "uq_thing__name"),
        ("insert into thing (name, kind, ref) values ('b', 'k', '{PART}')", "uq_thing__kind_ref"),
        ("insert into thing (name) values (null)", None),
        ("insert into part (id, thing) values ('{PART}', 'nowhere')", None),
        ("insert into part (id, thing) values ('{PART}', 'a'), ('{PART}', 'a')", None),
        ("delete from thing where name = 'a'", None),
    ],
)
def test_violated_constraints(database: Database, text: str, constraint: str | None) -> None:
    other = PART.replace("1", "2")
    run(database, f"insert into thing (name, kind, ref) values ('a', 'k', '{PART}')")
    run(database, f"insert into part (id, thing) values ('{other}', 'a')")

    with pytest.raises(Conflict) as caught:
        run(database, text.replace("{PART}", PART))

    assert caught.value.constraint == constraint
    assert names(database) == ["a"]


@pytest.mark.parametrize(
    ("column", "given"), [("number", 2**70), ("number", -(2**64)), ("number", "x"), ("kind", "\ud800")]
)
def test_values_that_no_database_takes(database: Database, column: str, given: Any) -> None:
    with pytest.raises(Unprocessable):
        run(database, f"insert into thing (name, {column}) values ('a', :value)", value=given)
    assert names(database) == []
    database.write_now(put, "b")


def test_a_number_that_a_body_cannot_reckon_with_is_refused(database: Database) -> None:
    def body(tx: Tx) -> None:
        put(tx, str(float(10**400)))

    with pytest.raises(Unprocessable):
        database.write_now(body)
    assert names(database) == []


def test_nul_characters(database: Database) -> None:
    """SQLite stores them; PostgreSQL cannot."""
    if database.dialect.name == "sqlite":
        database.write_now(put, "a\0b")
        assert names(database) == ["a\0b"]
        return
    with pytest.raises(Unprocessable):
        database.write_now(put, "a\0b")
    with pytest.raises(Unprocessable):
        value(database, "select count(*) from thing where name {in:names}", names=["\0"])
    with pytest.raises(Unprocessable):
        run(database, "insert into thing (name, data) values ('a', :data)", data='{"a": "\\u0000"}')


def test_what_is_too_long_for_a_pattern(database: Database) -> None:
    if database.dialect.name == "sqlite":
        with pytest.raises(Unprocessable):
            value(database, "select 'x' like :pattern", pattern="x" * 60_000)


def test_what_is_too_long_for_an_index(database: Database) -> None:
    """A refusal and not an outage, which would be tried again for ever."""
    random = "".join(chr(0x4E00 + (index * 7919) % 20000) for index in range(5000))
    if database.dialect.name == "postgres":
        with pytest.raises(Unprocessable):
            database.write_now(put, random)
    else:
        database.write_now(put, random)
    database.write_now(put, "b")
    assert "b" in names(database)


@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        NotFound("x"),
        ValueError("x"),
        StopIteration(1),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        MemoryError(),
        RecursionError(),
    ],
)
def test_whatever_a_body_raises_reaches_the_caller(database: Database, error: BaseException, writes: bool) -> None:
    def body(tx: Tx) -> None:
        if writes:
            put(tx, "a")
        raise error

    plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
    expected = type(error) if plain else RuntimeError
    submit, submit_now = (database.write, database.write_now) if writes else (database.read, database.read_now)

    async def all_at_once() -> list[Any]:
        jobs = [submit(body) for _ in range(20)]
        return await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), 10)

    assert {type(result) for result in asyncio.run(all_at_once())} == {expected}
    with pytest.raises(expected):
        submit_now(body)
    database.write_now(put, "b")
    assert names(database) == ["b"]


def test_wrong_sql_is_an_error_and_nothing_else(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(Exception, match="nowhere"):
            value(database, "select * from nowhere")
        with pytest.raises(Exception, match="nowhere"):
            run(database, "insert into nowhere values (1)")
    database.write_now(put, "b")
    assert names(database) == ["b"]


def test_an_error_that_a_body_swallows_is_no_success(database: Database) -> None:
    def body(tx: Tx) -> str:
        put(tx, "new")
        try:
            put(tx, "a")
        except Exception:
            return "swallowed"
        raise AssertionError

    database.write_now(put, "a")
    if database.dialect.name == "sqlite":  # a statement that fails undoes itself alone
        assert database.write_now(body) == "swallowed"
        assert names(database) == ["a", "new"]
        return
    with pytest.raises(Exception, match="rolled back"):
        database.write_now(body)
    assert names(database) == ["a"]


def test_a_put_that_fails_undoes_its_body(database: Database) -> None:
    insert = statement("insert into thing (name) values (:name)")

    def body(tx: Tx) -> None:
        tx.put(insert, name="new")
        tx.put(insert, name="a")

    database.write_now(put, "a")
    with pytest.raises(Conflict):
        database.write_now(body)
    with pytest.raises(Conflict):
        database.write_now(lambda tx: tx.many(insert, [{"name": "new"}, {"name": "new"}]))
    assert names(database) == ["a"]


@pytest.mark.parametrize("losses", [1, 4])
def test_a_lost_race_is_run_again(database: Database, losses: int) -> None:
    tries = 0
    told: list[int] = []

    def body(tx: Tx) -> int:
        nonlocal tries
        tries += 1
        put(tx, "a")
        tx.after_commit(told.append, tries)
        if tries <= losses:
            raise LostRace
        return tries

    assert database.write_now(body) == losses + 1
    assert names(database) == ["a"]
    assert told == [losses + 1]


def test_a_race_that_is_lost_for_ever_is_given_up(database: Database) -> None:
    def body(tx: Tx) -> None:
        put(tx, "a")
        raise LostRace

    with pytest.raises(Unavailable):
        database.write_now(body)
    assert names(database) == []


def test_after_commit_is_called_after_the_commit_only(database: Database) -> None:
    seen: list[Any] = []
    told: list[str] = []
    looked = threading.Event()

    def look() -> None:
        seen.append(names(database))
        looked.set()

    def hook(word: str) -> None:
        told.append(word)
        threading.Thread(target=look).start()

    def body(tx: Tx, name: str, fails: bool) -> None:
        put(tx, name)
        tx.after_commit(hook, name)
        if fails:
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        database.write_now(body, "failed", True)
    assert told == []
    database.write_now(body, "a", False)
    assert looked.wait(10)
    assert (told, seen) == (["a"], [["a"]])


def test_a_hook_that_fails_changes_nothing(database: Database) -> None:
    told: list[int] = []

    def hook() -> None:
        told.append(1)
        raise SystemExit

    def body(tx: Tx) -> str:
        put(tx, "a")
        tx.after_commit(hook)
        tx.after_commit(told.append, 2)
        return "done"

    assert database.write_now(body) == "done"
    assert told == [1, 2]
    assert names(database) == ["a"]


def test_callers_that_go_away_leave_the_work_done(database: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        started.set()
        go_on.wait(10)
        put(tx, "a")

    async def main() -> None:
        jobs = [asyncio.ensure_future(database.write(slow)), asyncio.ensure_future(database.write(put, "b"))]
        await asyncio.to_thread(started.wait, 10)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        go_on.set()
        await database.write(put, "c")

    asyncio.run(main())
    assert database.write_now(lambda tx: None) is None
    database.close()


def test_a_loop_that_was_closed_stops_nothing(database: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        started.set()
        go_on.wait(10)
        put(tx, "a")

    async def leave() -> None:
        database.write(slow)
        await asyncio.to_thread(started.wait, 10)

    asyncio.run(leave())
    go_on.set()
    for name in "bcdefgh":
        database.write_now(put, name)
    assert {*"bcdefgh"} <= set(names(database))


def test_close_finishes_what_is_queued(driver_url: str, database: Database) -> None:
    kept = open_database(driver_url) if driver_url != "sqlite://" else None

    async def main() -> list[None]:
        jobs = [database.write(put, f"{index:03}") for index in range(300)]
        await asyncio.to_thread(database.close)
        return await asyncio.wait_for(asyncio.gather(*jobs), 10)

    assert len(asyncio.run(main())) == 300
    if kept is not None:
        assert len(names(kept)) == 300
        kept.close()


def test_a_closed_database_says_so(database: Database) -> None:
    database.close()
    database.close()
    for submit in (database.read_now, database.write_now):
        with pytest.raises(Unavailable):
            submit(put, "a")


def test_callers_that_race_with_close_all_get_an_answer(driver_url: str) -> None:
    database = open_database(driver_url)
    database.write_now(lambda tx: tx.value(statement("select 1")))
    answers: list[str] = []
    begin = threading.Barrier(9)

    def call() -> None:
        begin.wait()
        for _ in range(200):
            try:
                database.read_now(lambda tx: tx.value(statement("select 1")))
            except Unavailable:
                answers.append("refused")
                return
        answers.append("done")

    threads = [threading.Thread(target=call, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    begin.wait()
    database.close()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 8


def test_what_is_no_database(tmp_path: Any) -> None:
    file = tmp_path / "notes.db"
    file.write_text("This is a text, and not a database at all. " * 50)
    for call in (lambda db: db.migrate(), lambda db: db.reset(), lambda db: db.write_now(put, "a")):
        database = open_database(f"sqlite:///{file}")
        with pytest.raises(LictorError, match="cannot open"):
            call(database)
        database.close()
    assert file.read_text().startswith("This is")


@pytest.mark.parametrize("url", ["nothing", "mysql://x/y", "sqlite:////nowhere/at/all/x.db"])
def test_urls_that_cannot_be_opened(url: str) -> None:
    with pytest.raises(LictorError):
        open_database(url).write_now(put, "a")


def test_a_server_that_is_not_there() -> None:
    database = open_database("postgresql://nobody@127.0.0.1:1/nothing")
    for submit in (database.read_now, database.write_now):
        with pytest.raises(Unavailable):
            submit(put, "a")
    with pytest.raises(LictorError):
        database.migrate()
    database.close()
