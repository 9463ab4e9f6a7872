"""Events from outside: over `/events/in` and `POST /events`.

Each is stored in the transaction that also records the task run that it may tell of; what is stored already, by id, is
passed over, so that a client may send again whatever it has no receipt for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from lictor.db import Database, Tx
from lictor.events import store
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Event, Labels
from lictor.kit import clock
from lictor.kit.errors import LictorError, Unavailable
from lictor.web.shapes import Instant
from lictor.web.sockets import Closed, Socket

log = logging.getLogger(__name__)

# What one socket may have waiting for its commit: then it is not read until there is room.
MOST_WAITING = 2_000
MOST_AT_ONCE = 500

Follow = Callable[[Tx, list[Event]], None]


class EventLimits(Struct, frozen=True):
    """How large an event may be: characters, labels a resource, related resources, bytes."""

    name_length: int = 1024
    labels: int = 500
    related: int = 100
    size: int = 1_500_000


class EventCreate(Struct):
    """An event as a client sends it."""

    occurred: Instant
    event: str
    resource: Labels
    id: UUID
    related: list[Labels] = []
    payload: Raw = Raw(b"{}")
    follows: UUID | None = None

    def __post_init__(self) -> None:
        if not self.resource.get(RESOURCE_ID):
            raise ValueError("Resources must include the prefect.resource.id label")
        for labels in self.related:
            if not labels.get(RESOURCE_ID):
                raise ValueError("Resources must include the prefect.resource.id label")
            if not labels.get(RESOURCE_ROLE):
                raise ValueError("Related Resources must include the prefect.resource.role label")

    def as_event(self) -> Event:
        return Event(
            occurred=self.occurred,
            event=self.event,
            resource=self.resource,
            related=self.related,
            payload=self.payload,
            id=str(self.id),
            follows=None if self.follows is None else str(self.follows),
        )


class Intake(Struct, frozen=True):
    """How events come in: where they are stored, and who is told of new ones in the same transaction."""

    db: Database
    followers: tuple[Follow, ...] = ()
    limits: EventLimits = EventLimits()

    async def take(self, events: Iterable[Event]) -> None:
        """Store events; done when that is durable."""
        await self.db.write(_take, list(events), self.followers)


def _take(tx: Tx, events: list[Event], followers: tuple[Follow, ...]) -> None:
    # Servers that are sent the same events at the same time write them in the same order: no deadlock.
    ordered = sorted(events, key=lambda event: (event.occurred, event.id))
    fresh = store.insert(tx, ordered, clock.now())
    if fresh:
        for follow in followers:
            follow(tx, fresh)


_decode = msgspec.json.Decoder(EventCreate).decode
_decode_lax = msgspec.json.Decoder(EventCreate, strict=False).decode


async def converse(socket: Socket, intake: Intake) -> None:
    """Serve `/events/in`: read while a batch is being committed, so that batches grow with the load."""
    inbox = Inbox(socket, intake)
    socket.hold_receipts()
    try:
        while True:
            await inbox.room()
            inbox.put(await socket.receive())
    except Closed:
        pass
    except msgspec.DecodeError as error:
        log.warning("an event that cannot be read ends the connection: %s", error)
        await inbox.empty()
        await socket.close(1011, "Invalid event")
    finally:
        await inbox.empty()


class Inbox:
    """Frames of one socket that wait for their commit, and the task that commits them."""

    def __init__(self, socket: Socket, intake: Intake) -> None:
        self._socket = socket
        self._intake = intake
        self._waiting: list[Event | None] = []
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Take in a frame. Raises DecodeError for one that is no event; one that is too large is dropped."""
        self._waiting.append(self._read(frame))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._commit())

    async def room(self) -> None:
        """Wait until there is room for another frame."""
        while len(self._waiting) >= MOST_WAITING:
            self._changed.clear()
            await self._changed.wait()

    async def empty(self) -> None:
        """Wait until everything that was taken in is committed."""
        if self._task is not None:
            await self._task

    def _read(self, frame: bytes) -> Event | None:
        try:
            event = _decode(frame)
        except msgspec.ValidationError:
            event = _decode_lax(frame)
        if len(frame) > self._intake.limits.size:
            log.warning("event %s (%s) is dropped: its %d bytes are too many", event.id, event.event, len(frame))
            return None
        check(event, self._intake.limits)
        return event.as_event()

    async def _commit(self) -> None:
        delay = 0.1
        while self._waiting:
            batch = self._waiting[:MOST_AT_ONCE]
            try:
                await self._take([event for event in batch if event is not None])
            except Unavailable as error:
                log.warning("%d events wait for the database: %s", len(self._waiting), error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            del self._waiting[: len(batch)]
            self._changed.set()
            self._socket.confirm(len(batch))

    async def _take(self, events: list[Event]) -> None:
        try:
            await self._intake.take(events)
        except Unavailable:
            raise
        except LictorError as error:
            if len(events) == 1:
                log.warning("event %s (%s) cannot be stored: %s", events[0].id, events[0].event, error)
                return
            for event in events:
                await self._take([event])


def check(event: EventCreate, limits: EventLimits) -> None:
    """Raises ValidationError for an event beyond the limits."""
    if len(event.event) > limits.name_length:
        raise msgspec.ValidationError(f"Event name must be at most {limits.name_length} characters")
    if len(event.related) > limits.related:
        raise msgspec.ValidationError(f"The maximum number of related resources is {limits.related}")
    for labels in (event.resource, *event.related):
        if len(labels) > limits.labels:
            raise msgspec.ValidationError(f"The maximum number of labels per resource is {limits.labels}")
