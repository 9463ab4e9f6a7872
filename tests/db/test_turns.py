"""Whose turn it is to write: what clients wait for goes before what services write."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.db.conftest import put

from lictor.db import Database, Tx, open_database
from lictor.db.jobs import Job
from lictor.db.turns import BATCH, BATCH_BEHIND, Turns


def job(name: str) -> Job:
    """Of a client; of a service if its name is in capitals."""
    return Job(lambda: None, (name,), {}, behind=name.isupper())


def transactions(waiting: str, come: dict[str, str] | None = None) -> list[str]:
    """What is run together, of jobs that wait and of those that `come` while another runs."""
    queue: SimpleQueue[Job | None] = SimpleQueue()
    for name in waiting:
        queue.put(job(name))
    if not come:
        queue.put(None)
    left = dict(come or {})
    turns, found = Turns(queue), []
    while (first := turns.first()) is not None:
        names = ""
        for each in turns.together(first):
            names += each.args[0]
            for name in left.pop(each.args[0], ""):
                queue.put(job(name))
                if not left:
                    queue.put(None)
        found.append(names)
    return found


@pytest.mark.parametrize(
    ("waiting", "together"),
    [
        ("", []),
        ("abc", ["abc"]),
        ("aAb", ["ab", "A"]),
        ("ABCab", ["Aab", "BC"]),
        ("ABCDEF", ["ABCD", "EF"]),
        ("aABCDEF", ["a", "ABCD", "EF"]),
    ],
)
def test_clients_go_first_and_services_share_what_is_left(waiting: str, together: list[str]) -> None:
    assert transactions(waiting) == together


@pytest.mark.parametrize(
    ("waiting", "come", "together"),
    [
        ("ABC", {"A": "a"}, ["Aa", "BC"]),
        ("ABC", {"A": "a", "B": "b"}, ["Aa", "Bb", "C"]),
        ("AB", {"A": "a", "a": "b"}, ["Aab", "B"]),
        ("aA", {"a": "b", "b": "c"}, ["abc", "A"]),
    ],
)
def test_who_comes_meanwhile_waits_for_one_of_a_service_at_most(
    waiting: str, come: dict[str, str], together: list[str]
) -> None:
    assert transactions(waiting, come) == together


def test_a_transaction_has_an_end() -> None:
    assert [len(names) for names in transactions("a" * (BATCH + 2))] == [BATCH, 2]
    assert [len(names) for names in transactions("A" * (BATCH_BEHIND + 1))] == [BATCH_BEHIND, 1]


def test_a_body_is_run_for_each_and_what_others_write_meanwhile_is_there_before_the_second(database: Database) -> None:
    begun, go_on, order = threading.Event(), threading.Event(), []

    def slow(tx: Tx, name: str) -> str:
        if name == "a":
            begun.set()
            assert go_on.wait(10)
        put(tx, name)
        order.append(name)
        return name.upper()

    async def main() -> list[str]:
        all_of_them = asyncio.create_task(database.write_each(slow, ["a", "b", "c"]))
        await asyncio.to_thread(begun.wait, 10)
        others = [database.write(slow, name) for name in "xyz"]
        go_on.set()
        await asyncio.gather(*others)
        return await all_of_them

    assert asyncio.run(main()) == ["A", "B", "C"]
    if database.dialect.name == "sqlite":
        assert "".join(order) == "axyzbc"
    assert sorted(order) == list("abcxyz")


def test_what_was_to_be_written_is_written_before_the_end(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/last.db")
    database.migrate()
    done: list[int] = []

    async def main() -> None:
        waiting = asyncio.create_task(database.write_each(lambda tx, number: done.append(number), range(10)))
        await asyncio.sleep(0)
        await asyncio.to_thread(database.close)
        await waiting

    asyncio.run(main())
    assert done == list(range(10))
