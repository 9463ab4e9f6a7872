"""Which questions are worth remembering: those whose answer takes looking at many events, of a resource or of the log.

What tallies answer, or a few entries of an index, is asked for each time. What many entries of an index answer (how
many events a large resource has) is remembered from the second time on: to count it by slots takes some times longer.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from lictor.db import Tx, Where
from lictor.db.statement import composed
from lictor.events import conditions, mentions, narrowing, sifting, tallies
from lictor.events.filters import EventFilter, EventOccurredFilter, Order
from lictor.events.mentions import Mention
from lictor.events.narrowing import Narrowed
from lictor.events.recalling import Question
from lictor.events.remembering import Memory
from lictor.events.tallies import AsOf
from lictor.kit import times

# Events that it takes longer to look at than to put an answer together,
MANY = 10_000
# and entries of an index.
MANY_ENTRIES = 50_000

ANY_TIME = EventOccurredFilter(times.EPOCH, times.EPOCH)


def how_many(tx: Tx, memory: Memory, asked: EventFilter, wanted: EventFilter, as_of: AsOf) -> Question | None:
    """The question how many events there are, if it is one to remember. `wanted` is the filter that was asked, settled
    after that moment."""
    return None if wanted.distinct else _question(tx, memory, b"total", asked, wanted, as_of)


def by_name(tx: Tx, memory: Memory, asked: EventFilter, wanted: EventFilter, as_of: AsOf) -> Question | None:
    """The same by name."""
    found = _question(tx, memory, b"names", asked, wanted, as_of)
    return None if found is None else found._replace(named=True)


def _question(
    tx: Tx, memory: Memory, kind: bytes, asked: EventFilter, wanted: EventFilter, as_of: AsOf
) -> Question | None:
    if not _may_take_long(wanted, as_of):
        return None
    key = _key(kind, asked)
    mention = narrowing.best(tx, wanted)
    if not memory.knows(key) and (_is_quick(wanted, mention) or not _takes_long(tx, wanted, mention)):
        return None
    found, arms = _found(tx, wanted, mention)
    if found.few:
        return None
    fresh = Where()
    conditions.add(fresh, wanted, occurred=False)
    # Of several resources an event may have several mentions; what mentions alone tell is found by their index.
    placed = found.many == "count(*)" and (mention is None or not mention.alone)
    return Question(key, found, arms, fresh, placed, None if wanted == asked else as_of.changed)


def _found(tx: Tx, wanted: EventFilter, mention: Mention | None) -> tuple[Narrowed, Where]:
    """What is in common to the mentions of several resources is found slot by slot: to look for each of one among those
    of another takes longer, and PostgreSQL would do that among all there are."""
    found = narrowing.by_mention(tx, wanted, mention, narrowing.FEW, occurred=False)
    if mention is None or not mention.others or not found.source.startswith(narrowing.MENTIONS):
        return found, Where()
    arms, where, selects = Where(), Where(), []
    for one in (mention, *mention.others):
        rows = f"r.occurred >= {{low}} and r.occurred <= {{high}} and {arms.take(one.rows('r'))}"
        selects.append(f"select r.occurred, r.position, r.name from {narrowing.MENTIONS} where {rows}")
    arms.conditions.append(" intersect ".join(selects))
    mentions.add_names_beside(where, mention.rest)
    if not mention.alone:
        where.add("e.position = r.position")
        mention.add_rest(where)
    return found._replace(source=found.source.replace(narrowing.MENTIONS, "({arms}) r"), where=where), arms


def note(
    tx: Tx, memory: Memory, asked: EventFilter, wanted: EventFilter, as_of: AsOf, events: int, kind: bytes = b"total"
) -> None:
    """Remember how many there are from the next time on, if that was quick, but took looking at many entries."""
    if not _may_take_long(wanted, as_of) or wanted.distinct or memory.knows(key := _key(kind, asked)):
        return
    mention = next(iter(mentions.find(wanted)), None)
    if _is_quick(wanted, mention) and (events >= MANY_ENTRIES or _has_many(tx, wanted, mention)):
        memory.note(key)


def _may_take_long(wanted: EventFilter, as_of: AsOf) -> bool:
    if wanted.id.id or conditions.nothing_but_names(wanted):
        return False
    return as_of.waiting <= tallies.MOST_FRESH and as_of.position >= MANY


def _key(kind: bytes, asked: EventFilter) -> bytes:
    """What a question is known by: not the filter itself, which may name thousands of resources."""
    said = msgspec.json.encode(replace(asked, occurred=ANY_TIME, order=Order.DESC))
    return blake2b(kind + said, digest_size=32).digest()


def _is_quick(wanted: EventFilter, mention: Mention | None) -> bool:
    """Whether the entries of an index tell."""
    return mention.alone if mention is not None else mentions.own_rows(wanted) is not None


def _has_many(tx: Tx, wanted: EventFilter, mention: Mention | None) -> bool:
    """Whether a quick question looks at many entries; where nothing is looked at beside them, the answer tells."""
    if mention is None:
        return wanted.event is not None and _takes_long(tx, wanted, None)
    plain = mention.single and not mention.others and wanted.event is None
    return not plain and _takes_long(tx, wanted, mention)


def _takes_long(tx: Tx, wanted: EventFilter, mention: Mention | None) -> bool:
    since, until = narrowing.period(wanted)
    if mention is not None and (mention.several or mention.alone):
        rows = Where()
        mention._replace(rest=replace(mention.rest, event=None), others=()).add(rows)
        text = f"select count(*) from (select 1 from event_resources r where {rows.text()} limit :limit) first"
        return bool(tx.value(composed(int, text), **rows.params, limit=MANY) >= MANY)
    edge: datetime | None = tx.one(sifting.EDGES[Order.DESC], since=since, until=until, many=MANY - 1)
    return edge is not None and not sifting.decided(tx, wanted).all
