"""Sockets that break in the middle of a stream: everything arrives, each thing once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from bench import bodies
from bench.servers import Server
from bench.sockets import EventSocket
from tests.faults.journal import Journal
from tests.faults.place import Place
from tests.faults.scale import scaled
from tests.faults.traffic import LIFE, begin

BREAKS = scaled(5, 50)
TASK_RUNS = 60  # between two breaks
# A masked text frame that promises 300 bytes and brings 5, and one whose text is complete JSON cut in the middle.
HALF_FRAMES = [b"", b"\x81", b'\x81\xfe\x01\x2c\x00\x00\x00\x00{"id"', b'\x01\x85\x00\x00\x00\x00{"id"']
pytestmark = pytest.mark.timeout(120 + 2 * BREAKS)


def test_what_is_sent_again_is_there_once(place: Place, start: Callable[[Place], Server]) -> None:
    server = start(place)
    journal = asyncio.run(broken_streams(server))
    place.check()
    assert journal.event_ids <= place.ids("events")
    assert place.rows("select count(*) from task_run_state") == [(len(journal.event_ids),)]
    assert place.rows("select id, count(*) from events group by id having count(*) > 1") == []


async def broken_streams(server: Server) -> Journal:
    journal = Journal()
    flow_run_id = await begin(server, journal)
    socket = EventSocket(server.host, server.port)
    await socket.open()
    for number in range(BREAKS):
        events = [
            event for _ in range(TASK_RUNS) for event in bodies.TaskRun(flow_run_id, journal.flow_id).events(*LIFE)
        ]
        cut = random.randrange(len(events))
        await socket.send(events[:cut])
        socket.tear(HALF_FRAMES[number % len(HALF_FRAMES)])
        await socket.reopen()
        await socket.send(events[cut:])
    await socket.confirm()
    await socket.close()
    journal.note_events(socket.confirmed)
    await journal.check(server)
    return journal
