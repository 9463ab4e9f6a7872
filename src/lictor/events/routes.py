"""`/api/events`: events from outside come in here."""

from __future__ import annotations

import msgspec

from lictor.events import ingest
from lictor.events.ingest import EventCreate, Intake
from lictor.web import Router, Socket

router = Router("/events", tag="Events")


@router.post("", status=204)
async def create_events(body: list[EventCreate], intake: Intake) -> None:
    for event in body:
        ingest.check(event, intake.limits)
    fitting = [event for event in body if ingest.fits(event, len(msgspec.json.encode(event)), intake.limits)]
    await intake.take(event.as_event() for event in fitting)


@router.websocket("/in")
async def stream_events_in(socket: Socket, intake: Intake) -> None:
    await ingest.converse(socket, intake)
