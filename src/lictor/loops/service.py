"""The shape that every background service has."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from typing import ClassVar


class Service(ABC):
    """A name, an interval in seconds, and rounds of work.

    `batch` is how much a full round does: one that did as much is followed by the next without a wait. `gather` is how
    many seconds a nudge waits for others, so that one round does what they are about; each that comes is waited for as
    long, up to `gather_at_most` in all.
    """

    name: ClassVar[str]
    batch: int | None = None
    gather: float = 0.0
    gather_at_most: float = 0.0

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._lock = threading.Lock()
        self._nudged = False
        self._at_once = False
        self._last_nudge = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None

    @abstractmethod
    async def run_once(self) -> int:
        """Do what is due now; how much that was. Raises what went wrong; safe to run twice at once."""

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of what outlives a round; called once, after the last."""

    def nudge(self, *, at_once: bool = False) -> None:
        """End the wait before the next round. From any thread, as often as one likes: nudges until then are one."""
        with self._lock:
            self._last_nudge = time.monotonic()
            if self._nudged and not at_once:
                return
            self._nudged = True
            self._at_once = self._at_once or at_once
            loop, woken = self._loop, self._woken
        if loop is not None and woken is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake, loop, woken)

    def _wake(self, loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> None:
        if self._at_once or not self.gather:
            woken.set()
        else:
            loop.call_later(self.gather, self._gathered, loop, woken, time.monotonic())

    def _gathered(self, loop: asyncio.AbstractEventLoop, woken: asyncio.Event, begun: float) -> None:
        now = time.monotonic()
        left = min(self._last_nudge + self.gather - now, begun + self.gather_at_most - now)
        if left <= 0:
            woken.set()
        else:
            loop.call_later(left, self._gathered, loop, woken, begun)

    async def rest(self, seconds: float | None) -> None:
        """Wait that long, or for a nudge; None is for a nudge alone. For the supervisor."""
        woken = self._listen()
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            return
        finally:
            self._hear(woken)

    def _listen(self) -> asyncio.Event:
        woken = asyncio.Event()
        with self._lock:
            self._loop, self._woken = asyncio.get_running_loop(), woken
            nudged = self._nudged
        if nudged:
            self._wake(asyncio.get_running_loop(), woken)
        return woken

    def _hear(self, woken: asyncio.Event) -> None:
        # A nudge that comes from here on belongs to the round that follows the one about to begin.
        with self._lock:
            self._nudged = self._at_once = False
            self._woken = None
