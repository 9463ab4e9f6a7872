"""What an event, or time, makes of a trigger: pure, over the bucket that the trigger has at the moment.

A bucket is a stretch of time in which events of a trigger are counted, one at a time for each value of its `for_each`
labels. A reactive trigger fires as soon as there are enough, and is then deaf until the stretch is over. A proactive
one fires when the stretch is over and there were not. With `after`, only an event of that kind opens a bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from msgspec import Raw, Struct

from lictor.automations.matching import Watch
from lictor.automations.triggers import PROACTIVE, REACTIVE, EventTrigger
from lictor.events.reading import Recorded
from lictor.events.types import ReceivedEvent
from lictor.kit.decoding import decode

# The first bucket reaches back this far: events that came a little earlier may arrive a little later.
LOOKBACK = timedelta(minutes=15)

Held = Callable[[datetime, datetime], int]
"""How many held events occurred from the one instant until before the other."""


class Bucket(Struct):
    """Counts events that occur from `opened` until before `closes`; `last_event` is JSON of a ReceivedEvent."""

    opened: datetime
    closes: datetime
    count: int = 0
    last_event: Raw | None = None


class Fired(Struct):
    """A trigger fired, by this event (JSON), or because time ran out, after this one."""

    event: Raw | None


class Outcome(Struct):
    """The bucket that there is now, and the firings on the way."""

    bucket: Bucket | None
    fired: list[Fired]


def as_json(event: Recorded) -> Raw:
    return Raw(msgspec.json.encode(event.as_received()))


def receive(watch: Watch, bucket: Bucket | None, event: Recorded, held: Held, already_held: bool) -> Outcome:
    """An event that concerns the trigger has come. `already_held`: it came before, and was counted then."""
    trigger, now = watch.trigger, event.occurred
    starts, expected = watch.starts_after(event.event), watch.expects(event.event)
    period = timedelta(seconds=trigger.seconds)
    over: list[Fired] = []
    if starts:
        if bucket is not None and trigger.seconds and bucket.closes <= now:
            over = run_out(watch, bucket, now, held).fired
            bucket = None
        if bucket is None:
            # One that is also expected must not count for itself.
            bucket = Bucket(now, now + period, held(now, now + period) - expected, as_json(event))
    elif not trigger.after and expected:
        if bucket is None:
            bucket = Bucket(now - LOOKBACK, now + period, 0, as_json(event))
    elif watch.holds and already_held:
        return Outcome(bucket, [])
    if not expected or bucket is None:
        return Outcome(bucket, over)
    outcome = evaluate(watch, bucket, now, event, held)
    return Outcome(outcome.bucket, over + outcome.fired)


def run_out(watch: Watch, bucket: Bucket, now: datetime, held: Held) -> Outcome:
    """Time has come to `now`, which is after the bucket's end."""
    if watch.keys and not watch.trigger.after and not _meets(watch.trigger, bucket.count):
        # What was seen and is seen no more may just have ended: it is forgotten until it is seen again.
        return Outcome(None, [])
    return evaluate(watch, bucket, now, None, held)


def evaluate(watch: Watch, bucket: Bucket, now: datetime, event: Recorded | None, held: Held) -> Outcome:
    trigger = watch.trigger
    if now < bucket.opened:
        return Outcome(bucket, [])
    previous, unspent = bucket.last_event, event is not None
    if event is not None and (_immediate(trigger) or now < bucket.closes):
        bucket = Bucket(bucket.opened, bucket.closes, bucket.count + 1, as_json(event))
        unspent = False
    if (trigger.posture == REACTIVE or bucket.closes <= now) and _meets(trigger, bucket.count):
        fired = [Fired(bucket.last_event if event is None else as_json(event))]
    elif now < bucket.closes:
        return Outcome(_rolled(watch, bucket, event, previous, held), [])
    else:
        fired = []
    return _next(watch, bucket, now, event, held, fired, unspent)


def _next(
    watch: Watch,
    bucket: Bucket,
    now: datetime,
    event: Recorded | None,
    held: Held,
    fired: list[Fired],
    unspent: bool,
) -> Outcome:
    """The bucket after one that fired, or whose time is over."""
    trigger = watch.trigger
    if trigger.after:
        return Outcome(None, fired)
    if not trigger.seconds:
        return Outcome(None if fired else bucket, fired)
    opens = max(bucket.closes, now)
    following = Bucket(opens, opens + timedelta(seconds=trigger.seconds))
    if not unspent:
        return Outcome(following, fired)
    if trigger.posture == PROACTIVE:
        following.count = 1
        return Outcome(following, fired)
    # The event came after the time of the old bucket; it may be enough for the new one.
    again = evaluate(watch, following, now, event, held)
    return Outcome(again.bucket, fired + again.fired)


def _rolled(watch: Watch, bucket: Bucket, event: Recorded | None, previous: Raw | None, held: Held) -> Bucket | None:
    """The bucket goes on, or begins anew at an event that both starts and ends the wait, such as a heartbeat."""
    trigger = watch.trigger
    if event is None or trigger.posture != PROACTIVE or _meets(trigger, bucket.count):
        return bucket
    if not (watch.starts_after(event.event) and watch.expects(event.event)):
        # The wait is over, so that the next event to start after begins another.
        return None if trigger.after else bucket
    opens, closes = event.occurred, event.occurred + timedelta(seconds=trigger.seconds)
    last = previous if previous is not None and _later_end(watch, previous, event) else as_json(event)
    return Bucket(opens, closes, held(opens, closes), last)


def _later_end(watch: Watch, previous: Raw, event: Recorded) -> bool:
    """Whether the event before was one that only ends the wait, and occurred later."""
    before = decode(previous, ReceivedEvent)
    return watch.expects(before.event) and not watch.starts_after(before.event) and before.occurred >= event.occurred


def _immediate(trigger: EventTrigger) -> bool:
    return trigger.posture == REACTIVE and not trigger.seconds


def _meets(trigger: EventTrigger, count: int) -> bool:
    return count >= trigger.threshold if trigger.posture == REACTIVE else count < trigger.threshold
