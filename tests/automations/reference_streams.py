"""What the reference's evaluator makes of streams (JSON on standard input): its firings, on standard output.

It is run by the reference's own Python, in this process, on a SQLite database of its own, with a clock that is moved by
hand. Its loop looks at the time after each second of a stream, as of a second before. What docs/differences.md
says of when Lictor looks at waits is put in the place of the reference's own way (`adapt`): everything else is its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

os.environ["PREFECT_HOME"] = tempfile.mkdtemp()
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.ordering import get_triggers_causal_ordering
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.types import _datetime

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
KINDS = {"x": "odd", "y": "even", "z": "odd"}
SWEEP_SECONDS = 5


class Clock:
    now = START


def main() -> None:
    _datetime.now = lambda _zone="UTC": Clock.now
    adapt()
    json.dump(asyncio.run(play_all(json.load(sys.stdin))), sys.stdout)


async def play_all(streams: list[Any]) -> list[Any]:
    await provide_database_interface().create_db()
    return [await play(stream) for stream in streams]


async def play(stream: dict[str, Any]) -> list[Any]:
    Clock.now = START
    await load(stream["triggers"])
    fired: list[Any] = []
    second = [0]
    triggers.act = recorder(fired, second)
    await triggers.evaluate_proactive_triggers()
    events = list(enumerate(stream["events"], 1))
    for second[0] in range(1, stream["events"][-1][0] + 30):
        for number, event in events:
            if event[0] == second[0]:
                await happen(number, *event)
        await pass_time(second[0])
    return fired


async def load(wanted: list[dict[str, Any]]) -> None:
    """These are the automations that there are, and nothing has happened yet."""
    await triggers.reset()
    get_triggers_causal_ordering().clear()
    db = provide_database_interface()
    made = [
        Automation(id=uuid4(), name=f"{number:02}", trigger=trigger, actions=[{"type": "do-nothing"}])
        for number, trigger in enumerate(wanted)
    ]
    async with triggers.automations_session(begin_transaction=True) as session:
        await session.execute(sa.delete(db.Automation))
        for automation in made:
            session.add(db.Automation(**automation.model_dump(exclude={"created", "updated"})))
    for automation in made:
        triggers.load_automation(automation)


async def happen(number: int, second: int, tenth: int, name: str, resource: str, late: float) -> None:
    Clock.now = START + timedelta(seconds=second, milliseconds=100 * tenth)
    event = ReceivedEvent(
        id=UUID(int=number),
        occurred=Clock.now - timedelta(seconds=late),
        received=Clock.now,
        event=name,
        resource={"prefect.resource.id": resource, "kind": KINDS[resource]},
    )
    await triggers.reactive_evaluation(event)
    # What has come to its end must be seen to have.
    for trigger in triggers.find_interested_triggers(event):
        triggers.next_proactive_runs.pop(trigger.id, None)
        if trigger.posture == "Proactive" and trigger.after:
            async with triggers.automations_session() as session:
                await triggers.remove_buckets_exceeding_threshold(session, trigger)
                await session.commit()


async def pass_time(second: int) -> None:
    Clock.now = START + timedelta(seconds=second - 1)
    await triggers.evaluate_proactive_triggers()
    if second % SWEEP_SECONDS == 0:
        async with triggers.automations_session() as session:
            await triggers.sweep_closed_buckets(session, START + timedelta(seconds=second - 60))
            await session.commit()


def recorder(fired: list[Any], second: list[int]) -> Any:
    async def act(firing: Any) -> None:
        event = firing.triggering_event
        number = event.id.int if event else None
        fired.append([second[0], int(firing.trigger.automation.name), firing.triggering_labels, number])

    return act


def adapt() -> None:
    """Put Lictor's choice where docs/differences.md lists one, and a fixed order where the reference has none."""
    triggers.ensure_bucket = adapted_ensure(triggers.ensure_bucket)
    triggers.remove_buckets_exceeding_threshold = adapted_remove(triggers.remove_buckets_exceeding_threshold)
    triggers.fire = in_order_fire(triggers.fire)
    triggers.find_interested_triggers = in_order(triggers.find_interested_triggers)
    triggers.get_events_clock_offset = no_offset


def adapted_ensure(ensure_bucket: Any) -> Any:
    async def ensure(session: Any, trigger: Any, bucketing_key: Any, start: Any, end: Any, **more: Any) -> Any:
        if trigger.after and more["last_event"] is None:
            return None  # a wait after something begins only with it
        if trigger.after and trigger.within:
            # An event that starts a wait ends one that is over.
            old = await triggers.read_bucket(session, trigger, bucketing_key)
            if old is not None and old.end <= start:
                await triggers.evaluate(session, trigger, old, start, None)
        return await ensure_bucket(session, trigger, bucketing_key, start=start, end=end, **more)

    return ensure


def adapted_remove(remove_satisfied: Any) -> Any:
    async def remove(session: Any, trigger: Any) -> None:
        if trigger.after:
            await remove_satisfied(session, trigger)
        elif trigger.for_each:
            # Forgotten when its time is over; without labels, the next wait begins then.
            bucket = provide_database_interface().AutomationBucket
            over = [bucket.trigger_id == trigger.id, bucket.count >= trigger.threshold, bucket.end <= Clock.now]
            await session.execute(sa.delete(bucket).where(*over))

    return remove


def in_order_fire(fire: Any) -> Any:
    counter = itertools.count(1)

    async def fire_in_order(session: Any, firing: Any) -> None:
        firing.triggered = Clock.now + timedelta(microseconds=next(counter))
        await fire(session, firing)

    return fire_in_order


def in_order(interested: Any) -> Any:
    def find(event: Any) -> list[Any]:
        order = list(triggers.triggers)
        return sorted(interested(event), key=lambda trigger: order.index(trigger.id))

    return find


async def no_offset() -> float:
    return 0.0


main()
