"""Doing what is queued: actions on the database one transaction each, calls to the world outside side by side.

**On the database: exactly once.** The row is marked done in the transaction that does it.
**Outside: at least once.** Whether a call that was cut off has arrived, nobody can know. A call is taken (`attempts`,
and until when) before it is made and marked done after it; if the process dies between the two it is made again when
that time is over, three times at most: an alert that comes twice is better than one that does not come. A call that
was answered, or not answered within its time, is not repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Struct

from lictor.automations import queueing
from lictor.automations.actions import Action, RunDeployment
from lictor.automations.doing import Doing, Done, do, reason
from lictor.automations.inferring import Failed
from lictor.automations.queueing import Due
from lictor.db import Database, Tx
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.kit.decoding import convert
from lictor.kit.errors import LictorError, Unavailable
from lictor.web.codec import decode_hook

log = logging.getLogger(__name__)

BATCH = 100
MOST_ATTEMPTS = 3
# So many calls of one block at a time: an endpoint that does not answer delays its own calls and no others.
MOST_PER_TARGET = 10
CALL_SECONDS = 60.0

Call = Callable[[Due, Any, Done], Awaitable[None]]
"""Does an action outside, and notes in `Done` what came of it. Raises Failed."""


class Outside(Struct, frozen=True):
    """How actions that leave this server are done, by their type, and what is made ready for those that do not."""

    calls: dict[type[Any], Call] = {}
    prepare: dict[type[Any], Callable[[Due, Any], Awaitable[Any]]] = {}


class Executor:
    """`start_due` does what is due on the database, and starts what is due outside."""

    def __init__(self, db: Database, orchestration: Orchestration, outside: Outside) -> None:
        self._db = db
        self._orchestration = orchestration
        self._outside = outside
        # Called when there is room for another call.
        self.nudge: Callable[[], None] = lambda: None
        self._busy: Counter[str] = Counter()
        self._calls: set[asyncio.Task[None]] = set()

    async def start_due(self) -> int:
        """How many actions were done or started."""
        busy = [target for target, number in self._busy.items() if number >= MOST_PER_TARGET]
        found = await self._db.read(queueing.due, busy, BATCH)
        inside: dict[str, list[Due]] = defaultdict(list)
        for due in found:
            if due.target is None:
                inside[due.invocation.automation.id].append(due)
        await asyncio.gather(*(self._one_by_one(group) for group in inside.values()))
        started = 0
        for due in found:
            if due.target is not None and self._busy[due.target] < MOST_PER_TARGET:
                started += await self._start(due)
        return sum(map(len, inside.values())) + started

    async def finish(self, seconds: float) -> None:
        """Let calls in flight end; those that do not in that time are made again by whoever comes next."""
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _one_by_one(self, group: list[Due]) -> None:
        for due in group:
            await self._inside(due)

    async def _inside(self, due: Due) -> None:
        action = decode(due)
        try:
            prepare = self._outside.prepare.get(type(action))
            prepared = None if prepare is None else await prepare(due, action)
            await self._db.write(perform, self._orchestration, due, action, prepared)
        except Unavailable:
            raise
        except Exception as error:
            await self._gone_wrong(due, action, error)

    async def _gone_wrong(self, due: Due, action: Any, error: Exception) -> None:
        if isinstance(error, Failed):
            done = Done(error.details, related_of(error), error.reason)
        elif isinstance(error, LictorError):
            status, words = reason(action.type, error)
            details: dict[str, Any] = {"status_code": status}
            if status == 409 and isinstance(action, RunDeployment):
                details["validation_error"] = error.message
            done = Done(details, related_of(error), words)
        elif due.attempts + 1 < MOST_ATTEMPTS:
            log.exception("action %s (%s) is tried again: %s", due.id, action.type, error)
            await self._db.write(queueing.take, due, clock.now() + timedelta(seconds=2.0 ** (due.attempts + 1)))
            return
        else:
            log.exception("action %s (%s) is given up: %s", due.id, action.type, error)
            done = Done(reason=f"Unexpected error: {error!r}")
        await self._db.write(queueing.end, due.id, due.attempts, due.invocation, done)

    async def _start(self, due: Due) -> bool:
        if due.attempts >= MOST_ATTEMPTS:
            done = Done(reason=f"Given up after {due.attempts} attempts that nobody knows the outcome of")
            return await self._db.write(queueing.end, due.id, due.attempts, due.invocation, done)
        if not await self._db.write(queueing.take, due, clock.now() + timedelta(seconds=2 * CALL_SECONDS)):
            return False
        assert due.target is not None
        self._busy[due.target] += 1
        task = asyncio.get_running_loop().create_task(self._call(due), name=f"lictor-action-{due.id}")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return True

    async def _call(self, due: Due) -> None:
        assert due.target is not None
        done = Done()
        try:
            await self._made(due, done)
            await self._recorded(due, done)
        finally:
            self._busy[due.target] -= 1
            self.nudge()

    async def _made(self, due: Due, done: Done) -> None:
        try:
            action = decode(due)
            async with asyncio.timeout(CALL_SECONDS):
                await self._outside.calls[type(action)](due, action, done)
        except Failed as error:
            done.reason = error.reason
            done.details.update(error.details)
        except TimeoutError:
            done.reason = f"No answer within {CALL_SECONDS:g} seconds"
        except Unavailable:
            raise
        except Exception as error:
            log.exception("action %s failed: %s", due.id, error)
            done.reason = f"Unexpected error: {error!r}"

    async def _recorded(self, due: Due, done: Done) -> None:
        """The call was made: its outcome must not be lost for a database that is away for a moment."""
        delay = 0.5
        while True:
            try:
                await self._db.write(queueing.end, due.id, due.attempts + 1, due.invocation, done)
                return
            except Unavailable as error:
                log.warning("the outcome of action %s waits for the database: %s", due.id, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 10.0)


def perform(tx: Tx, orchestration: Orchestration, due: Due, action: Any, prepared: Any) -> bool:
    """Do an action on the database and mark it done; False, and nothing done, if somebody else did it."""
    doing = Doing(tx, orchestration, due.invocation, Done(), prepared)
    if not queueing.have(tx, due):
        return False
    try:
        do(doing, action)
    except (Failed, LictorError) as error:
        # The transaction is undone; what the action was about is told all the same.
        error.related = doing.done.related  # type: ignore[union-attr]
        raise
    queueing.end_ours(tx, due, doing.done)
    return True


def related_of(error: Exception) -> list[Any]:
    return list(getattr(error, "related", ()))


def decode(due: Due) -> Any:
    return convert(msgspec.json.decode(due.invocation.action), Action, hook=decode_hook)
