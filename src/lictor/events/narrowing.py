"""By what the events of a filter are found: a resource that it names, the positions of a few, or the log in order."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from lictor.db import Tx, Where, sql
from lictor.db.statement import composed
from lictor.events import conditions, mentions
from lictor.events.filters import EventFilter
from lictor.events.mentions import Mention
from lictor.kit import times

# Events of a resource up to which they are looked at one by one; of more, the log is read in order instead.
FEW = 3_000
# To count them there is no order to make use of: up to so many they are looked at one by one.
FEW_TO_COUNT = 50_000

MENTIONS = "event_resources r"


class Density(Struct):
    """How many of a resource's latest events there are, and when the first of them occurred."""

    many: int
    oldest: datetime | None


LATEST = sql(
    "events.latest_of_resource",
    Density,
    """
    select count(*), min(latest.occurred) from (
        select r.occurred from event_resources r
        where r.resource_id = {text:resource_id} and r.occurred >= {ts:since} and r.occurred <= {ts:until}
        order by r.occurred desc limit :limit
    ) latest
    """,
)


class Narrowed(NamedTuple):
    """Where the filter's events are found, and on what conditions; `at` has when they occurred and their positions.

    What `few` is said of is looked at one by one.
    """

    where: Where
    few: bool
    source: str = "events e"
    at: str = "e"
    many: str = "count(*)"


def period(wanted: EventFilter) -> tuple[datetime, datetime]:
    """From when to when, both included."""
    return times.utc(wanted.occurred.since), times.utc(wanted.occurred.until)


def to_sift(tx: Tx, wanted: EventFilter) -> Where | None:
    """The conditions of a filter for which the log is looked through, but for its period."""
    return None if wanted.distinct or conditions.nothing_but_names(wanted) else in_log(tx, wanted)


def in_log(tx: Tx, wanted: EventFilter) -> Where | None:
    """The same, if all events of its period must be read."""
    named = mentions.find(wanted)
    if wanted.id.id or (named and named[0].several):
        return None
    found = _in_log(tx, wanted, FEW, occurred=False)
    return None if found.few else found.where


def best(tx: Tx, wanted: EventFilter) -> Mention | None:
    """By which resources the filter's events are found: of several that all must concern, the one with the fewest."""
    found = mentions.find(wanted)
    singles = [one for one in found if one.single]
    return min(singles, key=lambda one: many(tx, one)) if len(singles) > 1 else next(iter(found), None)


def many(tx: Tx, mention: Mention) -> tuple[int, datetime]:
    """About how many events a resource has: if there are many, the longer ago the latest of them began, the fewer."""
    since, until = period(mention.rest)
    found = tx.one(LATEST, resource_id=mention.ids[0], since=since, until=until, limit=FEW + 1)
    return (found.many, found.oldest or since) if found is not None else (0, since)


def narrowed(tx: Tx, wanted: EventFilter, *, whole: bool = True) -> Narrowed:
    """By a resource that the filter names; where it names several, by the positions of their events if those are few;
    else in the log. `whole`: more than their positions is wanted, so `events e` is among what they are found in.

    Planners cannot know how many events resources have: that is anything from one to all of them, and reading the log
    in order until a page is full is as bad for the one as gathering and sorting is for the other.
    """
    mention = best(tx, wanted)
    if mention is None or not mention.several:
        return _in_log(tx, wanted, FEW)
    return _mentioned(mention, whole=whole) if mention.single else _of_several(mention)


def to_count(tx: Tx, wanted: EventFilter, few: int, *, occurred: bool = True) -> Narrowed:
    """The same for who wants no order. Of others up to `few` events are found by their positions; the conditions on
    when they `occurred` can be left out."""
    return by_mention(tx, wanted, best(tx, wanted), few, occurred=occurred)


def by_mention(tx: Tx, wanted: EventFilter, mention: Mention | None, few: int, *, occurred: bool = True) -> Narrowed:
    if mention is not None and (mention.several or mention.alone):
        return _mentioned(mention, occurred=occurred)
    return _in_log(tx, wanted, few, occurred=occurred)


def beside(tx: Tx, wanted: EventFilter) -> Narrowed | None:
    """The mentions of resources alone, if they tell all that the filter asks."""
    mention = best(tx, wanted)
    return _mentioned(mention) if mention is not None and mention.several and mention.alone else None


def _of_several(mention: Mention) -> Narrowed:
    """Each event once, though it may concern several of the resources."""
    where, rows = Where(), Where()
    mention.add(rows)
    select = f"select distinct r.occurred, r.position from event_resources r where {where.take(rows)}"
    where.add("e.position = r.position")
    mention.add_rest(where)
    return Narrowed(where, True, f"({select}) r cross join events e", "r")


def _mentioned(mention: Mention, *, occurred: bool = True, whole: bool = False) -> Narrowed:
    where = Where()
    mention.add(where, occurred=occurred)
    many = "count(*)" if mention.single else "count(distinct r.position)"
    if mention.alone and not whole:
        return Narrowed(where, False, MENTIONS, "r", many)
    where.add("e.position = r.position")
    mention.add_rest(where)
    # `cross join`: SQLite would rather begin with the events.
    return Narrowed(where, whole, f"{MENTIONS} cross join events e", "r", many)


def _in_log(tx: Tx, wanted: EventFilter, few: int, *, occurred: bool = True) -> Narrowed:
    where = Where()
    positions: set[int] | None = None
    for candidate, exact in mentions.candidates(wanted):
        text = f"select r.position from event_resources r where {candidate.text()} limit :limit"
        found: list[int] = tx.all(composed(int, text), **candidate.params, limit=few + 1)
        if len(found) <= few:
            positions = set(found) if positions is None else positions.intersection(found)
        elif exact:
            # It stands first: an index answers it, and what the filter says of JSON is looked at for the rest.
            where.add_exists(conditions.OF_EVENT, candidate)
    conditions.add(where, wanted, occurred=occurred)
    if positions is not None:
        where.add("e.position {in:positions:bigint}", positions=sorted(positions))
    return Narrowed(where, positions is not None)
