"""`WS /task_runs/subscriptions/scheduled`: workers say which tasks they run and are sent their task runs, one by one.

After the handshake the worker sends `{"type": "subscribe", "keys": […], "client_id": …}`, and for each task run, which
comes as it is, `{"type": "ack"}`; the next comes only then. `{"type": "quit"}` ends the conversation. What breaks these
rules is closed with 4001. Which task run goes to whom is in `delivery`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from msgspec import Struct

from lictor.db import Database
from lictor.feed import Bell
from lictor.kit import ids
from lictor.kit.decoding import decode
from lictor.kit.errors import LictorError, Unavailable
from lictor.task_runs import delivery
from lictor.task_runs.delivery import Connection
from lictor.task_runs.types import TaskRun
from lictor.web import Closed, Router, Socket
from lictor.web.sockets import FAILURE, UNREADABLE

log = logging.getLogger(__name__)

PROTOCOL_VIOLATION = 4001

router = Router("/task_runs", tag="Task Runs")


class Said(Struct):
    """Any frame of a worker's."""

    type: Any = None
    keys: Any = None
    client_id: Any = None


class Violation(Exception):
    """The worker did not say what it should have."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"Protocol violation: expected {expected}")


class Quit(Exception):
    """The worker wants no more."""


class Hall:
    """The workers that are connected to this process; those that wait are looked after by one coroutine.

    That looks when the bell rings, and every `poll_seconds` for what other processes wrote and what has become due.
    """

    def __init__(self, db: Database, bell: Bell, poll_seconds: float = 1.0) -> None:
        self._db = db
        self._bell = bell
        self._poll = poll_seconds
        self._connected: dict[str, Connection] = {}
        self._waiting: dict[str, asyncio.Future[TaskRun]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, connection: Connection) -> None:
        await self._db.write(delivery.seen, [connection])
        self._connected[connection.id] = connection
        if not self._tasks:
            self._tasks = [_forever(self._deliver()), _forever(self._tell_who_is_here())]

    async def leave(self, connection: Connection) -> None:
        """What was sent to the worker and not acknowledged goes to another."""
        self._connected.pop(connection.id, None)
        self._waiting.pop(connection.id, None)
        if not self._connected:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
        # Where the database does not answer, others find out by themselves a little later.
        with suppress(LictorError):
            await self._db.write(delivery.gone, connection)

    async def next(self, connection: Connection) -> TaskRun:
        """The next task run for this worker, which from now on holds it."""
        future: asyncio.Future[TaskRun] = asyncio.get_running_loop().create_future()
        self._waiting[connection.id] = future
        self._bell.ring()
        return await future

    async def acknowledge(self, connection: Connection, run_id: str) -> None:
        """The worker will begin the task run; said until it is written, or another would be sent it, too."""
        delay = 0.1
        while True:
            try:
                return await self._db.write(delivery.acknowledge, connection, run_id)
            except Unavailable as error:
                log.warning("the acknowledgement of task run %s waits for the database: %s", run_id, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def _deliver(self) -> None:
        while True:
            heard = self._bell.rung
            try:
                await self._round()
            except Exception as error:
                bug = error if not isinstance(error, LictorError) else None
                log.warning("workers wait for their task runs: %s", error, exc_info=bug)
            await self._bell.wait(self._poll if self._waiting else delivery.SEEN_EVERY, heard)

    async def _round(self) -> None:
        waiting = [self._connected[id] for id in self._waiting]
        keys = {key for connection in waiting for key in connection.task_keys}
        if not waiting or not await self._db.read(delivery.waiting, sorted(keys)):
            return
        for id, run in (await self._db.write(delivery.claim, waiting)).items():
            future = self._waiting.pop(id, None)
            if future is not None and not future.done():
                future.set_result(run)

    async def _tell_who_is_here(self) -> None:
        while True:
            await asyncio.sleep(delivery.SEEN_EVERY)
            try:
                await self._db.write(delivery.seen, list(self._connected.values()))
            except LictorError as error:
                log.warning("that workers are here cannot be told: %s", error)


def _forever(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(coroutine)


@router.websocket("/subscriptions/scheduled")
async def scheduled_task_subscription(socket: Socket, hall: Hall) -> None:
    try:
        connection = subscribed(_said(await socket.receive()))
        await hall.join(connection)
        try:
            await _serve(socket, hall, connection)
        finally:
            await hall.leave(connection)
    except Closed:
        return
    except Quit:
        await socket.close()
    except Violation as violation:
        await socket.close(PROTOCOL_VIOLATION, str(violation))
    except UNREADABLE:
        await socket.close(FAILURE, "A frame that is not JSON")


def subscribed(said: Said) -> Connection:
    if said.type != "subscribe":
        raise Violation("'subscribe' message")
    if not said.keys or not isinstance(said.keys, list) or not all(isinstance(key, str) for key in said.keys):
        raise Violation("'keys' in subscribe message")
    if not said.client_id or not isinstance(said.client_id, str):
        raise Violation("'client_id' in subscribe message")
    return Connection(ids.new(), said.client_id, tuple(said.keys))


async def _serve(socket: Socket, hall: Hall, connection: Connection) -> None:
    frame = asyncio.ensure_future(socket.receive())
    try:
        while True:
            run = await _next_while_silent(hall, connection, frame)
            await socket.send(run)
            _check(_said(await frame))
            frame = asyncio.ensure_future(socket.receive())
            await hall.acknowledge(connection, run.id)
    finally:
        frame.cancel()
        await asyncio.gather(frame, return_exceptions=True)


async def _next_while_silent(hall: Hall, connection: Connection, frame: asyncio.Future[bytes]) -> TaskRun:
    """The next task run; raises Closed, Quit or Violation when the worker leaves, or speaks, before there is one."""
    run = asyncio.ensure_future(hall.next(connection))
    try:
        both: set[asyncio.Future[Any]] = {run, frame}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            return run.result()
        _check(_said(frame.result()))
        raise Violation("no message before a task run")
    finally:
        run.cancel()


def _said(frame: bytes) -> Said:
    return decode(frame, Said)


def _check(said: Said) -> None:
    if said.type == "quit":
        raise Quit
    if said.type != "ack":
        raise Violation("'ack' message")
