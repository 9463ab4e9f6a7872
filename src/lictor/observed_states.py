"""Observed states, at /api/observed-states: the types and names that states of runs have had, and since and until when.

The reference finds them by reading an index over every state there is. Here whoever inserts a state notes its type and
name, in the same transaction. That must cost nothing: a run's life is four states, always the same four. So each
database thread remembers what it has noted, and writes only for a pair that is new to it, for a state older than the
pair's first, or when the pair's last is more than `REFRESH` behind. Hence `last_seen` may be behind by up to `REFRESH`;
`first_seen` and the pairs are exact. Several threads or processes may note one pair: the statement keeps the bounds.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from lictor.db import Database, Tx, Where, sql
from lictor.web import Query, Router

REFRESH = timedelta(seconds=60)

# Names are the users' own and may be made up for every run.
MOST_REMEMBERED = 10_000

Bounds = tuple[datetime, datetime]


class ObservedState(Struct):
    state_type: str
    state_name: str
    first_seen: datetime
    last_seen: datetime


class ObservedStateSort(StrEnum):
    NAME_ASC = "NAME_ASC"
    LAST_SEEN_DESC = "LAST_SEEN_DESC"


ORDER = {
    ObservedStateSort.NAME_ASC: "type, name",
    ObservedStateSort.LAST_SEEN_DESC: "last_seen desc, type, name",
}

# The select comes first because on PostgreSQL a conflict locks the row even when nothing is to be updated, and every
# transaction of a busy server would wait there for the one before.
NOTE = sql(
    "observed_states.note",
    None,
    """
    insert into observed_state (type, name, first_seen, last_seen)
    select {text:type}, {text:name}, {ts:at}, {ts:at}
    where not exists (
        select 1 from observed_state
        where type = :type and name = :name and first_seen <= :at and last_seen > :fresh
    )
    on conflict (type, name) do update set
        first_seen = case when excluded.first_seen < observed_state.first_seen
            then excluded.first_seen else observed_state.first_seen end,
        last_seen = case when excluded.last_seen > observed_state.last_seen
            then excluded.last_seen else observed_state.last_seen end
    """,
)


class _Noted(threading.local):
    """What this thread has noted. A database thread serves one database, so this is about that one."""

    def __init__(self) -> None:
        self.bounds: dict[tuple[str, str], Bounds] = {}


_noted = _Noted()


def note(tx: Tx, type: str, name: str, at: datetime) -> None:
    """Say that a state of this type and name was entered at `at`; to be called by whoever inserts a state."""
    known = _noted.bounds.get((type, name))
    if known is not None and known[0] <= at < known[1] + REFRESH:
        return
    tx.put(NOTE, type=type, name=name, at=at, fresh=at - REFRESH)
    first, last = known or (at, at)
    # Hooks run on the thread of the body, and only if it was committed.
    tx.after_commit(_remember, (type, name), (min(first, at), max(last, at)))


def _remember(pair: tuple[str, str], bounds: Bounds) -> None:
    if len(_noted.bounds) >= MOST_REMEMBERED:
        _noted.bounds.clear()
    _noted.bounds[pair] = bounds


def page(tx: Tx, prefix: str, order: ObservedStateSort, limit: int) -> list[ObservedState]:
    """Those whose type or name begins with `prefix`, in whatever case; all for an empty one."""
    where = Where()
    if prefix:
        where.add(
            "(lower(substr(type, 1, length({text:prefix}))) = lower({text:prefix})"
            " or lower(substr(name, 1, length({text:prefix}))) = lower({text:prefix}))",
            prefix=prefix,
        )
    select = "select type, name, first_seen, last_seen from observed_state"
    return tx.page(ObservedState, select, where, order=ORDER[order], limit=limit)


router = Router("/observed-states", tag="Observed States")


@router.get("")
def read_observed_states(
    db: Database,
    query: Annotated[Annotated[str, Meta(max_length=100)] | None, Query()] = None,
    order_by: Annotated[ObservedStateSort, Query()] = ObservedStateSort.LAST_SEEN_DESC,
    limit: Annotated[int, Meta(ge=1, le=200), Query()] = 200,
) -> Awaitable[list[ObservedState]]:
    return db.read(page, (query or "").strip(), order_by, limit)
