"""A wake-up from database threads to coroutines that wait for commits."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """`ring` from any thread wakes every coroutine that is in `wait`; without one it costs nothing."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def ring(self) -> None:
        for event, loop in list(self._waiting.items()):
            # A loop that was closed has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    async def wait(self, seconds: float) -> None:
        """Until the bell rings, or so many seconds."""
        event = asyncio.Event()
        self._waiting[event] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            del self._waiting[event]
