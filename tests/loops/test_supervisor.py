from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from lictor.db import Database
from lictor.kit import clock
from lictor.kit.errors import Unavailable
from lictor.loops import Leases, Service, Supervisor

HOUR = 3600.0


class Counting(Service):
    """Counts its rounds; does what it is told to in each."""

    name = "counting"

    def __init__(self, interval: float = HOUR, does: Callable[[int], int] = lambda _: 1) -> None:
        super().__init__(interval)
        self.rounds = 0
        self._does = does

    async def run_once(self) -> int:
        self.rounds += 1
        return self._does(self.rounds)


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def supervised(db: Database, *services: Service) -> Supervisor:
    return Supervisor(services, Leases(db, [service.name for service in services]))


def test_a_service_runs_at_once_and_then_at_its_interval(db: Database) -> None:
    often, seldom = Counting(interval=0.01), Counting()
    seldom.name = "seldom"  # type: ignore[misc]

    async def scenario() -> None:
        supervisor = supervised(db, often, seldom)
        await supervisor.start()
        await soon(lambda: often.rounds >= 3)
        await supervisor.stop()

    asyncio.run(scenario())
    assert seldom.rounds == 1


def test_a_nudge_from_another_thread_ends_the_wait(db: Database) -> None:
    service = Counting()

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds == 1)
        thread = threading.Thread(target=service.nudge)
        thread.start()
        await soon(lambda: service.rounds == 2)
        thread.join()
        await supervisor.stop()

    asyncio.run(scenario())


def test_a_nudge_during_a_round_is_not_lost(db: Database) -> None:
    def nudge_in_the_first(rounds: int) -> int:
        if rounds == 1:
            service.nudge()
        return 1

    service = Counting(does=nudge_in_the_first)

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds == 2)
        await supervisor.stop()

    asyncio.run(scenario())


def test_nudges_are_gathered_into_one_round_but_none_is_lost_and_nobody_waits_for_more_at_the_end(db: Database) -> None:
    def nudge_in_the_second(rounds: int) -> int:
        if rounds == 2:
            service.nudge()
        return 1

    service = Counting(does=nudge_in_the_second)
    service.gather = 0.2

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds == 1)
        for _ in range(5):
            service.nudge()
            await asyncio.sleep(0)
        assert service.rounds == 1
        await soon(lambda: service.rounds == 3)
        service.gather = HOUR
        service.nudge()
        await supervisor.stop()

    asyncio.run(scenario())
    assert service.rounds == 3


def test_a_round_waits_until_no_nudge_comes_any_more_but_not_for_ever(db: Database) -> None:
    service = Counting()
    service.gather, service.gather_at_most = 0.05, HOUR

    async def nudged_until(stop: Callable[[], bool]) -> None:
        while not stop():
            service.nudge()
            await asyncio.sleep(0)

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds == 1)
        until = asyncio.get_running_loop().time() + 5 * service.gather
        await nudged_until(lambda: asyncio.get_running_loop().time() > until)
        assert service.rounds == 1
        await soon(lambda: service.rounds == 2)
        service.gather_at_most = 2 * service.gather
        async with asyncio.timeout(30):
            await nudged_until(lambda: service.rounds == 3)
        await supervisor.stop()

    asyncio.run(scenario())


def test_a_full_batch_is_followed_by_the_next_without_a_wait(db: Database) -> None:
    service = Counting(does=lambda rounds: 100 if rounds < 5 else 3)
    service.batch = 100

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds == 5)
        await supervisor.stop()

    asyncio.run(scenario())
    assert service.rounds == 5


def test_a_failure_is_logged_with_its_error_and_tried_again(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    def fail_twice(rounds: int) -> int:
        if rounds <= 2:
            raise LookupError("no such table")
        return 1

    service = Counting(interval=0.01, does=fail_twice)

    async def scenario() -> None:
        supervisor = supervised(db, service)
        await supervisor.start()
        await soon(lambda: service.rounds >= 1)
        await soon(lambda: supervisor.health()[0].failures == 1)
        assert supervisor.health()[0].error == "LookupError: no such table"
        await soon(lambda: service.rounds >= 3)
        await soon(lambda: supervisor.health()[0].failures == 0)
        await supervisor.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    messages = [record.message for record in caplog.records]
    assert any("counting failed, trying again in" in message for message in messages)
    assert any("counting failed 2 times in a row" in message for message in messages)
    assert "counting runs again (failures before: 2)" in messages
    assert all(record.exc_info for record in caplog.records if record.levelno == logging.ERROR)


def test_a_database_that_is_away_is_one_line_without_a_traceback(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(rounds: int) -> int:
        raise Unavailable("the disk is full")

    async def scenario() -> None:
        supervisor = supervised(db, Counting(does=fail))
        await supervisor.start()
        await soon(lambda: supervisor.health()[0].failures == 1)
        await supervisor.stop()

    asyncio.run(scenario())
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Unavailable: the disk is full" in record.message
    assert not record.exc_info


def test_only_the_leader_runs_and_stopping_hands_over(db: Database) -> None:
    first, second = Counting(), Counting()

    async def scenario() -> None:
        leader = Supervisor([first], Leases(db, ["counting"], length=0.3))
        follower = Supervisor([second], Leases(db, ["counting"], length=0.3))
        await leader.start()
        await soon(lambda: first.rounds == 1)
        await follower.start()
        await soon(lambda: leader.health()[0].leading)
        assert not follower.health()[0].leading
        second_before = second.rounds
        await leader.stop()
        await soon(lambda: second.rounds == second_before + 1)
        await follower.stop()

    asyncio.run(scenario())
    assert first.rounds == 1


def test_stopping_lets_the_round_in_flight_finish(db: Database) -> None:
    begun, finished = asyncio.Event(), asyncio.Event()

    class Slow(Service):
        name = "slow"

        async def run_once(self) -> int:
            begun.set()
            await asyncio.sleep(0.05)
            finished.set()
            return 1

    async def scenario() -> None:
        supervisor = supervised(db, Slow(HOUR))
        await supervisor.start()
        await begun.wait()
        await supervisor.stop()
        assert finished.is_set()

    asyncio.run(scenario())


def test_health_tells_the_age_of_the_last_run_and_what_is_stalled(db: Database) -> None:
    service = Counting(interval=5.0)

    async def scenario() -> None:
        supervisor = Supervisor([service], Leases(db, [service.name], length=600.0))
        await supervisor.start()
        await soon(lambda: supervisor.health()[0].last_run is not None)
        assert supervisor.health()[0].leading
        start = clock.now()
        for seconds, stalled in ((70, False), (80, True)):
            later = start + timedelta(seconds=seconds)
            clock.set_source(lambda later=later: later)
            health = supervisor.health()[0]
            assert health.age == pytest.approx(seconds, abs=5)
            assert health.stalled is stalled
        clock.reset()
        await supervisor.stop()

    asyncio.run(scenario())
