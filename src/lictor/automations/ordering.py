"""Events in the order in which they are to be evaluated: one that follows another comes after it.

An event may be recorded before the one that it follows, when two clients' messages overtake each other. It then waits
for its leader, but not for ever: a leader that has not come after a quarter of an hour was lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from lictor.events.reading import Recorded

WAIT = timedelta(minutes=15)


class Order(NamedTuple):
    """Events to evaluate now, in this order, and those that wait for what they follow."""

    now: list[Recorded]
    waiting: list[Recorded]


def in_order(events: Sequence[Recorded], seen: Collection[str], at: datetime) -> Order:
    """`seen`: which of the leaders that these events follow have been evaluated before."""
    followers: dict[str, list[Recorded]] = defaultdict(list)
    ready: list[Recorded] = []
    done: set[str] = set()
    for event in events:
        leader = event.follows
        if leader is None or leader in seen or leader in done or leader == event.id or _old(event, at):
            _release(event, followers, ready, done)
        else:
            followers[leader].append(event)
    waiting = [event for group in followers.values() for event in group]
    return Order(ready, sorted(waiting, key=lambda event: event.position))


def _release(first: Recorded, followers: dict[str, list[Recorded]], ready: list[Recorded], done: set[str]) -> None:
    """An event, then those that waited for it, in the order in which they occurred."""
    stack = [first]
    while stack:
        event = stack.pop()
        ready.append(event)
        done.add(event.id)
        stack += sorted(followers.pop(event.id, ()), key=lambda each: each.occurred, reverse=True)


def _old(event: Recorded, at: datetime) -> bool:
    return at - event.received >= WAIT
