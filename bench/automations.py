"""What automations cost: one event held against many of them, and the CPU of a server that follows many events."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Raw

from bench import report, servers
from bench.http import Connection
from bench.servers import Server
from lictor.automations.matching import Index, Watch
from lictor.automations.triggers import EventTrigger
from lictor.events.reading import Recorded

MATCHED = 1000
EVENTS = 10_000
AUTOMATIONS = 50
BATCH = 100
PATIENCE = 300.0


def run(options: argparse.Namespace) -> int:
    """Measure and print; the exit code."""
    report.show("one event against 1,000 automations, µs of CPU", [matching(kind) for kind in KINDS])
    events = options.units or EVENTS
    rows = [following(events, number) for number in (0, AUTOMATIONS)]
    report.show(f"{events} events, CPU of the server", rows)
    return 0


# What the automations look for: names that differ, one pattern but resources that differ, or labels of anything.
KINDS: dict[str, Any] = {
    "names": lambda n: EventTrigger(posture="Reactive", expect={f"thing.{n}"}),
    "resources": lambda n: EventTrigger(
        posture="Reactive", expect={"thing.*"}, match={"prefect.resource.id": f"resource.{n}"}
    ),
    "related resources": lambda n: EventTrigger(
        posture="Reactive", expect={"thing.*"}, match_related={"prefect.resource.id": f"flow.{n}"}
    ),
    "labels": lambda n: EventTrigger(posture="Reactive", expect={"thing.*"}, match={"color": f"c{n}", "size": "l*"}),
    "patterns of names": lambda n: EventTrigger(posture="Reactive", expect={f"thing.{n}*"}),
    "nothing": lambda n: EventTrigger(posture="Reactive"),
}


def matching(kind: str) -> dict[str, Any]:
    watches = [Watch(str(uuid4()), 0, KINDS[kind](number)) for number in range(MATCHED)]
    index = Index(watches)
    samples = []
    for number in range(300):
        event = recorded(number)
        begun = time.process_time_ns()
        index.interested(event)
        samples.append((time.process_time_ns() - begun) / 1000)
    quantiles = statistics.quantiles(samples, n=100)
    return {"automations differ in": kind, "p50": statistics.median(samples), "p99": quantiles[98]}


def recorded(number: int) -> Recorded:
    now = datetime.now(UTC)
    resource = {"prefect.resource.id": f"resource.{number}", "color": f"c{number}", "size": "large"}
    related = [{"prefect.resource.id": f"flow.{number}", "prefect.resource.role": "flow"}]
    return Recorded(number + 1, str(uuid4()), now, now, f"thing.{number}", None, resource, related, Raw(b"{}"))


def following(events: int, automations: int) -> dict[str, Any]:
    """CPU of a server, from the first of the events to the last of the actions that came of them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server = servers.lictor(Path(directory))
        try:
            server.start()
            return asyncio.run(stream(server, events, automations))
        finally:
            server.stop()


async def stream(server: Server, events: int, automations: int) -> dict[str, Any]:
    """Each automation fires for every second event of its own, and does nothing."""
    link = server.connection()
    for number in range(automations):
        await link.post("/api/automations/", automation(number))
    before, begun = server.cpu_seconds(), time.monotonic()
    for start in range(0, events, BATCH):
        answer = await link.post("/api/events", [event(number) for number in range(start, start + BATCH)])
        assert answer.status == 204, answer.body
    sent = time.monotonic()
    fired = await finished(link, events // 2 if automations else 0)
    cpu = server.cpu_seconds() - before
    await link.close()
    return {
        "automations": automations,
        "firings": fired,
        "cpu_us_per_event": cpu / events * 1e6,
        "sent_s": sent - begun,
        "behind_s": time.monotonic() - sent,
    }


def automation(number: int) -> dict[str, Any]:
    trigger = {"type": "event", "posture": "Reactive", "expect": [f"thing.{number}"], "threshold": 2}
    return {"name": f"a{number}", "trigger": trigger, "actions": [{"type": "do-nothing"}]}


def event(number: int) -> dict[str, Any]:
    occurred = datetime.now(UTC) + timedelta(microseconds=number)
    return {
        "occurred": occurred.isoformat(),
        "event": f"thing.{number % AUTOMATIONS}",
        "resource": {"prefect.resource.id": f"resource.{number % 10}", "prefect.resource.name": "a thing"},
        "related": [{"prefect.resource.id": f"flow.{number % 7}", "prefect.resource.role": "flow"}],
        "payload": {"number": number},
        "id": str(uuid4()),
    }


async def finished(link: Connection, firings: int) -> int:
    """Wait until as many actions have been done; how many that were."""
    wanted = {"filter": {"event": {"name": ["prefect.automation.action.executed"]}}, "limit": 0}
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = await link.post("/api/events/filter", wanted)
        found = int(answer.json()["total"])
        if found >= firings or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.5)
