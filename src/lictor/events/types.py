"""Events: what happened (`event`), when, to what (`resource`), and what else it concerns (`related`).

A resource is a dict of labels: `prefect.resource.id` always, `prefect.resource.role` on each of the related ones.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Raw, Struct, field

from lictor.kit import ids

Labels = dict[str, str]

RESOURCE_ID = "prefect.resource.id"
RESOURCE_NAME = "prefect.resource.name"
RESOURCE_ROLE = "prefect.resource.role"

# As what an event concerns a resource: it is about it, or it is related to it, or both.
ABOUT, RELATED, BOTH = 0, 1, 2


class Related(NamedTuple):
    """Related resources that many events share, written down once: their labels as JSON, and their ids."""

    json: str
    ids: tuple[str, ...]


class Event(Struct, kw_only=True):
    """An event as clients send it and as the server makes its own; `id` is the sender's.

    The payload of a client's is JSON that is copied, not read.
    """

    occurred: Annotated[datetime, Meta(tz=True)]
    event: str
    resource: Labels
    related: list[Labels] = field(default_factory=list)
    payload: dict[str, Any] | Raw = field(default_factory=dict)
    id: str = field(default_factory=ids.new)
    follows: str | None = None


class ReceivedEvent(Event, kw_only=True):
    """An event as clients are sent it."""

    received: datetime
