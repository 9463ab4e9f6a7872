"""Logs: written, read by filter, followed over a websocket, swept when their run is gone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.calls import client, errors
from tests.processes import until
from tests.serving import serving
from tests.web.client import TestClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lictor import logs
from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.feed import Bell
from lictor.kit import clock, ids
from lictor.kit.errors import Unavailable
from lictor.logs import LogStream, LogSweeper
from lictor.web.asgi import App

AT = datetime(2024, 1, 22, 15, 30, 45, tzinfo=UTC)
RUN, OTHER, TASK = ids.new(), ids.new(), ids.new()


def a_log(message: str = "hello", second: float = 0, **fields: Any) -> dict[str, Any]:
    at = (AT + timedelta(seconds=second)).isoformat()
    return {"name": "prefect.flow_runs", "level": 20, "message": message, "timestamp": at, "flow_run_id": RUN} | fields


def api(db: Database) -> TestClient:
    return client(db, logs.router, stream=LogStream(Bell()))


def write(db: Database, *several: dict[str, Any]) -> None:
    answer = api(db).post("/logs/", json=list(several))
    assert (answer.status, answer.json) == (201, None)


def found(db: Database, **body: Any) -> list[str]:
    answer = api(db).post("/logs/filter", json=body)
    assert answer.status == 200, answer
    return [log["message"] for log in answer.json]


def test_a_log_comes_back(db: Database) -> None:
    write(db, a_log(task_run_id=TASK))
    write(db)
    [log] = api(db).post("/logs/filter", json={}).json
    assert log.pop("id")
    assert log.pop("created") == log.pop("updated")
    assert log == {
        "name": "prefect.flow_runs",
        "level": 20,
        "message": "hello",
        "timestamp": "2024-01-22T15:30:45Z",
        "flow_run_id": RUN,
        "task_run_id": TASK,
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2024-01-22T15:30:45Z", "2024-01-22T15:30:45Z"),
        ("2024-01-22T15:30:45.5Z", "2024-01-22T15:30:45.500000Z"),
        ("2024-01-22T15:30:45.123456Z", "2024-01-22T15:30:45.123456Z"),
        ("2024-01-22T15:30:45.123456+05:30", "2024-01-22T10:00:45.123456Z"),
        ("2024-01-22T15:30:45.12345+05:00", "2024-01-22T10:30:45.123450Z"),
        ("2024-01-22 15:30:45", "2024-01-22T15:30:45Z"),
    ],
)
def test_instants_are_kept_in_one_form(db: Database, sent: str, kept: str) -> None:
    write(db, a_log(timestamp=sent))
    [log] = api(db).post("/logs/filter", json={}).json
    assert log["timestamp"] == kept
    # What is stored compares as instants do.
    assert found(db, logs={"timestamp": {"after_": kept, "before_": kept}}) == ["hello"]


def test_nul_characters_are_left_out(db: Database) -> None:
    write(db, a_log("a\0b\0", name="n\0"))
    [log] = api(db).post("/logs/filter", json={}).json
    assert (log["message"], log["name"]) == ("ab", "n")


@pytest.mark.parametrize(
    "fields", [{"level": 40000}, {"level": "x"}, {"timestamp": "x"}, {"message": None}, {"flow_run_id": "x"}, {"x": 1}]
)
def test_what_is_no_log_is_refused_with_all_others(db: Database, fields: dict[str, Any]) -> None:
    assert errors(api(db).post("/logs/", json=[a_log(), a_log(**fields)]))
    assert found(db) == []


def test_order_and_pages(db: Database) -> None:
    write(db, a_log("b", 1), a_log("d", 2), a_log("a", 0), a_log("c", 1))
    assert found(db) == ["a", "b", "c", "d"]
    assert found(db, sort="TIMESTAMP_DESC") == ["d", "c", "b", "a"]
    assert found(db, limit=2, offset=1) == ["b", "c"]
    assert errors(api(db).post("/logs/filter", json={"sort": "NOPE"}))
    assert api(db).post("/logs/filter", json={"limit": 1000}).status == 422


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"level": {"ge_": 30}}, "bc"),
        ({"level": {"le_": 20}}, "a"),
        ({"level": {"ge_": 30, "le_": 30}}, "b"),
        ({"flow_run_id": {"any_": [RUN]}}, "ab"),
        ({"flow_run_id": {"any_": []}}, ""),
        ({"task_run_id": {"is_null_": True}}, "ac"),
        ({"task_run_id": {"is_null_": False}}, "b"),
        ({"task_run_id": {"any_": [TASK]}}, "b"),
        ({"timestamp": {"after_": "2024-01-22T15:30:46Z"}}, "bc"),
        ({"timestamp": {"before_": "2024-01-22T15:30:46Z"}}, "ab"),
        ({"level": {"ge_": 30}, "flow_run_id": {"any_": [RUN]}}, "b"),
        ({"operator": "or_", "level": {"ge_": 40}, "task_run_id": {"any_": [TASK]}}, "bc"),
        ({}, "abc"),
    ],
)
def test_filters(db: Database, wanted: dict[str, Any], expected: str) -> None:
    write(
        db,
        a_log("a", 0),
        a_log("b", 1, level=30, task_run_id=TASK),
        a_log("c", 2, level=40, flow_run_id=OTHER),
    )
    assert "".join(found(db, logs=wanted)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("connection", "ab"),
        ("CONNECTION", "ab"),
        ("timeout refused", "ab"),
        ("connection -timeout", "b"),
        ("connection !refused", "a"),
        ("+connection +refused", "b"),
        ('"connection timeout"', "a"),
        ('"timeout connection"', ""),
        ("100%", "c"),
        ("100_", ""),
        ("a\\b", "d"),
        ("flow_runs", "abcd"),
        ("-connection", "cd"),
        ("", "abcd"),
    ],
)
def test_text_searches(db: Database, query: str, expected: str) -> None:
    messages = {"a": "Connection timeout", "b": "connection REFUSED", "c": "done 100%", "d": "path a\\b"}
    write(db, *(a_log(message, index) for index, message in enumerate(messages.values())))
    names = {message: name for name, message in messages.items()}
    assert "".join(names[message] for message in found(db, logs={"text": {"query": query}})) == expected


def test_a_search_that_is_too_long_is_refused(db: Database) -> None:
    assert errors(api(db).post("/logs/filter", json={"logs": {"text": {"query": "x" * 201}}}))


# --- /logs/out


@contextmanager
def served(db: Database, **options: Any) -> Iterator[str]:
    stream = LogStream(Bell(), **({"enabled": True, "poll_seconds": 0.05} | options))
    app = App([logs.router], {Database: db, LogStream: stream})
    with serving(app) as address:
        yield address + app.base


@contextmanager
def following(address: str, wanted: dict[str, Any] | None = None) -> Iterator[ClientConnection]:
    with connect(f"ws://{address}/logs/out", subprotocols=["prefect"], ping_interval=None, close_timeout=5) as one:  # type: ignore[list-item]
        one.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(one.recv(10)) == {"type": "auth_success"}
        one.send(json.dumps({"type": "filter", "filter": wanted or {}}))
        yield one


def heard(one: ClientConnection, within: float = 10) -> str:
    frame = json.loads(one.recv(within))
    assert frame["type"] == "log"
    return str(frame["log"]["message"])


def begin(db: Database, one: ClientConnection) -> None:
    """Write until the follower, which begins at some moment, hears something; then until it has heard all of that."""
    for index in range(1000):
        write(db, a_log(f"begin {index}", level=50))
        try:
            message = json.loads(one.recv(0.05))["log"]["message"]
        except TimeoutError:
            continue
        while message != f"begin {index}":
            message = heard(one)
        return
    raise AssertionError


def test_logs_are_followed_also_those_that_others_write(database_url: str) -> None:
    ours, others = open_database(database_url), open_database(database_url)
    with served(ours) as address, following(address) as one:
        begin(others, one)
        write(others, a_log("first"), a_log("second"))
        assert [heard(one), heard(one)] == ["first", "second"]
        write(ours, a_log("third"))
        assert heard(one) == "third"
    ours.close()
    others.close()


def test_the_filter_of_a_follower(db: Database) -> None:
    """Words are not looked at, as in the reference."""
    wanted = {"level": {"ge_": 30}, "flow_run_id": {"any_": [RUN]}, "text": {"query": "nothing like it"}}
    with served(db) as address, following(address, wanted) as one:
        begin(db, one)
        write(db, a_log("low", level=20), a_log("other", level=30, flow_run_id=OTHER), a_log("wanted", level=30))
        assert heard(one) == "wanted"


def test_nothing_is_heard_unless_it_is_enabled(db: Database) -> None:
    with served(db, enabled=False) as address, following(address) as one:
        write(db, a_log())
        with pytest.raises(TimeoutError):
            one.recv(0.3)


@pytest.mark.parametrize(
    "first", ['{"type": "other"}', "nonsense", '{"type": "filter"}', '{"type": "filter", "filter": {"level": 5}}']
)
def test_first_frames_that_are_no_filter(db: Database, first: str) -> None:
    with (
        served(db) as address,
        connect(f"ws://{address}/logs/out", subprotocols=["prefect"]) as one,  # type: ignore[list-item]
    ):
        one.send(json.dumps({"type": "auth", "token": None}))
        one.recv(10)
        one.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002


def test_a_slow_reader_holds_back_its_own_reading_only(database_url: str) -> None:
    """What it does not take stays in the database, not in memory: the server reads on when the client does."""
    db = open_database(database_url)
    reads: list[int] = []
    original = logs._after

    def counted(tx: Tx, *args: Any) -> Any:
        rows = original(tx, *args)
        reads.append(len(rows))
        return rows

    with pytest.MonkeyPatch.context() as patch, served(db) as address, following(address) as one:
        begin(db, one)
        patch.setattr(logs, "_after", counted)
        total = 3000
        texts = [f"{index:05}" + "x" * 5000 for index in range(total)]
        for at in range(0, total, 500):
            db.write_now(logs.insert, [_create(text) for text in texts[at : at + 500]])
        until(lambda: sum(reads) > 0)
        assert sum(reads) < total
        assert [heard(one)[:5] for _ in texts] == [text[:5] for text in texts]
    db.close()


def test_a_follower_outlasts_an_outage(db: Database) -> None:
    asked = threading.Event()

    def unavailable(*_: Any) -> Any:
        asked.set()
        raise Unavailable("away")

    with served(db) as address, following(address) as one:
        begin(db, one)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logs, "_after", unavailable)
            # A read that was under way may still bring the first; from the next on there is an outage.
            write(db, a_log("first"))
            assert asked.wait(10)
            write(db, a_log("meanwhile"))
            with suppress(TimeoutError):
                assert heard(one, within=0.2) == "first"
            with pytest.raises(TimeoutError):
                heard(one, within=0.2)
        while (message := heard(one)) != "meanwhile":
            assert message == "first"


def _create(text: str) -> logs.LogCreate:
    return logs.LogCreate("x", 20, text, AT)


# --- the sweeper


def test_logs_of_deleted_runs_are_swept(db: Database) -> None:
    write(db, *(a_log(f"gone {index}") for index in range(7)), a_log("kept", flow_run_id=OTHER))
    write(db, a_log("of a task", flow_run_id=None, task_run_id=TASK))
    sweeper = LogSweeper(db)
    sweeper.batch = 3
    assert asyncio.run(sweeper.run_once()) == 0
    bury = composed(None, "insert into run_tombstone (run_id, deleted) values (:id, :now)")
    for run_id in (RUN, TASK, ids.new()):
        db.write_now(lambda tx, run_id=run_id: tx.run(bury, id=run_id, now=clock.now()))

    rounds = []
    while done := asyncio.run(sweeper.run_once()):
        rounds.append(done)

    assert max(rounds) <= 3
    assert found(db) == ["kept"]
    assert db.read_now(lambda tx: tx.value(composed(int, "select count(*) from run_tombstone"))) == 0
