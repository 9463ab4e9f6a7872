"""Which types and names of states there have been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import observed_states
from lictor.db import Database, open_database
from lictor.kit import times

AT = datetime(2024, 1, 22, 12, 0, 0, 250000, UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, observed_states.router)


def note(db: Database, name: str, at: datetime = AT, type: str = "RUNNING") -> None:
    db.write_now(observed_states.note, type, name, at)


def seen(client: TestClient, name: str) -> tuple[datetime, datetime]:
    [found] = [one for one in client.get("/observed-states").json if one["state_name"] == name]
    return times.parse(found["first_seen"]), times.parse(found["last_seen"])


def test_none(client: TestClient) -> None:
    assert client.get("/observed-states").json == []


def test_what_is_told_of_one(client: TestClient, db: Database) -> None:
    note(db, "Running")

    at = "2024-01-22T12:00:00.250000Z"
    row = {"state_type": "RUNNING", "state_name": "Running", "first_seen": at, "last_seen": at}
    assert client.get("/observed-states").json == [row]


def test_the_last_time_is_behind_by_less_than_the_refresh(client: TestClient, db: Database) -> None:
    for seconds in (0, 30, 59):
        note(db, "Running", AT + timedelta(seconds=seconds))
    assert seen(client, "Running") == (AT, AT)

    note(db, "Running", AT + MINUTE)

    assert seen(client, "Running") == (AT, AT + MINUTE)


def test_an_older_state_moves_the_first_time_and_not_the_last(client: TestClient, db: Database) -> None:
    note(db, "Running")
    note(db, "Running", AT - MINUTE)
    note(db, "Running", AT - timedelta(seconds=30))

    assert seen(client, "Running") == (AT - MINUTE, AT)


def test_what_is_rolled_back_was_not_noted(client: TestClient, db: Database) -> None:
    def fail(tx: object) -> None:
        observed_states.note(tx, "RUNNING", "Running", AT)  # type: ignore[arg-type]
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            db.write_now(fail)
    assert client.get("/observed-states").json == []

    note(db, "Running")

    assert seen(client, "Running") == (AT, AT)


def test_processes_agree(client: TestClient, db: Database, database_url: str) -> None:
    other = open_database(database_url)
    note(db, "Running")
    note(other, "Running", AT - MINUTE)
    note(other, "Running", AT + 2 * MINUTE)
    note(other, "Other", AT)
    note(db, "Running", AT + MINUTE)
    note(db, "Other", AT + 5 * MINUTE)
    other.close()

    assert seen(client, "Running") == (AT - MINUTE, AT + 2 * MINUTE)
    assert seen(client, "Other") == (AT, AT + 5 * MINUTE)


def test_a_database_that_is_emptied_is_told_again(client: TestClient, db: Database) -> None:
    note(db, "Running")
    db.reset()

    note(db, "Running", AT + MINUTE)

    assert seen(client, "Running") == (AT + MINUTE, AT + MINUTE)


def test_names_without_end_are_forgotten(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed_states, "MOST_REMEMBERED", 2)

    for name in "abcde":
        note(db, name)

    assert len(db.write_now(lambda tx: dict(observed_states._noted.bounds))) <= 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Late", "Running", "Retry_ing", "Crashed"]),
        ("?order_by=NAME_ASC", ["Crashed", "Retry_ing", "Running", "Late"]),
        ("?limit=2", ["Late", "Running"]),
        ("?query=ru", ["Running", "Retry_ing"]),
        ("?query=%20RETRY_%20", ["Retry_ing"]),
        ("?query=r_", []),
        ("?query=%25", []),
        ("?query=sched", ["Late"]),
        ("?query=%20", ["Late", "Running", "Retry_ing", "Crashed"]),
    ],
)
def test_lists(client: TestClient, db: Database, query: str, names: list[str]) -> None:
    note(db, "Running", AT + MINUTE)
    note(db, "Retry_ing", AT)
    note(db, "Crashed", AT - MINUTE, "CRASHED")
    note(db, "Late", AT + 2 * MINUTE, "SCHEDULED")

    assert [one["state_name"] for one in client.get(f"/observed-states{query}").json] == names


def test_lists_that_cannot_be_asked_for(client: TestClient) -> None:
    answer = client.get(f"/observed-states?limit=201&order_by=x&query={'q' * 101}")

    assert calls.errors(answer) == [
        ("string_too_long", ["query", "query"]),
        ("enum", ["query", "order_by"]),
        ("less_than_equal", ["query", "limit"]),
    ]
