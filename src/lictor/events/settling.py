"""What a filter comes down to in this log: how ids begin becomes the ids that begin so, if they are few, and what is
said of names is left out where all names in the period are meant, as that of dashboards often is.

Then it is a question about resources alone, which their index answers; names would have each event looked at.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from lictor.db import Tx, Where, sql
from lictor.events import conditions, matching, tallies
from lictor.events.filters import EventAnyResourceFilter, EventFilter, EventResourceFilter
from lictor.kit import times

# Ids that one beginning may stand for.
MOST_IDS = 50

# From each id to the next.
BEGINNING = sql(
    "events.ids_beginning",
    str,
    """
    with recursive known (id) as (
        select min(r.resource_id) from event_resources r where r.resource_id >= {text:beginning}
        union all
        select (select min(r.resource_id) from event_resources r where r.resource_id > known.id)
        from known where {starts:known.id:beginning}
    )
    select known.id from known where {starts:known.id:beginning} limit :limit
    """,
)

P = TypeVar("P", EventResourceFilter, EventAnyResourceFilter)


def settled(tx: Tx, wanted: EventFilter) -> EventFilter:
    """A filter of the same meaning."""
    if wanted.resource is not None:
        wanted = replace(wanted, resource=_by_ids(tx, wanted.resource))
    if any(part.id_prefix for part in wanted.every_any_resource):
        wanted = replace(wanted, any_resource=[_by_ids(tx, part) for part in wanted.every_any_resource])
    return replace(wanted, event=None) if _all_named(tx, wanted) else wanted


def _by_ids(tx: Tx, part: P) -> P:
    """The same by the ids that there are."""
    if not part.id_prefix or part.id:
        return part
    found: set[str] = set()
    for beginning in part.id_prefix:
        found.update(tx.all(BEGINNING, beginning=beginning, limit=MOST_IDS + 1))
        if len(found) > MOST_IDS:
            return part
    # If there is no such id, an id that there is not will do.
    return replace(part, id=sorted(found) or part.id_prefix[:1], id_prefix=None)


def _all_named(tx: Tx, wanted: EventFilter) -> bool:
    """Whether the names in the period are all meant, though not all that there could be."""
    if wanted.event is None or conditions.names_alone(wanted) is not None:
        return False
    period = times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)
    tallied = tallies.by_name(tx, period, Where())
    if tallied is None:
        return False
    meant = matching.names(wanted.event)
    return all(meant(row.event) for row in tallied)
