"""Each event once, in its order, whoever reads it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Raw
from tests.automations.world import START, World, automation_of, some_id

from lictor.automations import following, store
from lictor.automations.following import Follower
from lictor.automations.ordering import in_order
from lictor.automations.types import Automation
from lictor.db import Database, Tx, open_database
from lictor.db.postgres import PostgresTx
from lictor.db.sqlite import SqliteTx
from lictor.events import naming
from lictor.events import store as events
from lictor.events.reading import Recorded
from lictor.events.types import Event


def recorded(position: int, id: str, follows: str | None = None, occurred: int = 0) -> Recorded:
    at = START + timedelta(seconds=occurred)
    return Recorded(position, id, at, START, "e", follows, {"prefect.resource.id": "r"}, [], Raw(b"{}"))


def test_followers_come_after_their_leader() -> None:
    given = [recorded(1, "c", "b", 3), recorded(2, "b", "a", 2), recorded(3, "x"), recorded(4, "a", occurred=1)]
    order = in_order(given, set(), START)
    assert [event.id for event in order.now] == ["x", "a", "b", "c"]
    assert order.waiting == []


def test_who_follows_what_has_not_come_waits_but_not_for_ever() -> None:
    given = [recorded(1, "b", "a"), recorded(2, "c", "b")]
    order = in_order(given, set(), START)
    assert [event.id for event in order.waiting] == ["b", "c"]
    later = in_order(given, set(), START + timedelta(minutes=15))
    assert [event.id for event in later.now] == ["b", "c"]


def test_what_follows_something_seen_or_itself_does_not_wait() -> None:
    given = [recorded(1, "b", "a"), recorded(2, "c", "c")]
    assert in_order(given, {"a"}, START).now == given


def test_an_event_waits_for_the_one_it_follows(world: World) -> None:
    parts = [{"posture": "Reactive", "expect": [name]} for name in ("x", "y")]
    world.automate({"type": "sequence", "triggers": parts, "within": None})
    leader = some_id()
    world.happen("y", follows=leader)
    world.round()
    world.wait(20)
    world.happen("x", id=leader)
    world.round()
    world.round()
    assert world.fired() == ["a"]


def test_an_event_whose_leader_was_lost_is_evaluated_in_the_end(world: World) -> None:
    world.automate({"expect": ["a"]})
    world.happen("a", follows=some_id())
    world.wait(14 * 60, step=60)
    assert world.fired() == []
    world.wait(60)
    assert world.fired() == ["a"]


def test_an_event_that_follows_one_of_no_interest_does_not_wait(world: World) -> None:
    world.automate({"expect": ["a"]})
    leader = world.happen("other")
    world.happen("a", follows=leader)
    world.round()
    assert world.fired() == ["a"]


def test_another_process_goes_on_where_the_first_one_stopped(world: World) -> None:
    world.automate({"expect": ["a"], "threshold": 2, "within": 600})
    world.happen("a")
    world.round()
    world.restart()
    world.happen("a")
    world.round()
    world.restart()
    world.round()
    assert world.fired() == ["a"]


def test_two_who_read_at_once_do_not_both_fire(world: World, db: Database) -> None:
    world.automate({"expect": ["a"]})
    world.happen("a")

    async def race() -> None:
        first, second = Follower(db), Follower(db)
        seen = [await db.read(follower._look) for follower in (first, second)]
        turns = [await db.write(following.commit, look) for look in seen if look is not None]
        assert [turn is None for turn in turns] == [False, True]

    asyncio.run(race())
    assert world.fired() == ["a"]


def test_an_automation_deleted_while_an_event_was_on_its_way_does_not_fire(world: World, db: Database) -> None:
    made = world.automate({"expect": ["a"]})
    world.happen("a")

    async def race() -> None:
        look = await db.read(world.service._follower._look)
        await db.write(store.delete, made.id)
        assert look is not None
        assert await db.write(following.commit, look) is None

    asyncio.run(race())
    world.round()
    assert world.fired() == []


@pytest.mark.parametrize("number", [1, 1200])
def test_more_events_than_one_batch(world: World, db: Database, number: int) -> None:
    world.automate({"expect": ["a"], "threshold": number, "within": 60})
    many = [Event(occurred=world.now, event="a", resource={"prefect.resource.id": "r"}) for _ in range(number)]
    db.write_now(events.insert, many, world.now)
    world.round()
    assert world.fired() == ["a"]


def nobody_waits(db: Database) -> World:
    """A world that has had an automation, which is no more."""
    world = World(db)
    made = world.automate({"expect": ["a"]}, name="before")
    db.write_now(store.delete, made.id)
    world.round()
    return world


def an_automation(tx: Tx) -> Automation:
    return store.insert(tx, automation_of({"expect": ["a"]}, name="after"))


def test_an_automation_that_is_made_while_a_round_looks_misses_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = nobody_waits(db)
    read, calls = following.read_progress, []

    def and_then(tx: Tx) -> following.Progress | None:
        found = read(tx)
        calls.append(found)
        if len(calls) == 1:
            world.names[db.write_now(an_automation).id] = "after"
            world.happen("a")
        return found

    monkeypatch.setattr(following, "read_progress", and_then)
    world.round()
    world.round()
    assert world.fired() == ["after"]


class Held:
    """A transaction that has done its work, and commits when it is let."""

    def __init__(self, db: Database, body: Callable[[Tx], Any]) -> None:
        self._done, self._go_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=db.write_now, args=(self._run, body), daemon=True)
        self._thread.start()
        assert self._done.wait(20)

    def _run(self, tx: Tx, body: Callable[[Tx], Any]) -> None:
        self.made: Any = body(tx)
        tx.value(store.LAST_POSITION)  # an answer: what was written is there
        self._done.set()
        assert self._go_on.wait(20)

    def commit(self) -> None:
        self._go_on.set()
        self._thread.join()


@pytest.mark.only_on("postgres")
def test_an_event_that_was_in_flight_when_others_were_passed_reaches_a_new_automation(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To store a position would wait for who makes an automation.
    monkeypatch.setattr(following, "STORE_SECONDS", 1000.0)
    db = open_database(database_url)
    try:
        world = nobody_waits(db)
        automation = Held(db, an_automation)
        a = Event(occurred=START, event="a", resource={"prefect.resource.id": "r"})
        event = Held(db, lambda tx: events.emit(tx, a))
        world.happen("b")
        world.round()
        automation.commit()
        event.commit()
        world.names[automation.made.id] = "after"
        world.round()
        assert world.fired() == ["after"]
    finally:
        db.close()


def test_what_is_waited_for_does_not_grow_with_what_fires(
    world: World, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of the database is waited for once for each action, and not at all for a firing: it may be far away."""
    world.automate({"expect": ["a"], "for_each": ["prefect.resource.id"]}, {"type": "do-nothing"})
    # Each database thread looks the numbers of names up once a minute.
    monkeypatch.setattr(naming, "of", lambda tx, name: naming.UNKNOWN)
    kind = PostgresTx if db.dialect.name == "postgres" else SqliteTx
    waits = 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal waits
            waits += 1
            return method(*args)

        return call

    for name in ("_first", "_rows", "_run"):
        monkeypatch.setattr(kind, name, counted(getattr(kind, name)))

    async def waited(number: int) -> tuple[int, int]:
        nonlocal waits
        for index in range(number):
            world.happen("a", f"{number}.{index}")
        follower = world.service._follower
        look = await db.read(follower._look)
        assert look is not None
        assert len(look.interests) == number
        waits = 0
        await db.write(following.commit, look)
        evaluated, waits = waits, 0
        assert await world.service._executor.start_due() == number
        return evaluated, waits

    few, many = asyncio.run(waited(3)), asyncio.run(waited(23))
    assert many[0] == few[0]
    assert many[1] - few[1] == 20
