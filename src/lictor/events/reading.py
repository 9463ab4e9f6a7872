"""Reading the event log forward, for followers: automations, websockets.

A follower keeps `feed.Positions`, asks for what comes `after` them, tells them what it `saw`, and waits for the bell of
`store.TOPIC` when there was nothing. One that goes on after a restart stores `Positions.last` and `Positions.gaps`
with what it made of the events, in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Raw, Struct

from lictor.db import Tx, sql
from lictor.events.types import Labels, ReceivedEvent


class Recorded(Struct):
    """An event where it stands in the log."""

    position: int
    id: str
    occurred: datetime
    received: datetime
    event: str
    follows: str | None
    resource: Labels
    related: list[Labels]
    payload: Raw

    def as_received(self) -> ReceivedEvent:
        """As clients are sent it; the payload is JSON that nobody has read."""
        return ReceivedEvent(
            occurred=self.occurred,
            event=self.event,
            resource=self.resource,
            related=self.related,
            payload=self.payload,
            id=self.id,
            follows=self.follows,
            received=self.received,
        )


COLUMNS = "e.position, e.id, e.occurred, e.received, e.event, e.follows, e.resource, e.related, e.payload"

LAST = sql("events.last", int, "select coalesce(max(position), 0) from events")
AHEAD = sql(
    "events.ahead",
    Recorded,
    f"select {COLUMNS} from events e where e.position > {{int:last}} order by e.position limit :limit",
)
BEHIND = sql(
    "events.behind",
    Recorded,
    f"select {COLUMNS} from events e where e.position {{in:gaps:bigint}} order by e.position limit :limit",
)
AT = sql("events.at", Recorded, f"select {COLUMNS} from events e where e.position {{in:positions:bigint}}")
POSITIONS = sql(
    "events.positions",
    int,
    """
    select e.position from events e where e.position > {int:last} or e.position {in:gaps:bigint}
    order by e.position limit :limit
    """,
)


def last(tx: Tx) -> int:
    """The highest position that is committed: who follows from here sees what is written from now on."""
    return int(tx.value(LAST))


def after(tx: Tx, last: int, gaps: list[int], limit: int) -> list[Recorded]:
    """The next events in the log: those that fill gaps that were passed, then those behind `last`; `limit` in all."""
    late = tx.all(BEHIND, gaps=gaps, limit=limit) if gaps else []
    if len(late) >= limit:
        return late
    return late + tx.all(AHEAD, last=last, limit=limit - len(late))


def at(tx: Tx, positions: list[int]) -> list[Recorded]:
    """The events at these positions, in any order."""
    return tx.all(AT, positions=positions)


def positions_after(tx: Tx, last: int, gaps: list[int], limit: int) -> list[int]:
    """Where the next events are, for who needs no more than that."""
    return tx.all(POSITIONS, last=last, gaps=gaps, limit=limit)
