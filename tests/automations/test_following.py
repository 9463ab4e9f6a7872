"""Each event once, in its order, whoever reads it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec import Raw
from tests.automations.world import START, World, some_id

from lictor.automations import following, store
from lictor.automations.following import Follower
from lictor.automations.ordering import in_order
from lictor.db import Database
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
