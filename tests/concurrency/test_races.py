"""Many who want slots at once: there is never one holder too many, whatever the database's isolation level."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from lictor.concurrency import limits, slots, tags
from lictor.concurrency.slots import Claim, Full, Waits
from lictor.concurrency.tags import ConcurrencyLimitCreate
from lictor.concurrency.types import ConcurrencyLimitV2Create
from lictor.db import Database, open_database
from lictor.kit import clock
from lictor.kit.errors import Unavailable
from lictor.web import Created

THREADS = 8
WAITS = Waits()
NAMES = ["a", "b"]
LIMITS = {"a": 3, "b": 2}


@pytest.fixture(params=["as it is", "repeatable read"])
def shared(request: pytest.FixtureRequest, dialect: str, database_url: str) -> Iterator[Database]:
    """A database with two limits, on PostgreSQL with each isolation level."""
    if request.param == "repeatable read":
        if dialect == "sqlite":
            pytest.skip("SQLite has one writer")
        with psycopg.connect(database_url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"alter database {name} set default_transaction_isolation = 'repeatable read'")  # type: ignore[arg-type]
    database = open_database(database_url)
    for name, limit in LIMITS.items():
        database.write_now(limits.insert, ConcurrencyLimitV2Create(name=name, limit=limit))
    yield database
    database.close()


class Held:
    """Who believes to hold a slot, and the most there ever were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = dict.fromkeys(NAMES, 0)
        self.most = dict.fromkeys(NAMES, 0)

    def add(self, names: list[str], number: int) -> None:
        with self.lock:
            for name in names:
                self.now[name] += number
                self.most[name] = max(self.most[name], self.now[name])


def again(work: object, *args: object) -> object:
    """As a client does: what cannot be done now is tried again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return work(*args)  # type: ignore[operator]
        except Unavailable:
            assert time.monotonic() < deadline


def test_never_more_holders_than_slots(shared: Database) -> None:
    held, rounds = Held(), 25

    def work(seed: int) -> int:
        chance, got = random.Random(seed), 0
        for _ in range(rounds):
            names = chance.choice([["a"], ["b"], ["a", "b"], ["b", "a"]])
            taken = again(shared.write_now, slots.take, WAITS, names, 1, "concurrency", Claim(60.0))
            if isinstance(taken, Full):
                continue
            held.add(names, 1)
            got += 1
            # It is counted as given back before it is: between the two somebody else may have it.
            held.add(names, -1)
            again(shared.write_now, slots.release, WAITS, [taken.lease_id])  # type: ignore[attr-defined]
        return got

    with ThreadPoolExecutor(THREADS) as threads:
        got = sum(threads.map(work, range(THREADS)))
    assert got > rounds
    assert all(held.most[name] <= LIMITS[name] for name in NAMES)
    assert [one.active_slots for one in _all(shared)] == [0, 0]


def _all(database: Database) -> list[limits.GlobalConcurrencyLimitResponse]:
    return [database.read_now(limits.read, name) for name in NAMES]


def test_of_many_who_ask_at_once_as_many_as_there_are_slots_get_one(shared: Database) -> None:
    together = threading.Barrier(THREADS)

    def work(_: int) -> bool:
        together.wait()
        taken = again(shared.write_now, slots.take, WAITS, ["a", "b"], 1, "concurrency", Claim(60.0))
        return not isinstance(taken, Full)

    for turn in range(1, 4):
        with ThreadPoolExecutor(THREADS) as threads:
            assert sum(threads.map(work, range(THREADS))) == 2
        assert [one.active_slots for one in _all(shared)] == [2, 2]
        moment = clock.now() + timedelta(minutes=2 * turn)
        clock.set_source(lambda moment=moment: moment)  # type: ignore[misc]


def test_a_late_renewal_and_a_new_claim_never_both_win(shared: Database) -> None:
    for turn in range(1, 16):
        leases = [_lease(shared) for _ in range(2)]
        moment = clock.now() + timedelta(minutes=2)
        clock.set_source(lambda moment=moment: moment)  # type: ignore[misc]
        together = threading.Barrier(4)

        def renew(lease: str, together: threading.Barrier = together) -> bool:
            together.wait()
            return bool(again(shared.write_now, slots.renew, lease, 60.0, clock.now()))

        def claim(_: int, together: threading.Barrier = together) -> bool:
            together.wait()
            return not isinstance(
                again(shared.write_now, slots.take, WAITS, ["b"], 1, "concurrency", Claim(60.0)), Full
            )

        with ThreadPoolExecutor(4) as threads:
            renewed, claimed = threads.map(renew, leases), threads.map(claim, range(2))
            assert sum(renewed) + sum(claimed) == 2, turn
        assert shared.read_now(limits.read, "b").active_slots == 2
        moment = clock.now() + timedelta(minutes=2)
        clock.set_source(lambda moment=moment: moment)  # type: ignore[misc]


def _lease(shared: Database) -> str:
    taken = shared.write_now(slots.take, WAITS, ["b"], 1, "concurrency", Claim(60.0))
    assert not isinstance(taken, Full)
    return taken.lease_id


def test_many_who_limit_the_same_tag_at_once_all_get_the_limit(shared: Database) -> None:
    together = threading.Barrier(THREADS)

    def work(number: int) -> bool:
        together.wait()
        wanted = ConcurrencyLimitCreate("t", number + 1)
        made = again(shared.write_now, tags.insert_or_update, wanted)
        assert isinstance(made, Created)
        return made.created

    with ThreadPoolExecutor(THREADS) as threads:
        assert sum(threads.map(work, range(THREADS))) == 1
