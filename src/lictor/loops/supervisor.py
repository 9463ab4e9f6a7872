"""Runs services side by side, each where this process leads it, and knows how they fare."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from lictor.kit import clock
from lictor.kit.errors import Unavailable
from lictor.loops.leader import Leases
from lictor.loops.service import Service

log = logging.getLogger(__name__)

FIRST_BACK_OFF = 5.0
LONGEST_BACK_OFF = 60.0
FINISH_WITHIN = 5.0


class ServiceHealth(Struct, frozen=True):
    """How a service fares in this process; `age` is the seconds since a round last came through.

    `stalled` is for a service that this process leads and that has not come through for three intervals and a minute.
    """

    name: str
    leading: bool
    last_run: datetime | None
    age: float | None
    failures: int
    error: str | None
    stalled: bool


class Progress:
    """What the supervisor remembers of one service."""

    def __init__(self) -> None:
        self.leading_since: datetime | None = None
        self.last_run: datetime | None = None
        self.failures = 0
        self.error: str | None = None


class Supervisor:
    """Starts and stops a set of services; each runs only while `leases` says that this process leads it."""

    def __init__(self, services: Sequence[Service], leases: Leases) -> None:
        self.services = tuple(services)
        self._leases = leases
        self._progress = {service.name: Progress() for service in services}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin; returns at once. What stands in the way of a service is logged and retried, not raised."""
        self._stopping.clear()
        self._tasks = [asyncio.create_task(self._lead(), name="lictor-leases")]
        self._tasks += [
            asyncio.create_task(self._keep_running(service), name=f"lictor-{service.name}") for service in self.services
        ]

    async def stop(self) -> None:
        """Let the rounds in flight finish (within 5 s), then give the leases back."""
        if not self._tasks:
            return
        self._stopping.set()
        for service in self.services:
            service.nudge(at_once=True)
        _, late = await asyncio.wait(self._tasks, timeout=FINISH_WITHIN)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(service.close() for service in self.services), return_exceptions=True)
        try:
            await self._leases.release()
        except Exception as error:
            log.warning("leases could not be given back and will run out instead: %s", _said(error))

    def health(self) -> list[ServiceHealth]:
        """Every service of this process, in the order given."""
        return [self._health(service) for service in self.services]

    async def _lead(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                gained = await self._leases.refresh()
                failures = 0
            except Exception as error:
                failures += 1
                log.warning("leases could not be renewed (%d in a row): %s", failures, _said(error))
            else:
                self._begin(gained)
            await self._pause(self._leases.length / 3)

    def _begin(self, gained: frozenset[str]) -> None:
        for service in self.services:
            if service.name in gained:
                self._progress[service.name].leading_since = clock.now()
                service.nudge()

    async def _keep_running(self, service: Service) -> None:
        while not self._stopping.is_set():
            delay = None
            if service.name in self._leases.held:
                delay = await self._round(service)
            await service.rest(delay)

    async def _round(self, service: Service) -> float:
        """Run once; the seconds to wait before the next time."""
        progress = self._progress[service.name]
        try:
            done = await service.run_once()
        except Exception as error:
            progress.failures += 1
            progress.error = _said(error)
            delay = _back_off(service.interval, progress.failures)
            in_a_row = f" {progress.failures} times in a row" if progress.failures > 1 else ""
            # That the database is away says all; for what nobody foresaw the place where it happened is wanted.
            place = not isinstance(error, Unavailable)
            words = "%s failed%s, trying again in %.1f s: %s"
            log.error(words, service.name, in_a_row, delay, progress.error, exc_info=place)
            return delay
        if progress.failures:
            log.warning("%s runs again (failures before: %d)", service.name, progress.failures)
        progress.last_run, progress.failures, progress.error = clock.now(), 0, None
        if done:
            log.debug("%s did %d", service.name, done)
        if service.batch is not None and done >= service.batch:
            return 0.0
        return _jittered(service.interval)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _health(self, service: Service) -> ServiceHealth:
        progress, now = self._progress[service.name], clock.now()
        leading = service.name in self._leases.held
        since = max((at for at in (progress.last_run, progress.leading_since) if at is not None), default=None)
        silent = (now - since).total_seconds() if since is not None else 0.0
        return ServiceHealth(
            name=service.name,
            leading=leading,
            last_run=progress.last_run,
            age=(now - progress.last_run).total_seconds() if progress.last_run else None,
            failures=progress.failures,
            error=progress.error,
            stalled=leading and silent > 3 * service.interval + 60,
        )


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.9, 1.1)


def _back_off(interval: float, failures: int) -> float:
    first = min(max(interval, 0.5), FIRST_BACK_OFF)
    return _jittered(min(first * 2.0 ** min(failures - 1, 20), LONGEST_BACK_OFF))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
