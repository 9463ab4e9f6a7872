"""`/api/events`: events from outside come in here."""

from __future__ import annotations

from typing import Any

import msgspec

from lictor.events import ingest
from lictor.events.ingest import EventCreate, EventLimits, Intake
from lictor.kit.errors import FieldError, Invalid
from lictor.web import Router, Socket

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


@router.websocket("/in")
async def stream_events_in(socket: Socket, intake: Intake) -> None:
    await ingest.converse(socket, intake)
