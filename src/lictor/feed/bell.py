"""A wake-up from database threads to coroutines that wait for commits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Bell:
    """`ring` from any thread wakes every coroutine that is in `wait`; without one it costs next to nothing.

    `rung` counts. Who notes it before looking, and waits with it, cannot miss what comes between the two.
    """

    def __init__(self) -> None:
        self.rung = 0
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._calls: tuple[Callable[[], None], ...] = ()

    def call(self, call: Callable[[], None]) -> None:
        """Have `call` called at each ring, such as a service's `nudge`; on the thread that rings: it must be quick."""
        with self._lock:
            self._calls += (call,)

    def ring(self) -> None:
        with self._lock:
            self.rung += 1
            waiting = list(self._waiting.items())
        for event, loop in waiting:
            # A loop that was closed has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)
        for call in self._calls:
            call()

    async def wait(self, seconds: float, heard: int | None = None) -> None:
        """Until the bell rings, or so many seconds; not at all if it has rung since it had rung `heard` times."""
        event = asyncio.Event()
        with self._lock:
            if heard is not None and heard != self.rung:
                return
            self._waiting[event] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                del self._waiting[event]
