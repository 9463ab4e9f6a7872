"""A subscriber that waits for events of one prefix among others."""

from __future__ import annotations

import asyncio

from prefect.events import emit_event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter


async def main() -> None:
    wanted = EventFilter(event=EventNameFilter(prefix=["sdk."]))
    resource = {"prefect.resource.id": "sdk.1"}
    async with get_events_subscriber(filter=wanted) as events:
        emit_event("other.thing", resource=resource)
        emit_event("sdk.thing", resource=resource, payload={"x": [1]})
        emit_event("sdk.last", resource=resource)
        async for event in events:
            print(event.event, event.resource.id, event.payload, flush=True)
            if event.event == "sdk.last":
                return


asyncio.run(main())
