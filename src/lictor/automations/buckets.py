"""Buckets in the database, and the evaluation of events and of time against them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from lictor.automations import evaluation, firing
from lictor.automations.evaluation import Bucket, Held, Outcome
from lictor.automations.matching import Watch
from lictor.automations.triggers import PROACTIVE
from lictor.automations.watching import Watchlist
from lictor.db import Tx, sql
from lictor.events.reading import Recorded

Key = tuple[str, str]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HELD_FOR = 2 * evaluation.LOOKBACK
# Buckets of reactive triggers are kept for late events this long after their end.
KEPT_FOR = timedelta(seconds=60)
ABSENCE = timedelta(seconds=30)


class Stored(Struct):
    trigger_id: str
    bucketing_key: str
    opened: datetime
    closes: datetime
    count: int
    last_event: Raw | None

    def bucket(self) -> Bucket:
        return Bucket(self.opened, self.closes, self.count, self.last_event)


_COLUMNS = "b.trigger_id, b.bucketing_key, b.opened, b.closes, b.count, b.last_event"

FIND = sql(
    "automations.find_buckets",
    Stored,
    f"""
    select {_COLUMNS} from automation_bucket b
    where b.trigger_id {{in:trigger_ids:uuid}} and b.bucketing_key {{in:keys}}
    """,
)
DUE = sql(
    "automations.due_buckets",
    Stored,
    f"""
    select {_COLUMNS} from automation_bucket b join automation a on a.id = b.automation_id
    where b.due <= {{ts:now}} and a.enabled order by b.due limit :limit
    """,
)
PUT = sql(
    "automations.put_bucket",
    None,
    """
    insert into automation_bucket (trigger_id, bucketing_key, automation_id, opened, closes, due, count, last_event)
    values (:trigger_id, :bucketing_key, :automation_id, :opened, :closes, :due, :count, :last_event)
    on conflict (trigger_id, bucketing_key) do update set opened = excluded.opened, closes = excluded.closes,
        due = excluded.due, count = excluded.count, last_event = excluded.last_event
    """,
)
ENSURE = sql(
    "automations.ensure_bucket",
    None,
    """
    insert into automation_bucket (trigger_id, bucketing_key, automation_id, opened, closes, due, count, last_event)
    values (:trigger_id, '[]', :automation_id, :opened, :closes, :closes, 0, null)
    on conflict (trigger_id, bucketing_key) do nothing
    """,
)
REMOVE = sql(
    "automations.remove_bucket",
    None,
    "delete from automation_bucket where trigger_id = :trigger_id and bucketing_key = :bucketing_key",
)
OPEN = sql("automations.open_buckets", int, "select 1 from automation_bucket where due is not null limit 1")
LOOKED = sql("automations.looked", None, "update automation_progress set looked = {ts:now} where id = 1")
STILL_OPEN = sql(
    "automations.still_open", Stored, f"select {_COLUMNS} from automation_bucket b where b.due > {{ts:looked}}"
)
POSTPONE = sql(
    "automations.postpone",
    None,
    """
    update automation_bucket set closes = :due, due = :due
    where trigger_id = :trigger_id and bucketing_key = :bucketing_key
    """,
)
SWEEP = sql(
    "automations.sweep_buckets", None, "delete from automation_bucket where due is null and closes <= {ts:before}"
)
HOLD = sql(
    "automations.hold",
    None,
    """
    insert into automation_held_event (trigger_id, bucketing_key, event_id, automation_id, occurred, held)
    values (:trigger_id, :bucketing_key, :event_id, :automation_id, :occurred, :held)
    on conflict (trigger_id, bucketing_key, event_id) do nothing
    """,
)
HELD = sql(
    "automations.count_held",
    int,
    """
    select count(*) from automation_held_event
    where trigger_id = :trigger_id and bucketing_key = :bucketing_key
    and occurred >= {ts:opened} and occurred < {ts:closes}
    """,
)
SWEEP_HELD = sql(
    "automations.sweep_held",
    None,
    """
    delete from automation_held_event where held < {ts:before} and not exists (
        select 1 from automation_bucket b where b.trigger_id = automation_held_event.trigger_id
        and b.bucketing_key = automation_held_event.bucketing_key and b.closes > {ts:now}
    )
    """,
)


class Interested(Protocol):
    """An event with the triggers that it concerns (`following.Interest`)."""

    event: Recorded
    watches: list[Watch]
    came: datetime


class Evaluation:
    """One transaction's evaluation: buckets are read once, changed in memory, and written at the end."""

    def __init__(self, tx: Tx, watchlist: Watchlist) -> None:
        self._tx = tx
        self._watchlist = watchlist
        self._buckets: dict[Key, Bucket | None] = {}
        self._changed: dict[Key, Watch] = {}

    def take(self, interests: Iterable[Interested]) -> None:
        """Evaluate events in this order."""
        pairs = [
            (interest, watch, _key(watch.key(interest.event))) for interest in interests for watch in interest.watches
        ]
        self._read({(watch.trigger_id, key) for _, watch, key in pairs})
        came = EPOCH
        for interest, watch, key in pairs:
            # One that was put behind the one it follows came after it, for all that we care.
            came = max(came, interest.came)
            self._event(interest.event, watch, key, came)
        self._write()

    def run_out(self, due: list[Stored], now: datetime) -> int:
        """Evaluate buckets whose time is over; how many there were."""
        for stored in due:
            watch = self._watchlist.watches.get(stored.trigger_id)
            key = (stored.trigger_id, stored.bucketing_key)
            bucket = self._buckets[key] = stored.bucket()
            if watch is None:
                self._tx.put(REMOVE, trigger_id=stored.trigger_id, bucketing_key=stored.bucketing_key)
                continue
            self._settle(
                watch, stored.bucketing_key, evaluation.run_out(watch, bucket, now, self._held(watch, key)), now
            )
        self._write()
        return len(due)

    def _event(self, event: Recorded, watch: Watch, key_text: str, came: datetime) -> None:
        key = (watch.trigger_id, key_text)
        already = watch.holds and self._hold(event, watch, key_text)
        outcome = evaluation.receive(watch, self._buckets[key], event, self._held(watch, key), already)
        self._settle(watch, key_text, outcome, came)

    def _settle(self, watch: Watch, key_text: str, outcome: Outcome, at: datetime) -> None:
        key = (watch.trigger_id, key_text)
        if outcome.bucket is not self._buckets.get(key):
            self._buckets[key] = outcome.bucket
            self._changed[key] = watch
        labels = dict(zip(watch.keys, msgspec.json.decode(key_text), strict=True))
        for fired in outcome.fired:
            watched = self._watchlist.automations[watch.automation_id]
            firing.fire(self._tx, watched, watch.trigger, labels, fired.event, at)

    def _hold(self, event: Recorded, watch: Watch, key_text: str) -> bool:
        """Hold an event that ends a wait but does not start one; whether it was held before."""
        if watch.starts_after(event.event) or not watch.expects(event.event):
            return False
        new = self._tx.run(
            HOLD,
            trigger_id=watch.trigger_id,
            bucketing_key=key_text,
            event_id=event.id,
            automation_id=watch.automation_id,
            occurred=event.occurred,
            held=event.received,
        )
        return not new

    def _held(self, watch: Watch, key: Key) -> Held:
        if not watch.holds:
            return lambda _opened, _closes: 0
        return lambda opened, closes: int(
            self._tx.value(HELD, trigger_id=key[0], bucketing_key=key[1], opened=opened, closes=closes)
        )

    def _read(self, keys: set[Key]) -> None:
        self._buckets.update(dict.fromkeys(keys))
        if not keys:
            return
        trigger_ids, texts = sorted({id for id, _ in keys}), sorted({text for _, text in keys})
        for stored in self._tx.all(FIND, trigger_ids=trigger_ids, keys=texts):
            self._buckets[(stored.trigger_id, stored.bucketing_key)] = stored.bucket()

    def _write(self) -> None:
        for (trigger_id, key), watch in sorted(self._changed.items(), key=lambda item: item[0]):
            bucket = self._buckets[(trigger_id, key)]
            if bucket is None:
                self._tx.put(REMOVE, trigger_id=trigger_id, bucketing_key=key)
            else:
                self._tx.put(PUT, trigger_id=trigger_id, bucketing_key=key, **_columns(watch, bucket))


def _columns(watch: Watch, bucket: Bucket) -> dict[str, Any]:
    return {
        "automation_id": watch.automation_id,
        "opened": bucket.opened,
        "closes": bucket.closes,
        "due": bucket.closes if watch.trigger.posture == PROACTIVE else None,
        "count": bucket.count,
        "last_event": None if bucket.last_event is None else bytes(bucket.last_event).decode(),
    }


def _key(values: tuple[str, ...]) -> str:
    return msgspec.json.encode(values).decode()


def after_absence(tx: Tx, looked: datetime, now: datetime) -> None:
    """Note that somebody looks; where nobody had for long, give the waits that were under way that time back.

    While no server was there, clients could not send what they were waited for, and send it when one is there again.
    """
    away = now - looked
    tx.put(LOOKED, now=now)
    if away < ABSENCE:
        return
    for stored in tx.all(STILL_OPEN, looked=looked):
        due = stored.closes + away
        tx.put(POSTPONE, trigger_id=stored.trigger_id, bucketing_key=stored.bucketing_key, due=due)


def ensure(tx: Tx, watchlist: Watchlist, now: datetime) -> None:
    """Open the first bucket of triggers that wait from the moment when they are there."""
    for watch in watchlist.watches.values():
        if watch.trigger.posture == PROACTIVE and not watch.keys and not watch.trigger.after:
            closes = now + timedelta(seconds=watch.trigger.seconds)
            tx.put(ENSURE, trigger_id=watch.trigger_id, automation_id=watch.automation_id, opened=now, closes=closes)


def sweep(tx: Tx, now: datetime) -> int:
    """Drop what is of no more use."""
    gone = tx.run(SWEEP, before=now - KEPT_FOR)
    return gone + tx.run(SWEEP_HELD, before=now - HELD_FOR, now=now)
