"""What a commit tells of rings the topic's bell: here, and in other processes on the same PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.processes import until
from tests.rows import a_flow

from lictor.db import Database, Tx, open_database
from lictor.feed import Bells, Notices


def tell(tx: Tx, *topics: str) -> None:
    a_flow(tx)
    for topic in topics:
        tx.tell(topic)


def refuse(tx: Tx) -> None:
    tell(tx, "events")
    raise ValueError("refused")


def test_a_commit_rings_the_bells_of_what_it_tells_of(db: Database) -> None:
    bells = Bells(db)
    events, logs = bells.of("events"), bells.of("logs")
    db.write_now(tell, "events", "events", "nobody's")
    assert (events.rung, logs.rung) == (1, 0)
    assert bells.of("logs") is logs


def test_what_is_rolled_back_rings_nothing(db: Database) -> None:
    bell = Bells(db).of("events")
    with pytest.raises(ValueError, match="refused"):
        db.write_now(refuse)
    assert bell.rung == 0


def test_a_bell_calls(db: Database) -> None:
    called: list[int] = []
    bell = Bells(db).of("events")
    bell.call(lambda: called.append(bell.rung))
    db.write_now(tell, "events")
    db.write_now(tell, "events")
    assert called == [1, 2]


@contextmanager
def a_process(url: str) -> Iterator[tuple[Database, Bells, Notices]]:
    """As much of one as wakes and is woken."""
    db = open_database(url)
    bells = Bells(db)
    notices = Notices(db, bells)
    notices.start()
    try:
        yield db, bells, notices
    finally:
        notices.stop()
        db.close()


@pytest.mark.only_on("postgres")
def test_other_processes_are_woken(database_url: str) -> None:
    with a_process(database_url) as (here, own, _), a_process(database_url) as (_, others, _):
        told, untold = others.of("events"), others.of("logs")
        until(lambda: told.rung)  # it listens
        rung = told.rung, untold.rung
        for _ in range(100):
            here.write_now(tell, "events")
        until(lambda: told.rung > rung[0])
        assert untold.rung == rung[1]
        # Commits that are close together are one notice, and one's own are not heard again.
        assert told.rung - rung[0] < 100
        assert own.of("events").rung <= 100


@pytest.mark.only_on("postgres")
def test_a_lost_connection_comes_back(database_url: str) -> None:
    with a_process(database_url) as (db, bells, _):
        bell = bells.of("events")
        until(lambda: bell.rung)
        rung = bell.rung
        with psycopg.connect(database_url, autocommit=True) as other:
            mine = "datname = current_database() and query like 'listen%'"
            query = f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}"
            assert other.execute(query).fetchall() == [(True,)]
            # What was committed meanwhile was not heard of: all followers look.
            until(lambda: bell.rung > rung)
            rung = bell.rung
            other.execute("notify lictor, 'events'")
            until(lambda: bell.rung > rung)
        db.write_now(tell, "events")


@pytest.mark.only_on("sqlite")
def test_on_sqlite_there_are_no_notices(database_url: str) -> None:
    with a_process(database_url) as (db, bells, notices):
        db.write_now(tell, "events")
        assert bells.of("events").rung == 0
        assert notices._thread is None
