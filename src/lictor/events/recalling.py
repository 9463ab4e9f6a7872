"""Answers made of what is remembered of the slots of a period, and of what cannot be: its edges, and what is new.

    time asked    ▐ its rows │ quarters │ days │ days │ … │ quarters │ its rows ▌      and what was not folded yet
                    read       cells ………………………………………………………………………    read         read

One statement reads the number of each slot (`tallies`), the edges and what is not folded, so all of that is of one
moment; cells whose numbers are those belong to it. The others are counted then, in stretches as `sifting` has them,
each with the number that its slot has in the same statement. If a slot has changed meanwhile, all is asked once more.

The slot of the present changes with each fold. So a period that reaches beyond it is cut there, and days that are not
over are made of quarters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from lictor.db import Tx, Where
from lictor.db.statement import Statement, composed
from lictor.events import sifting
from lictor.events.narrowing import Narrowed
from lictor.events.remembering import POSITIONS, Cell, Memory, Place
from lictor.events.spans import DAY, QUARTER, SIZES, TICK, Piece, Pieces, Stretches, end, floor
from lictor.kit import clock, times

Period = tuple[datetime, datetime]

# How often slots may change while they are counted.
ROUNDS = 3
# Parts of spans that are read each time.
MOST_EDGES = 4
# Of so many events of a slot their positions are remembered, if a page of them cannot be found by an index.
KEPT = 500
# Events that were not folded yet: as many as there are mostly, and more than there can be (`tallies.MOST_FRESH`).
MOST_NEW = (1_000, 1_000_000)
# Parts of slots that are counted by one statement.
MOST_PARTS = 1_000


class Question(NamedTuple):
    """What is asked of each slot: the events of a filter, but for its period.

    `arms`: what stands for `{arms}` in what they are found in, with `{low}` and `{high}` for the ends of a slot;
    `fresh`: the same as conditions on `events e`; `placed`: where they are is asked, too; `until`: the number of the
    last change that the filter is known to be right for, if it was settled.
    """

    key: bytes
    found: Narrowed
    arms: Where
    fresh: Where
    placed: bool
    until: int | None
    named: bool = False


class Named(NamedTuple):
    """How many events have a name, and when the first and the last of them occurred."""

    events: int
    oldest: datetime
    latest: datetime

    def with_other(self, other: Named) -> Named:
        oldest, latest = min(self.oldest, other.oldest), max(self.latest, other.latest)
        return Named(self.events + other.events, oldest, latest)


Names = dict[str, Named]


class Known(NamedTuple):
    """How many events a slot has, or an edge; if that is asked, where they are, if they are few; or their names."""

    events: int
    positions: tuple[int, ...] | None = None
    names: Names | None = None


class Seen(NamedTuple):
    """What one statement saw."""

    slots: dict[Place, int]
    edges: list[Known]
    fresh: list[tuple[datetime, int, str]]


class Spot(NamedTuple):
    """Events of a part of the period."""

    first: datetime
    last: datetime
    known: Known


class Cut:
    """Spans of time (ascending and apart), cut into slots and edges."""

    def __init__(self, spans: list[Period], now: datetime) -> None:
        present = floor(now, QUARTER)
        parts: list[Period] = []
        self._owners: list[int] = []
        for number, (first, last) in enumerate(spans):
            ends = [(first, present - TICK), (present, last)] if first < present <= last else [(first, last)]
            parts += ends
            self._owners += [number] * len(ends)
        self._spans = len(spans)
        self._pieces = Pieces(parts)
        self._stretches = [Stretches(pieces) for pieces in self._pieces.tallied]
        self.edges: list[Piece] = self._pieces.rows

    @property
    def slots(self) -> int:
        """How many there are, with events or without."""
        return sum(piece.length // SIZES[level] for level in (QUARTER, DAY) for piece in self._pieces.tallied[level])

    def ranges(self) -> list[str]:
        """Of slots, with their level; those that meet are one."""
        found: list[str] = []
        for level in (QUARTER, DAY):
            pieces = self._stretches[level].pieces
            begin = 0
            for number, piece in enumerate(pieces, 1):
                if number == len(pieces) or pieces[number].first != piece.last + TICK:
                    found.append(_text(pieces[begin].first, piece.last, 0, (level, piece.first)))
                    begin = number
        return found

    def place(self, at: datetime) -> Place | None:
        """The slot that is asked for an instant."""
        for level in (DAY, QUARTER):
            if self._stretches[level].span(at) is not None:
                return level, floor(at, level)
        return None

    def owner(self, place: Place) -> int | None:
        level, slot = place
        part = self._stretches[level].span(slot)
        return None if part is None else self._owners[part]

    def owner_of_edge(self, number: int) -> int:
        return self._owners[self.edges[number].span]

    def summed(self, parts: Counter[int]) -> list[int]:
        return [parts[number] for number in range(self._spans)]


class Recalled(NamedTuple):
    """How many events there were where, at one moment."""

    cut: Cut
    slots: dict[Place, Known]
    seen: Seen

    def counts(self) -> list[int]:
        """By spans."""
        parts: Counter[int] = Counter()
        for place, known in self.slots.items():
            if (span := self.cut.owner(place)) is not None:
                parts[span] += known.events
        for number, known in enumerate(self.seen.edges):
            parts[self.cut.owner_of_edge(number)] += known.events
        for at, _, _ in self.seen.fresh:
            new = self.cut.place(at)
            if new is not None and (span := self.cut.owner(new)) is not None:
                parts[span] += 1
        return self.cut.summed(parts)

    def names(self) -> Names:
        """By names."""
        known = [each.names or {} for each in (*self.slots.values(), *self.seen.edges)]
        return _merged([*known, *({name: Named(1, at, at)} for at, _, name in self.seen.fresh)])

    def spots(self) -> list[Spot]:
        """The parts of the period that have events, in the order of time."""
        fresh: dict[Place, tuple[int, ...]] = defaultdict(tuple)
        for at, position, _ in self.seen.fresh:
            if (place := self.cut.place(at)) is not None:
                fresh[place] += (position,)
        spots = [
            Spot(piece.first, piece.last, known) for piece, known in zip(self.cut.edges, self.seen.edges, strict=True)
        ]
        for place in self.slots.keys() | fresh.keys():
            known, new = self.slots.get(place, Known(0, ())), fresh[place]
            positions = None if known.positions is None else known.positions + new
            level, slot = place
            spots.append(Spot(slot, end(slot, level), Known(known.events + len(new), positions)))
        return sorted(spot for spot in spots if spot.known.events)


def recall(tx: Tx, memory: Memory, asked: Question, spans: list[Period]) -> Recalled | None:
    """What there is in each span; None if that is not for the memory."""
    cut = Cut(spans, clock.now())
    if len(cut.edges) > MOST_EDGES or not cut.slots or not memory.fits(asked.key, cut.slots):
        return None
    for _ in range(ROUNDS):
        seen = _see(tx, asked, cut)
        if len(seen.slots) > memory.most // 2:
            memory.refuse(asked.key, cut.slots)
            return None
        cells = memory.cells(asked.key, seen.slots)
        missing = [place for place, changed in seen.slots.items() if not _holds(cells.get(place), changed)]
        if missing:
            counted = _counted(tx, asked, missing)
            if asked.until is not None and any(cell.changed > asked.until for cell in counted.values()):
                return None
            memory.keep(asked.key, counted, cut.slots)
            cells.update(counted)
        if all(_holds(cells.get(place), seen.slots[place]) for place in missing):
            return Recalled(cut, {place: cells[place].told for place in seen.slots}, seen)
    return None


def _holds(cell: Cell | None, changed: int) -> bool:
    return cell is not None and cell.changed == changed


def _text(first: datetime, last: datetime, number: int, place: Place) -> str:
    """An item of the lists that statements are given."""
    return f"{times.text(first)}{times.text(last)}{number:06}{place[0]}{times.text(place[1])}"


_LOW = "cast(substr(each.value, 1, 27) as {ts_type})"
_HIGH = "cast(substr(each.value, 28, 27) as {ts_type})"
_NUMBER = "cast(substr(each.value, 55, 6) as integer)"
_LEVEL = "cast(substr(each.value, 61, 1) as integer)"
_SLOT = "cast(substr(each.value, 62, 27) as {ts_type})"
_WITHIN = f"{{at}}.occurred >= {_LOW} and {{at}}.occurred <= {_HIGH} and {{where}}"
# `+ 0`: PostgreSQL would look for all positions that were folded.
_FOLDED = """
    {at}.position + 0 <= (select p.position from event_tally_progress p where p.id = 1)
    and {at}.position not in (select g.position from event_tally_gap g)"""
_MANY = "cast({many} as text)"
_WHERE_THEY_ARE = f"""
    cast(count(*) as text) || coalesce(
        case when count(*) <= {KEPT} then string_agg(',' || cast({{at}}.position as text), '') end, '')"""

# Each name as one text, behind how long it is: it may have anything in it.
_NAMES = """
    select string_agg(cast(c.many as text) || ',' || cast(c.oldest as text) || ',' || cast(c.latest as text) || ','
        || cast(octet_length(c.event) as text) || ',' || c.event, '')
    from (select {event} as event, {many} as many, min({at}.occurred) as oldest, max({at}.occurred) as latest from"""
_NAME_BESIDE = "coalesce(b.name, (select o.event from events o where o.position = r.position))"

_SLOTS, _EDGE, _FRESH, _WAITING = 0, 1, 2, 3


class _Part(Struct):
    """A slot, an edge, or an event that was not folded yet."""

    kind: int
    number: int
    at: datetime | None
    told: str | None


# How many may be new stands in the text: PostgreSQL takes them for a third of the log, and would gather all events of a
# resource for them.
_SEE = f"""
    with fresh (position) as materialized (
        select * from (
            select e.position from events e
            where e.position > (select p.position from event_tally_progress p where p.id = 1)
            order by e.position limit {{most}}
        ) ahead
        union all
        select g.position from event_tally_gap g
    )
    select {_SLOTS} as kind, s.level as number, s.slot as at, cast(s.changed as text) as told
    from {{each:slots}} cross join event_slot s where s.level = {_LEVEL} and s.slot >= {_LOW} and s.slot <= {_HIGH}
    union all
    select {_EDGE}, {_NUMBER}, cast(null as {{ts_type}}), ({{begin}} {{source}} where {_WITHIN} {{finish}})
    from {{each:edges}}
    union all
    select {_FRESH}, e.position, e.occurred, e.event from fresh f cross join events e
    where e.position = f.position and {{fresh}}
    union all
    select {_WAITING}, count(*), null, null from fresh"""


def _see(tx: Tx, asked: Question, cut: Cut) -> Seen:
    edges = [_text(piece.first, piece.last, number, (0, piece.first)) for number, piece in enumerate(cut.edges)]
    seen = Seen({}, [Known(0)] * len(edges), [])
    for row in _rows(tx, asked, cut.ranges(), edges):
        if row.kind == _SLOTS and row.at is not None:
            seen.slots[row.number, row.at] = int(row.told or 0)
        elif row.kind == _EDGE:
            seen.edges[row.number] = _known(row.told, asked)
        elif row.kind == _FRESH and row.at is not None and cut.place(row.at) is not None:
            seen.fresh.append((row.at, row.number, row.told or ""))
    return seen


def _rows(tx: Tx, asked: Question, slots: list[str], edges: list[str]) -> list[_Part]:
    both = Where()
    text = _filled(_SEE, asked, both).replace("{fresh}", both.take(asked.fresh))
    for most in MOST_NEW:
        statement: Statement[_Part] = composed(_Part, text.replace("{most}", str(most)))
        rows = tx.all(statement, **both.params, slots=slots, edges=edges)
        if all(row.kind != _WAITING or row.number < most for row in rows):
            break
    return rows


def _filled(text: str, asked: Question, params: Where) -> str:
    source, event = asked.found.source, "e.event"
    if asked.named and "events e" not in source:
        source, event = f"{source} left join event_name b on b.id = r.name", _NAME_BESIDE
    if source == "events e":  # SQLite would read all of a name for the order in which they are grouped
        source = sifting.SOURCE
    begin = _NAMES if asked.named else f"select {_WHERE_THEY_ARE if asked.placed else _MANY} from"
    text = text.replace("{begin}", begin).replace("{finish}", "group by 1) c" if asked.named else "")
    text = text.replace("{many}", asked.found.many).replace("{event}", event)
    text = text.replace("{source}", source).replace("{at}", asked.found.at)
    text = text.replace("{where}", params.take(asked.found.where)).replace("{arms}", params.take(asked.arms))
    return text.replace("{low}", _LOW).replace("{high}", _HIGH)


def _known(told: str | None, asked: Question) -> Known:
    if asked.named:
        names = _names(told or "")
        return Known(sum(named.events for named in names.values()), None, names)
    events, *positions = (told or "0").split(",")
    known = int(events)
    return Known(known, tuple(map(int, positions)) if len(positions) == known else None)


def _names(told: str) -> Names:
    found, left = {}, told.encode(errors="surrogatepass")
    while left:
        many, oldest, latest, length, left = left.split(b",", 4)
        name, left = left[: int(length)].decode(errors="surrogatepass"), left[int(length) :]
        found[name] = Named(int(many), times.utc(times.parse(oldest.decode())), times.utc(times.parse(latest.decode())))
    return found


def _merged(all_names: Iterable[Names]) -> Names:
    merged: Names = {}
    for names in all_names:
        for name, named in names.items():
            before = merged.get(name)
            merged[name] = named if before is None else before.with_other(named)
    return merged


class _Counted(Struct):
    """A part of a slot, with the number that the slot had."""

    number: int
    changed: int
    told: str | None


_COUNT = f"""
    select {_NUMBER}, coalesce((select s.changed from event_slot s where s.level = {_LEVEL} and s.slot = {_SLOT}), 0),
        ({{begin}} {{source}} where {_WITHIN} and {_FOLDED} {{finish}})
    from {{each:parts}}"""


def _counted(tx: Tx, asked: Question, missing: list[Place]) -> dict[Place, Cell]:
    """What these slots hold, but for those that changed while it was counted."""
    found: dict[Place, list[Cell]] = defaultdict(list)
    where = Where()
    text = _filled(_COUNT, asked, where)
    for parts in _batches(missing, _sizes(tx, missing)):
        texts = [_text(first, last, number, place) for number, (first, last, place) in enumerate(parts)]
        rows: list[_Counted] = tx.all(composed(_Counted, text), **where.params, parts=texts)
        for row in rows:
            found[parts[row.number][2]].append(Cell(row.changed, _known(row.told, asked)))
    return {place: _whole(cells) for place, cells in found.items() if len({cell.changed for cell in cells}) == 1}


def _whole(cells: list[Cell]) -> Cell:
    """A slot by its parts."""
    events = sum(cell.told.events for cell in cells)
    if cells[0].told.names is not None:
        names = _merged(cell.told.names for cell in cells)
        return Cell(cells[0].changed, Known(events, None, names), 1 + len(names))
    positions: tuple[int, ...] | None = ()
    for cell in cells:
        positions = None if positions is None or cell.told.positions is None else positions + cell.told.positions
    if events > KEPT:
        positions = None
    return Cell(cells[0].changed, Known(events, positions), 1 + len(positions or ()) // POSITIONS)


class _Size(Struct):
    """How many events a quarter of an hour has."""

    slot: datetime
    events: int


_SIZES = f"""
    select e.slot, cast(sum(e.events) as {{int_type}}) from {{each:slots}} cross join event_tally e
    where e.level = {QUARTER} and e.slot >= {_LOW} and e.slot <= {_HIGH} group by e.slot"""


def _sizes(tx: Tx, places: list[Place]) -> dict[datetime, int]:
    texts = [_text(slot, end(slot, level), 0, (level, slot)) for level, slot in places]
    rows: list[_Size] = tx.all(composed(_Size, _SIZES), slots=texts)
    return {row.slot: row.events for row in rows}


_Slice = tuple[datetime, datetime, Place]


def _batches(places: Iterable[Place], sizes: dict[datetime, int]) -> Iterator[list[_Slice]]:
    """Slots in parts, and those in lists of about so many events as a statement should look through."""
    batch: list[_Slice] = []
    events = 0
    for place in places:
        for first, last, many in _parts(place, sizes):
            if batch and (events + many > sifting.STRETCH or len(batch) >= MOST_PARTS):
                yield batch
                batch, events = [], 0
            batch.append((first, last, place))
            events += many
    if batch:
        yield batch


def _parts(place: Place, sizes: dict[datetime, int]) -> Iterator[tuple[datetime, datetime, int]]:
    """A slot in parts of whole quarters, with about how many events those have."""
    level, slot = place
    first, events = slot, 0
    last = end(slot, level)
    at = slot
    while True:
        many = sizes.get(at, 0)
        if at > first and events + many > sifting.STRETCH:
            yield first, at - TICK, events
            first, events = at, 0
        events += many
        if end(at, QUARTER) >= last:
            break
        at += SIZES[QUARTER]
    yield first, last, events
