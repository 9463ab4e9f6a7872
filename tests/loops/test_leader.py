from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from lictor.db import Database, sql
from lictor.kit import clock
from lictor.loops import Leases

NAMES = ("late-runs", "scheduler")
HOLDERS = sql("test.holders", None, "select name, holder from service_lease order by name")


def holders(db: Database) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in db.read_now(lambda tx: tx.all(HOLDERS))]


def hold_clock_at(instant: datetime) -> None:
    clock.set_source(lambda: instant)


def test_the_first_to_ask_leads_and_the_second_does_not(db: Database) -> None:
    first, second = Leases(db, NAMES, holder="a"), Leases(db, NAMES, holder="b")

    async def ask() -> None:
        assert await first.refresh() == set(NAMES)
        assert await second.refresh() == set()

    asyncio.run(ask())
    assert first.held == set(NAMES)
    assert second.held == set()
    assert holders(db) == [("late-runs", "a"), ("scheduler", "a")]


def test_services_are_led_one_by_one(db: Database) -> None:
    first, second = Leases(db, NAMES[:1], holder="a"), Leases(db, NAMES, holder="b")

    async def ask() -> None:
        await first.refresh()
        await second.refresh()

    asyncio.run(ask())
    assert second.held == {"scheduler"}


def test_a_renewed_lease_is_not_gained_again(db: Database) -> None:
    leases = Leases(db, NAMES)

    async def ask() -> frozenset[str]:
        await leases.refresh()
        return await leases.refresh()

    assert asyncio.run(ask()) == set()
    assert leases.held == set(NAMES)


def test_a_process_stops_believing_before_anybody_can_take_over(db: Database) -> None:
    begin = clock.now()
    first, second = Leases(db, NAMES, holder="a"), Leases(db, NAMES, holder="b")

    async def pass_on() -> None:
        hold_clock_at(begin)
        await first.refresh()
        hold_clock_at(begin + timedelta(seconds=first.length * 2 / 3))
        assert first.held == set()
        assert await second.refresh() == set()
        hold_clock_at(begin + timedelta(seconds=first.length + 1))
        assert await second.refresh() == set(NAMES)
        assert await first.refresh() == set()

    asyncio.run(pass_on())
    assert {holder for _, holder in holders(db)} == {"b"}


def test_who_comes_back_in_time_goes_on(db: Database) -> None:
    begin = clock.now()
    leases = Leases(db, NAMES, holder="a")

    async def come_back() -> frozenset[str]:
        hold_clock_at(begin)
        await leases.refresh()
        hold_clock_at(begin + timedelta(seconds=leases.length * 3))
        return await leases.refresh()

    assert asyncio.run(come_back()) == set(NAMES)


def test_released_leases_are_free_at_once(db: Database) -> None:
    first, second = Leases(db, NAMES, holder="a"), Leases(db, NAMES, holder="b")

    async def hand_over() -> None:
        await first.refresh()
        await first.release()
        assert first.held == set()
        assert await second.refresh() == set(NAMES)

    asyncio.run(hand_over())


def test_of_many_that_ask_at_once_one_leads_each(db: Database) -> None:
    everybody = [Leases(db, NAMES, holder=str(number)) for number in range(16)]

    async def ask() -> list[frozenset[str]]:
        return await asyncio.gather(*(leases.refresh() for leases in everybody))

    gained = asyncio.run(ask())
    assert sorted(name for names in gained for name in names) == sorted(NAMES)
