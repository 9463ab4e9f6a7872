"""Waking followers from other threads."""

from __future__ import annotations

import asyncio
import threading
import time

from lictor.feed import Bell

LONG = 20.0


def test_everyone_who_waits_is_woken() -> None:
    bell = Bell()

    async def main() -> None:
        waiting = [asyncio.ensure_future(bell.wait(LONG)) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.to_thread(bell.ring)
        await asyncio.wait_for(asyncio.gather(*waiting), LONG / 2)

    asyncio.run(main())


def test_without_a_ring_the_wait_ends_in_time() -> None:
    bell = Bell()
    bell.ring()  # nobody hears it
    begin = time.monotonic()
    asyncio.run(bell.wait(0.05))
    assert time.monotonic() - begin >= 0.04


def test_what_rang_since_one_looked_is_not_missed() -> None:
    bell = Bell()
    heard = bell.rung
    bell.ring()
    asyncio.run(asyncio.wait_for(bell.wait(LONG, heard), LONG / 2))


def test_rings_from_many_threads_while_followers_come_and_go() -> None:
    bell = Bell()
    stop = threading.Event()

    def ring() -> None:
        while not stop.is_set():
            bell.ring()

    async def follow() -> None:
        for _ in range(50):
            await bell.wait(LONG)

    async def main() -> None:
        await asyncio.wait_for(asyncio.gather(*(follow() for _ in range(5))), LONG)

    threads = [threading.Thread(target=ring) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        asyncio.run(main())
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_loop_that_was_closed_is_passed_over() -> None:
    bell = Bell()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(bell.wait(LONG))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    bell.ring()
    del waiting


def test_a_waiter_that_is_cancelled_is_forgotten() -> None:
    bell = Bell()

    async def main() -> None:
        waiting = asyncio.ensure_future(bell.wait(LONG))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert not bell._waiting
