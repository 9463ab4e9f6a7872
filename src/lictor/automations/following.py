"""Following the event log: what it brings is evaluated in the transaction that moves the position on.

A round looks first, on a reader: the next events, the automations if their revision has moved, and which events concern
which triggers. Only if any do (or the stored position lags behind) a transaction writes: it moves `turn` on, guarded by
the turn and the revision that were seen, and then evaluates. Whoever dies before its commit has done nothing; whoever
loses the race to another process has done nothing either, and looks again. So each event is evaluated once.
"""

from __future__ import annotations

import copy
import time
from datetime import datetime

from msgspec import Struct

from lictor.automations import buckets
from lictor.automations.buckets import Evaluation
from lictor.automations.matching import Watch
from lictor.automations.ordering import WAIT, in_order
from lictor.automations.watching import Progress, Watchlist, read_progress, read_watchlist
from lictor.db import Database, Tx, sql
from lictor.events import reading
from lictor.events.reading import Recorded
from lictor.feed import Positions
from lictor.kit import clock

BATCH = 500
# Of events that concern nobody only the positions are read.
MOST_PASSED = 10_000
# A position that nothing depends on is stored this late.
STORE_SECONDS = 2.0

MOVE = sql(
    "automations.move",
    int,
    """
    update automation_progress set turn = turn + 1, position = :position, gaps = :gaps
    where id = 1 and turn = :turn and revision = :revision
    returning turn
    """,
)
SEEN = sql(
    "automations.seen_leaders",
    str,
    """
    select e.id from events e
    where e.id {in:ids:uuid} and e.position <= {int:last} and e.position {not_in:gaps:bigint}
    and not exists (select 1 from automation_waiting_event w where w.position = e.position)
    """,
)
WAITING = sql(
    "automations.waiting",
    Recorded,
    f"""
    select {reading.COLUMNS} from automation_waiting_event w join events e on e.position = w.position
    where w.received <= {{ts:lost}} or exists (
        select 1 from events leader where leader.id = w.leader_id and leader.position <= {{int:last}}
        and leader.position {{not_in:gaps:bigint}}
        and not exists (select 1 from automation_waiting_event v where v.position = leader.position)
    )
    order by e.position limit 500
    """,
)
PARK = sql(
    "automations.park",
    None,
    """
    insert into automation_waiting_event (position, leader_id, received) values (:position, :leader_id, :received)
    on conflict (position) do nothing
    """,
)
UNPARK = sql("automations.unpark", None, "delete from automation_waiting_event where position {in:positions:bigint}")


class Interest(Struct):
    """An event, the triggers that it concerns, and when it came; that of one that had to wait is when that was over."""

    event: Recorded
    watches: list[Watch]
    came: datetime


class Look(Struct):
    """What a round has seen, and nobody has written yet."""

    progress: Progress
    watchlist: Watchlist
    positions: Positions
    read: int
    interests: list[Interest]
    resumed: list[int]


class Follower:
    """Reads on from the stored position; `advance` does one batch."""

    def __init__(self, db: Database, batch: int = BATCH) -> None:
        self._db = db
        self._batch = batch
        self._turn: int | None = None
        self._positions = Positions(0)
        self._stored = time.monotonic()
        self.watchlist: Watchlist | None = None

    async def advance(self) -> int:
        """Evaluate the next events; how many were read. 0: there are none, or another process was first."""
        look = await self._db.read(self._look)
        if look is None:
            return 0
        self.watchlist = look.watchlist
        moved = look.positions.last != look.progress.position
        due = moved and time.monotonic() - self._stored >= STORE_SECONDS
        if look.interests or look.resumed or due:
            turn = await self._db.write(commit, look)
            if turn is None:
                self._turn = None
                return 1
            self._turn, self._stored = turn, time.monotonic()
        else:
            self._turn = look.progress.turn
        self._positions = look.positions
        return look.read

    def _look(self, tx: Tx) -> Look | None:
        progress = read_progress(tx)
        if progress is None:
            return None
        if self.watchlist is not None and not self.watchlist.watches and self.watchlist.revision == progress.revision:
            passed = self._pass(tx, progress, self.watchlist)
            if passed is not None:
                return passed
        positions = self._where(progress)
        found = reading.after(tx, positions.last, positions.gaps, self._batch)
        now, before = clock.now(), positions.last
        resumed = tx.all(WAITING, lost=now - WAIT, last=before, gaps=positions.gaps)
        # After the events: an automation that was there before an event must be seen with it.
        progress = read_progress(tx) or progress
        watchlist = self._watchlist(tx, progress.revision)
        positions.saw((event.position for event in found), time.monotonic())
        came = [(event, now) for event in resumed] + [(event, event.received) for event in found]
        interests = [
            Interest(event, watches, at) for event, at in came if (watches := watchlist.index.interested(event))
        ]
        return Look(progress, watchlist, positions, len(found), interests, [event.position for event in resumed])

    def _pass(self, tx: Tx, progress: Progress, watchlist: Watchlist) -> Look | None:
        """Nobody waits for anything: of what has come, the positions are enough. None if that is no longer so.

        Events that were not committed yet are gaps here, too: who begins to wait before they are waits for them.
        """
        positions = self._where(progress)
        come = reading.positions_after(tx, positions.last, positions.gaps, MOST_PASSED)
        # After them, since on PostgreSQL each statement sees its own moment: an automation that was made in between
        # waits for events that came after it, and these may be among them.
        now = read_progress(tx)
        if now is None or now.revision != progress.revision:
            return None
        positions.saw(come, time.monotonic())
        return Look(progress, watchlist, positions, len(come) if len(come) == MOST_PASSED else 0, [], [])

    def _where(self, progress: Progress) -> Positions:
        # Ahead of the stored position as long as nobody else has moved it.
        if self._turn == progress.turn:
            return copy.deepcopy(self._positions)
        return Positions(progress.position, progress.gaps, time.monotonic())

    def _watchlist(self, tx: Tx, revision: int) -> Watchlist:
        if self.watchlist is not None and self.watchlist.revision == revision:
            return self.watchlist
        return read_watchlist(tx, revision)


def commit(tx: Tx, look: Look) -> int | None:
    """Evaluate what was seen and move on; None, and nothing done, if the turn or the automations have moved."""
    turn = tx.one(
        MOVE,
        turn=look.progress.turn,
        revision=look.progress.revision,
        position=look.positions.last,
        gaps=look.positions.gaps,
    )
    if turn is None:
        return None
    if look.resumed:
        tx.put(UNPARK, positions=look.resumed)
    now = clock.now()
    buckets.after_absence(tx, look.progress.looked, now)
    ordered = _ordered(tx, look, now)
    Evaluation(tx, look.watchlist).take(ordered)
    return turn


def _ordered(tx: Tx, look: Look, now: datetime) -> list[Interest]:
    """The events in their causal order; those that came too early are put aside."""
    by_position = {interest.event.position: interest for interest in look.interests}
    leaders = {interest.event.follows for interest in look.interests if interest.event.follows}
    if not leaders:
        return look.interests
    seen = tx.all(SEEN, ids=sorted(leaders), last=look.positions.last, gaps=look.positions.gaps)
    order = in_order([interest.event for interest in look.interests], _before(look, set(seen)), now)
    for event in order.waiting:
        tx.put(PARK, position=event.position, leader_id=event.follows, received=event.received)
    return [by_position[event.position] for event in order.now]


def _before(look: Look, seen: set[str]) -> set[str]:
    # A leader of this batch that concerns a trigger itself is seen when it has been evaluated, not before.
    return seen - {interest.event.id for interest in look.interests}
