"""Events are kept as long as the settings say, and their resources with them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.asking import ask
from tests.conftest import StartServer
from tests.events.samples import AT, an_event, write
from tests.processes import until

from lictor.db import Database, space, sql
from lictor.db.statement import composed
from lictor.events import reading
from lictor.events.loops import EventRetention, Retention
from lictor.kit import clock

RESOURCES = sql("test.loops.resources", None, "select resource_id, position from event_resources order by 2, 1")
DAY = timedelta(days=1)


def names(db: Database) -> list[str]:
    return [event.event for event in db.read_now(reading.after, 0, [], 1000)]


def rounds(db: Database, period: timedelta = DAY, *, batch: int = 200, **of_types: timedelta) -> list[int]:
    """What each round does, up to the one that has nothing to do."""
    service = EventRetention(db, Retention(period, of_types), batch=batch)

    async def main() -> list[int]:
        done = [await service.run_once()]
        while done[-1]:
            done.append(await service.run_once())
        return done

    return asyncio.run(main())


def test_old_events_go_with_their_resources(db: Database) -> None:
    clock.set_source(lambda: AT + DAY)
    related = [("b.2", "part"), ("b.2", "whole"), ("a.1", "self")]
    write(db, an_event("old", -1, related=related), an_event("new", 0, related=related), an_event("older", -2))
    assert rounds(db) == [2, 0]
    assert names(db) == ["new"]
    assert [tuple(row) for row in db.read_now(lambda tx: tx.all(RESOURCES))] == [("a.1", 2), ("b.2", 2)]


def test_a_round_takes_the_oldest_and_no_more_than_a_batch(db: Database) -> None:
    clock.set_source(lambda: AT + DAY)
    write(db, *(an_event(f"e{second}", -second) for second in (1, 4, 2, 5, 3)))
    service = EventRetention(db, Retention(DAY), batch=2)
    assert asyncio.run(service.run_once()) == 2
    assert names(db) == ["e1", "e2", "e3"]
    assert rounds(db, batch=2) == [2, 1, 0]


def test_events_of_some_types_go_earlier(db: Database) -> None:
    clock.set_source(lambda: AT + DAY)
    write(db, *(an_event(name, second) for name in ("beat", "other") for second in (-1, 3600, 7200)))
    assert rounds(db, beat=DAY - timedelta(hours=1, seconds=1)) == [3, 0]
    assert names(db) == ["beat", "other", "other"]
    # Longer than all others they are not kept.
    assert rounds(db, timedelta(hours=1), beat=2 * DAY) == [3, 0]


@pytest.mark.only_on("sqlite")
def test_room_is_given_back(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "EMPTY_PAGES", 500)
    clock.set_source(lambda: AT + DAY)
    pages = composed(int, "select page_count from pragma_page_count")
    write(db, an_event("new", 1), *(an_event(f"old {n}", -1, payload={"text": "x" * 8000}) for n in range(500)))
    before = db.read_now(lambda tx: tx.value(pages))
    done = rounds(db)
    assert done[:3] == [200, 200, 100]
    assert sum(done[3:]) >= 500
    assert db.read_now(lambda tx: tx.value(pages)) < before / 4
    assert names(db) == ["new"]


def test_a_server_deletes_what_is_too_old(start_server: StartServer) -> None:
    soon = {"PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "3600", "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "0.2"}
    server = start_server(environment=soon)
    now = clock.now()
    sent = [
        {"occurred": (now - age).isoformat(), "event": name, "resource": {"prefect.resource.id": "a"}, "id": id}
        for name, age, id in (
            ("old", timedelta(hours=2), "00000000-0000-4000-8000-000000000001"),
            ("new", timedelta(), "00000000-0000-4000-8000-000000000002"),
        )
    ]
    assert ask.post(f"{server.api_url}/events", json=sent).status_code == 204

    def kept() -> list[str]:
        return [one["event"] for one in ask.post(f"{server.api_url}/events/filter", json={}).json()["events"]]

    until(lambda: kept() == ["new"])
