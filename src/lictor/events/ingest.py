"""Events from outside: over `/events/in` and `POST /events`.

Each is stored in the transaction that also records the task run that it may tell of; what is stored already, by id, is
passed over, so that a client may send again whatever it has no receipt for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from lictor.db import Database, Tx
from lictor.events import store
from lictor.events.types import RESOURCE_ID, RESOURCE_ROLE, Event, Labels
from lictor.kit import clock
from lictor.kit.errors import LictorError, Unavailable
from lictor.web.shapes import Checked, Checks, Each, FieldError, Instant
from lictor.web.sockets import UNREADABLE, Closed, Socket

log = logging.getLogger(__name__)

# What one socket may have waiting for its commit: then it is not read until there is room.
MOST_WAITING = 2_000
MOST_BYTES_WAITING = 16_000_000
# What one transaction takes. Another server that is sent the same events waits for it, so it must not take long.
MOST_AT_ONCE = 100
MOST_BYTES_AT_ONCE = 4_000_000

Follow = Callable[[Tx, list[Event]], None]


class EventLimits(Struct, frozen=True):
    """How large an event may be: characters, labels a resource, related resources, bytes."""

    name_length: int = 1024
    labels: int = 500
    related: int = 100
    size: int = 1_500_000


def check_resource(labels: Labels) -> None:
    _require(labels, RESOURCE_ID, "Resources")


def check_related(labels: Labels) -> None:
    _require(labels, RESOURCE_ID, "Resources")
    _require(labels, RESOURCE_ROLE, "Related Resources")


def _require(labels: Labels, label: str, whose: str) -> None:
    if labels.get(label):
        return
    if label in labels:
        raise FieldError(f"The {label} label must be non-empty")
    raise FieldError(f"{whose} must include the {label} label")


def check_payload(payload: Raw) -> None:
    if bytes(memoryview(payload)[:1]) != b"{":
        raise FieldError("Input should be a valid dictionary", type="dict_type")


class EventCreate(Checked, Struct, kw_only=True):
    """An event as a client sends it."""

    checks: ClassVar[Checks] = {
        "resource": check_resource,
        "related": Each(check_related),
        "payload": check_payload,
    }

    occurred: Instant
    event: str
    resource: Labels
    related: list[Labels] = []
    payload: Raw = Raw(b"{}")
    id: UUID
    follows: UUID | None = None

    def __post_init__(self) -> None:
        # Written out, for there are many events.
        check_resource(self.resource)
        for labels in self.related:
            check_related(labels)
        check_payload(self.payload)

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

    async def take(self, events: Iterable[Event], *, follow: bool = True) -> None:
        """Store events; done when that is durable. Not to `follow` them is to tell nobody."""
        await self.db.write(_take, list(events), self.followers if follow else ())


def _take(tx: Tx, events: list[Event], followers: tuple[Follow, ...]) -> None:
    # Servers that are sent the same events at the same time write them in the same order: no deadlock. Those of one
    # instant keep the order in which they came, which triggers that count on an order go by.
    ordered = sorted(events, key=lambda event: event.occurred)
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
    except (*UNREADABLE, FieldError) as error:
        log.warning("an event that cannot be read ends the connection: %s", error)
        await inbox.empty()
        await socket.close(1011, "Invalid event")
    finally:
        await inbox.empty()


class Frame(NamedTuple):
    event: Event | None  # None: it is not stored, but confirmed in its turn
    size: int


class Inbox:
    """Frames of one socket that wait for their commit, and the task that commits them."""

    def __init__(self, socket: Socket, intake: Intake) -> None:
        self._socket = socket
        self._intake = intake
        self._waiting: deque[Frame] = deque()
        self._bytes = 0
        self._outage = False
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Take in a frame; one too large is dropped. Raises DecodeError or FieldError for one that is no event."""
        self._waiting.append(Frame(self._read(frame), len(frame)))
        self._bytes += len(frame)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._commit())

    async def room(self) -> None:
        """Wait until there is room for another frame; while the database is away there is none."""
        while self._outage or len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES_WAITING:
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
        check(event, self._intake.limits)
        return event.as_event() if fits(event, len(frame), self._intake.limits) else None

    async def _commit(self) -> None:
        delay = 0.1
        while self._waiting:
            batch = self._batch()
            try:
                await self._store([frame.event for frame in batch if frame.event is not None])
            except Unavailable as error:
                log.warning("%d events wait for the database: %s", len(self._waiting), error)
                self._outage = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            delay = 0.1
            self._done(batch)

    def _batch(self) -> list[Frame]:
        batch: list[Frame] = []
        size = 0
        for frame in self._waiting:
            size += frame.size
            if batch and (len(batch) >= MOST_AT_ONCE or size > MOST_BYTES_AT_ONCE):
                break
            batch.append(frame)
        return batch

    def _done(self, batch: list[Frame]) -> None:
        for frame in batch:
            self._waiting.popleft()
            self._bytes -= frame.size
        self._outage = False
        self._changed.set()
        self._socket.confirm(len(batch))

    async def _store(self, events: list[Event]) -> None:
        """Store events; one that the database refuses, or a follower fails on, must not keep back the others."""
        try:
            await self._intake.take(events)
        except Unavailable:
            raise
        except Exception as error:
            if len(events) == 1:
                await self._store_alone(events[0], error)
                return
            middle = len(events) // 2
            await self._store(events[:middle])
            await self._store(events[middle:])

    async def _store_alone(self, event: Event, reason: Exception) -> None:
        bug = reason if not isinstance(reason, LictorError) else None
        log.warning("event %s (%s) cannot be followed: %s", event.id, event.event, reason, exc_info=bug)
        try:
            await self._intake.take([event], follow=False)
        except Unavailable:
            raise
        except Exception as error:
            log.warning("event %s (%s) is dropped, it cannot be stored: %s", event.id, event.event, error)


def fits(event: EventCreate, size: int, limits: EventLimits) -> bool:
    """Whether the event is small enough to be stored; one that is not is dropped, as by the reference."""
    if size > limits.size:
        log.warning("event %s (%s) is dropped: its %d bytes are too many", event.id, event.event, size)
    return size <= limits.size


def check(event: EventCreate, limits: EventLimits) -> None:
    """Raises FieldError for an event beyond the limits."""
    if len(event.event) > limits.name_length:
        raise FieldError(f"Event name must be at most {limits.name_length} characters", field="event")
    if len(event.related) > limits.related:
        raise FieldError(f"The maximum number of related resources is {limits.related}", field="related")
    for field, labels in (("resource", event.resource), *(("related", labels) for labels in event.related)):
        if len(labels) > limits.labels:
            raise FieldError(f"The maximum number of labels per resource is {limits.labels}", field=field)
