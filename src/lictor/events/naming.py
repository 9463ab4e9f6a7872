"""Names of events, numbered: a number fits beside each mention of a resource (`event_resources.name`), so what is asked
of the names of a large resource's events is answered by the mentions alone.

Numbers are given by the service that tallies events (`number`), to names that are often used: users may make up a name
for each event. Whoever writes an event asks `of`, which costs nothing: each database thread remembers the numbers there
are, and looks for others when it meets a name that has none, once a minute at most.

An answer is exact, whoever has numbers. A mention whose number is not in `event_name` has its event looked at itself:
that is so with `UNKNOWN`, which events get whose name has none. And what a thread remembers may outlive its database,
if that was reset or went back to an earlier state: so a number is made of its name, and will hardly be another's later.
"""

from __future__ import annotations

import threading
from hashlib import blake2b
from time import monotonic

from msgspec import Struct

from lictor.db import Tx, sql

# Events of one day from which on their name gets a number, and how many names get one.
OFTEN = 10
MOST = 10_000

# Beside the mention of an event whose name had no number then.
UNKNOWN = 0
# Seconds after which a thread may look for new numbers.
REFRESH = 60.0

# Up to so many were given by the migration; three bytes hold the others.
_FIRST = 10_001
_LAST = 2**23 - 1


class Numbered(Struct):
    id: int
    name: str


ALL = sql("event_names.all", Numbered, "select n.id, n.name from event_name n")
FREQUENT = sql(
    "event_names.frequent",
    str,
    """
    select distinct e.event from events e
    where e.position {in:positions:bigint} and e.event <> ''
        and not exists (select 1 from event_name n where n.name = e.event)
        and exists (
            select 1 from event_tally t
            where t.level = 1 and t.slot = {day:e.occurred} and t.event = e.event and t.events >= {int:often}
        )
    order by e.event limit {int:most} - (select count(*) from event_name)
    """,
)
# Two names of one number: the later has none.
NUMBER = sql("event_names.number", None, "insert into event_name (id, name) values (:id, :name) on conflict do nothing")
_IS_WRONG = """
    exists (select 1 from events e cross join event_name n where e.position = r.position and n.id = r.name
        and n.name <> e.event)"""
WRONG = sql("event_names.wrong", int, f"select count(*) from event_resources r where {_IS_WRONG}")
MEND = sql("event_names.mend", None, f"update event_resources as r set name = {UNKNOWN} where {_IS_WRONG}")


class _Known(threading.local):
    """The numbers that this thread knows. A database thread serves one database, so they are that one's."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.until = 0.0


_known = _Known()


def of(tx: Tx, name: str) -> int:
    """What to write beside the mentions of an event with this name."""
    id = _known.ids.get(name)
    if id is None:
        if monotonic() < _known.until:
            return UNKNOWN
        _known.ids = {each.name: each.id for each in tx.all(ALL)}
        _known.until = monotonic() + REFRESH
        id = _known.ids.get(name, UNKNOWN)
    return id


def number(tx: Tx, positions: list[int]) -> None:
    """Number the names of these events, which were tallied, if they have become frequent."""
    names = tx.all(FREQUENT, positions=positions, often=OFTEN, most=MOST)
    tx.many(NUMBER, [{"id": made(name), "name": name} for name in names])


def made(name: str) -> int:
    """The number that is made of a name."""
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return _FIRST + int.from_bytes(digest, "big") % (_LAST - _FIRST)


def check(tx: Tx) -> int:
    """How many mentions stand beside another name than that of their event. There should never be one."""
    return tx.one(WRONG) or 0


def mend(tx: Tx) -> None:
    """Have those events looked at themselves."""
    tx.run(MEND)
