"""`/api/events`: events from outside come in here, and are asked for."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from lictor.db import Database
from lictor.events import counting, ingest, listing, streaming
from lictor.events.counting import Countable, CountQuery, EventCount
from lictor.events.filters import EventFilter
from lictor.events.ingest import EventCreate, EventLimits, Intake
from lictor.events.listing import MOST_ON_A_PAGE, Slice
from lictor.events.remembering import Memory
from lictor.events.streaming import EventStream
from lictor.events.types import ReceivedEvent
from lictor.kit.errors import FieldError, Invalid, Refused
from lictor.settings import Settings
from lictor.web import Embedded, Query, Request, Router, Socket

router = Router("/events", tag="Events")


@router.post("", status=204)
async def create_events(body: list[EventCreate], intake: Intake) -> None:
    if errors := [error for index, event in enumerate(body) if (error := _fault(index, event, intake.limits))]:
        raise Invalid(errors, body)
    fitting = [event for event in body if ingest.fits(event, len(msgspec.json.encode(event)), intake.limits)]
    await intake.take(event.as_event() for event in fitting)


def _fault(index: int, event: EventCreate, limits: EventLimits) -> dict[str, Any] | None:
    """What is wrong with an event beyond its shape, in the words of the reference."""
    try:
        ingest.check(event, limits)
    except FieldError as fault:
        loc = ["body", index, fault.field]
        message = f"Value error, {fault.message}"
        return {
            "type": "value_error",
            "loc": loc,
            "msg": message,
            "input": getattr(event, fault.field),
            "ctx": {"error": {}},
        }
    return None


class EventQuery(Embedded):
    filter: EventFilter | None = None
    limit: Annotated[int, Meta(ge=0, le=MOST_ON_A_PAGE)] = MOST_ON_A_PAGE


class EventPage(Struct):
    events: list[ReceivedEvent]
    total: int
    next_page: str | None


@router.post("/filter")
async def read_events(
    body: EventQuery, db: Database, memory: Memory, settings: Settings, request: Request
) -> EventPage:
    found = await db.read(listing.first_page, body.filter or EventFilter(), body.limit, memory)
    return _page(found, request, settings)


@router.get("/filter/next")
async def read_account_events_page(
    page_token: Annotated[str, Query("page-token")], db: Database, memory: Memory, settings: Settings, request: Request
) -> EventPage:
    at = listing.decode(page_token)
    if at is None:
        raise Refused
    return _page(await db.read(listing.next_page, at, memory), request, settings)


def _page(found: Slice, request: Request, settings: Settings) -> EventPage:
    base = request.base_url + (settings.api.base_path or "/api")
    link = None if found.next_token is None else f"{base}/events/filter/next?page-token={found.next_token}"
    return EventPage(found.events, found.total, link)


@router.post("/count-by/{countable}")
def count_account_events(
    countable: Countable, body: CountQuery, db: Database, memory: Memory
) -> Awaitable[list[EventCount]]:
    return db.read(counting.count, countable, body, memory)


@router.websocket("/in")
async def stream_events_in(socket: Socket, intake: Intake) -> None:
    await ingest.converse(socket, intake)


@router.websocket("/out")
async def stream_workspace_events_out(socket: Socket, stream: EventStream) -> None:
    await streaming.converse(socket, stream)
