"""Events sent out as they happen, over `/events/out`.

One `Hub` a process reads the log forward, while there is anybody to read for, and tells each `Subscription` what its
filter lets through. A subscriber that wants what happened before is joined to the hub first and sent the past then;
what comes from both sides is sent once. Nobody waits for a subscriber that reads slowly: of what it has not taken yet
only the positions are kept, and the events are read from the log again when it comes to them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
from msgspec import Raw, Struct

from lictor.db import Database, Tx, sql
from lictor.events import narrowing, reading
from lictor.events.filters import EventFilter, Order
from lictor.events.matching import Line, matcher
from lictor.feed import Bell, Positions
from lictor.kit import clock, times
from lictor.kit.decoding import decode
from lictor.kit.errors import LictorError
from lictor.web import Closed, Socket
from lictor.web.sockets import FAILURE, PROTOCOL_ERROR, UNREADABLE
from lictor.web.validation import read_json

log = logging.getLogger(__name__)

# Rows of the log read at a time, and the rest between reads while there is much to read, so that a subscriber costs
# the same whether events are committed one by one or together.
MOST_AT_ONCE = 500
# So many are read without a look at how large they are.
FEW_AT_ONCE = 10
REST_SECONDS = 0.02
# What may wait for one subscriber as it will be sent; of what is more, the positions; beyond that it is sent away.
FRAMES_WAITING = 256
BYTES_WAITING = 4_000_000
# Whatever is read, so many are at a time, by what they hold: one at least.
BYTES_AT_ONCE = 4_000_000
MOST_WAITING = 50_000
TRY_AGAIN = 1013

_SELECT = """
    select e.position, e.id, e.occurred, e.received, e.event, e.follows, e.resource_id, e.resource, e.related, e.payload
    from events e
"""
_SIZE = " + ".join(f"octet_length(cast(e.{column} as text))" for column in ("resource", "related", "payload"))
AHEAD = sql(
    "events.lines_ahead",
    Line,
    f"{_SELECT} where e.position > {{int:last}} order by e.position limit :limit",
)
# The same by what they hold, which costs as much again.
MORE = sql(
    "events.more_lines",
    Line,
    f"""
    {_SELECT} where e.position in (
        select s.position from (
            select w.position, sum(w.size) over (order by w.position) - w.size as before from (
                select e.position, {_SIZE} as size from events e
                where e.position > {{int:last}} order by e.position limit :limit
            ) w
        ) s where s.before < {{int:most}}
    ) order by e.position
    """,
)
AT = sql(
    "events.lines_at",
    Line,
    f"{_SELECT} where e.position {{in:positions:bigint}} order by e.position",
)


class _Sent(Struct):
    """A received event with its JSON as it is stored, in the order of the reference's keys."""

    occurred: object
    event: str
    resource: Raw
    related: Raw
    payload: Raw
    id: str
    follows: str | None
    received: object


class _Frame(Struct, tag_field="type", tag="event"):
    event: _Sent


def frame(line: Line) -> bytes:
    sent = _Sent(
        line.occurred, line.event, line.resource, line.related, line.payload, line.id, line.follows, line.received
    )
    return msgspec.json.encode(_Frame(sent))


class Subscription:
    """What waits for one subscriber: positions, the first of them with their frames."""

    def __init__(self, wanted: EventFilter) -> None:
        self.matches = matcher(wanted)
        self._waiting: deque[tuple[int, bytes | None]] = deque()
        self._frames = 0
        self._bytes = 0
        self._changed = asyncio.Event()
        self._passed: set[int] = set()
        self.left_behind = False

    def offer(self, position: int, sent: bytes) -> None:
        if self.left_behind:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.leave_behind()
            return
        fits = self._frames < FRAMES_WAITING and self._bytes < BYTES_WAITING
        self._waiting.append((position, sent if fits else None))
        if fits:
            self._frames += 1
            self._bytes += len(sent)
        self._changed.set()

    def leave_behind(self) -> None:
        """Give it up: it is sent away, and may come back and ask for the past."""
        self.left_behind = True
        self._waiting.clear()
        self._changed.set()

    def pass_over(self, positions: Iterable[int]) -> None:
        """Not to be offered: the subscriber has been sent these already."""
        self._passed.update(positions)

    async def take(self) -> list[tuple[int, bytes | None]]:
        """The next of what waits, once there is something; empty for one that was left behind."""
        while True:
            taken: list[tuple[int, bytes | None]] = []
            while self._waiting and len(taken) < FRAMES_WAITING:
                position, sent = self._waiting.popleft()
                if sent is not None:
                    self._frames -= 1
                    self._bytes -= len(sent)
                if position in self._passed:
                    self._passed.discard(position)
                else:
                    taken.append((position, sent))
            if taken or self.left_behind:
                return taken
            self._changed.clear()
            await self._changed.wait()


class Hub:
    """Reads the log for all subscribers of a process; without any it rests."""

    def __init__(self, db: Database, bell: Bell, *, poll_seconds: float = 1.0) -> None:
        self._db = db
        self._bell = bell
        self._poll_seconds = poll_seconds
        self._subscriptions: set[Subscription] = set()
        self._seen: Positions | None = None
        self._task: asyncio.Task[None] | None = None
        self._joining = asyncio.Lock()

    async def join(self, subscription: Subscription) -> Positions:
        """From now on it is offered what is committed; what the hub had not seen yet at that moment is told."""
        async with self._joining:
            if self._seen is None:
                self._seen = Positions(await self._db.read(reading.last))
            self._subscriptions.add(subscription)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._run())
            return Positions(self._seen.last, self._seen.gaps)

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        if not self._subscriptions and self._task is not None:
            self._task.cancel()
            self._task = None
            self._seen = None

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception:
            log.exception("events can no longer be read for subscribers: they are sent away")
            for subscription in self._subscriptions:
                subscription.leave_behind()
            self._seen = None

    async def _follow(self) -> None:
        seen = self._seen
        assert seen is not None
        while True:
            heard = self._bell.rung
            lines = await self._read(seen)
            for line in lines:
                self._offer(line)
            seen.saw((line.position for line in lines), time.monotonic())
            if lines:
                await asyncio.sleep(REST_SECONDS)
            if len(lines) < MOST_AT_ONCE and sum(map(_held, lines)) < BYTES_AT_ONCE:
                await self._bell.wait(self._poll_seconds, heard)

    async def _read(self, seen: Positions) -> list[Line]:
        try:
            return await self._db.read(after, seen.last, seen.gaps)
        except LictorError as error:
            log.warning("subscribers of events wait for the database: %s", error)
            await asyncio.sleep(self._poll_seconds)
            return []

    def _offer(self, line: Line) -> None:
        sent: bytes | None = None
        for subscription in self._subscriptions:
            if subscription.matches(line):
                sent = sent or frame(line)
                subscription.offer(line.position, sent)


def after(tx: Tx, last: int, gaps: list[int]) -> list[Line]:
    late = tx.all(AT, positions=gaps) if gaps else []
    first = tx.all(AHEAD, last=last, limit=FEW_AT_ONCE)
    if len(first) < FEW_AT_ONCE:
        return late + first
    more = MOST_AT_ONCE - FEW_AT_ONCE
    return late + first + tx.all(MORE, last=first[-1].position, limit=more, most=BYTES_AT_ONCE)


def _held(line: Line) -> int:
    return sum(memoryview(part).nbytes for part in (line.resource, line.related, line.payload))


class EventStream(Struct, frozen=True):
    """How events go out; not `live`, only those of the past do, and of the past no more than `backfill`."""

    db: Database
    hub: Hub
    live: bool = True
    backfill: timedelta = timedelta(minutes=15)
    page_size: int = 250


class Subscribe(Struct):
    """The first frame: from then on events are sent that the filter lets through, before them those of the past."""

    type: str
    filter: Raw = Raw(b"")
    backfill: bool | None = True


async def converse(socket: Socket, stream: EventStream) -> None:
    """Serve `/events/out`."""
    wanted = await _wanted(socket, stream)
    if wanted is None:
        return
    sending = asyncio.get_running_loop().create_task(_send(socket, stream, *wanted))
    try:
        while True:
            await socket.receive()
    finally:
        sending.cancel()


async def _wanted(socket: Socket, stream: EventStream) -> tuple[EventFilter, bool] | None:
    try:
        first = decode(await socket.receive(), Subscribe, strict=False)
        if first.type != "filter":
            await socket.close(PROTOCOL_ERROR, "Expected 'filter' message")
            return None
        if not bytes(first.filter):
            await socket.close(PROTOCOL_ERROR, "Invalid filter: 'filter'")
            return None
        wanted: EventFilter = read_json(EventFilter, bytes(first.filter))
    except (*UNREADABLE, LictorError) as error:
        await socket.close(PROTOCOL_ERROR, f"Invalid filter: {error}")
        return None
    wanted.occurred.since = max(times.utc(wanted.occurred.since), clock.now() - stream.backfill)
    wanted.order = Order.ASC
    return wanted, bool(first.backfill)


async def _send(socket: Socket, stream: EventStream, wanted: EventFilter, backfill: bool) -> None:
    with suppress(Closed):
        try:
            await _send_all(socket, stream, wanted, backfill)
        except LictorError as error:
            log.warning("a subscriber of events is sent away: %s", error)
            await socket.close(FAILURE, "The events cannot be read")


async def _send_all(socket: Socket, stream: EventStream, wanted: EventFilter, backfill: bool) -> None:
    subscription = Subscription(wanted)
    try:
        if stream.live:
            unseen = await stream.hub.join(subscription)
        if backfill:
            async for page in _past(stream, wanted):
                if stream.live:
                    gaps = set(unseen.gaps)
                    subscription.pass_over(at for at, _ in page if at > unseen.last or at in gaps)
                await _send_frames(socket, [sent for _, sent in page])
        if stream.live:
            await _send_live(socket, stream, subscription)
    finally:
        stream.hub.leave(subscription)


async def _past(stream: EventStream, wanted: EventFilter) -> AsyncIterator[list[tuple[int, bytes]]]:
    """What the filter lets through of the log, some at a time, in the order in which it occurred."""
    found = await stream.db.read(_page, wanted, stream.page_size, None)
    while found:
        for some in _portions(found):
            lines = {line.position: frame(line) for line in await stream.db.read(_at, some)}
            # One that is gone meanwhile was too old to be kept.
            yield [(position, lines[position]) for position in some if position in lines]
        if len(found) < stream.page_size:
            return
        found = await stream.db.read(_page, wanted, stream.page_size, found[-1])


class _Place(Struct):
    """Where an event stands in the log, and how much it holds."""

    position: int
    occurred: datetime
    size: int


PLACES = sql(
    "events.places",
    _Place,
    f"select e.position, e.occurred, {_SIZE} from events e where e.position {{in:positions:bigint}}",
)


def _page(tx: Tx, wanted: EventFilter, size: int, behind: _Place | None) -> list[_Place]:
    found = narrowing.narrowed(tx, wanted)
    at = found.at
    if behind is not None:
        row = f"({at}.occurred, {at}.position) > ({{ts:occurred}}, {{int:position}})"
        found.where.add(row, occurred=behind.occurred, position=behind.position)
    select = f"select {at}.position, {at}.occurred, {_SIZE} from {found.source}"
    return tx.page(_Place, select, found.where, order=f"{at}.occurred, {at}.position", limit=size)


def _portions(places: list[_Place]) -> Iterable[list[int]]:
    """Positions of events that are read together."""
    some: list[int] = []
    held = 0
    for place in places:
        if some and held + place.size > BYTES_AT_ONCE:
            yield some
            some, held = [], 0
        some.append(place.position)
        held += place.size
    if some:
        yield some


async def _send_live(socket: Socket, stream: EventStream, subscription: Subscription) -> None:
    while taken := await subscription.take():
        for kept, some in groupby(taken, key=lambda one: one[1] is not None):
            if kept:
                await _send_frames(socket, [sent for _, sent in some])
            else:
                await _send_again(socket, stream, [position for position, _ in some])
    await socket.close(TRY_AGAIN, "Too far behind")


async def _send_again(socket: Socket, stream: EventStream, positions: list[int]) -> None:
    """What is read again for somebody who was slow."""
    places = {place.position: place for place in await stream.db.read(_places, positions)}
    # One that is gone was too old to be kept.
    for some in _portions([places[position] for position in positions if position in places]):
        lines = {line.position: frame(line) for line in await stream.db.read(_at, some)}
        await _send_frames(socket, [lines.get(position) for position in some])


def _places(tx: Tx, positions: list[int]) -> list[_Place]:
    return tx.all(PLACES, positions=positions)


def _at(tx: Tx, positions: list[int]) -> list[Line]:
    return tx.all(AT, positions=positions)


async def _send_frames(socket: Socket, frames: list[bytes] | list[bytes | None]) -> None:
    for sent in frames:
        # One that is gone was too old to be kept.
        if sent is not None:
            await socket.send(Raw(sent))
