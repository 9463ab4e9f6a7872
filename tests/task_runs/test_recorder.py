"""Task runs recorded from events that come doubled, out of order, late, in batches of any size, from two servers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct
from tests.rows import a_flow, a_flow_run, a_task_run

from lictor.db import Database, Tx, open_database
from lictor.db.statement import composed
from lictor.events import store
from lictor.events.types import Event
from lictor.kit import ids
from lictor.task_runs import recorder

AT = datetime(2024, 1, 22, 15, 30, 45, 123456, UTC)
NAMES = ["Pending", "Running", "Retrying", "Completed", "Failed"]
TYPES = {"Retrying": "RUNNING"}


class Row(Struct):
    id: str
    flow_run_id: str | None
    task_key: str
    dynamic_key: str
    name: str
    run_count: int
    tags: list[str]
    labels: dict[str, Any]
    start_time: datetime | None
    total_run_time: float
    state_id: str
    state_type: str
    state_name: str
    state_timestamp: datetime


class StateRow(Struct):
    id: str
    task_run_id: str
    timestamp: datetime
    type: str
    name: str
    message: str | None
    state_details: dict[str, Any]
    data: Any


ROWS = composed(Row, f"select {', '.join(Row.__struct_fields__)} from task_run order by task_key, dynamic_key, id")
STATES = composed(
    StateRow, f"select {', '.join(StateRow.__struct_fields__)} from task_run_state order by timestamp, id"
)


def told(
    run_id: str,
    flow_run_id: str | None,
    second: float,
    state: str = "Running",
    *,
    run: dict[str, Any] | None = None,
    validated: dict[str, Any] | None = None,
    **fields: Any,
) -> Event:
    """An event as the SDK sends one: `second` is when, from `AT` on."""
    type_ = TYPES.get(state, state.upper())
    task_run = {
        "task_key": "task",
        "dynamic_key": run_id,
        "name": f"run {second}",
        "run_count": int(second),
        "tags": ["a"],
        "labels": {},
        "task_inputs": {},
        "empirical_policy": {},
        "start_time": "2024-01-22T15:30:45.5Z",
        "total_run_time": second,
    }
    payload = {
        "intended": {"from": None, "to": type_},
        "validated_state": {"type": type_, "name": state, "message": f"at {second}"} | (validated or {}),
        "task_run": task_run | (run or {}),
    }
    related = [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}]
    given = {
        "occurred": AT + timedelta(seconds=second),
        "event": f"prefect.task-run.{state}",
        "resource": {"prefect.resource.id": f"prefect.task-run.{run_id}", "prefect.orchestration": "client"},
        "related": related if flow_run_id is not None else [],
        "payload": Raw(msgspec.json.encode(payload)),
    }
    return Event(**(given | fields))


def take(tx: Tx, events: list[Event]) -> None:
    recorder.record(tx, store.insert(tx, events, AT))


def rows(db: Database) -> list[Row]:
    return db.read_now(lambda tx: tx.all(ROWS))


def states(db: Database) -> list[StateRow]:
    return db.read_now(lambda tx: tx.all(STATES))


@pytest.fixture
def flow_run(db: Database) -> str:
    return db.write_now(lambda tx: a_flow_run(tx, a_flow(tx)))


def test_a_run_and_its_state(db: Database, flow_run: str) -> None:
    run_id = ids.new()
    validated = {"state_details": {"cache_key": "k"}, "data": {"type": "result"}}
    event = told(run_id, flow_run, 1.5, "Pending", validated=validated)

    db.write_now(take, [event])

    [row] = rows(db)
    start = datetime(2024, 1, 22, 15, 30, 45, 500000, UTC)
    assert row == Row(
        *(run_id, flow_run, "task", run_id, "run 1.5", 1, ["a"], {}, start, 1.5),
        *(event.id, "PENDING", "Pending", event.occurred),
    )
    details = {"cache_key": "k", "task_run_id": run_id, "flow_run_id": flow_run}
    [state] = states(db)
    assert state == StateRow(
        event.id, run_id, event.occurred, "PENDING", "Pending", "at 1.5", details, {"type": "result"}
    )


def test_a_state_without_a_name_has_that_of_its_type(db: Database, flow_run: str) -> None:
    db.write_now(take, [told(ids.new(), flow_run, 1, validated={"name": None})])
    assert [state.name for state in states(db)] == ["Running"]


def test_a_run_without_a_flow_run(db: Database) -> None:
    db.write_now(take, [told(ids.new(), None, second) for second in (1, 2)])
    assert [row.flow_run_id for row in rows(db)] == [None, None]


def test_an_older_event_completes_the_history_alone(db: Database, flow_run: str) -> None:
    run_id = ids.new()
    for second in (3, 1, 2):
        db.write_now(take, [told(run_id, flow_run, second)])
    assert [row.name for row in rows(db)] == ["run 3"]
    assert [state.message for state in states(db)] == ["at 1", "at 2", "at 3"]


def test_what_an_event_does_not_say_stays(db: Database, flow_run: str) -> None:
    run_id = ids.new()
    keys = {"task_key": "task", "dynamic_key": "0"}
    only_keys = Raw(msgspec.json.encode({"validated_state": {"type": "COMPLETED"}, "task_run": keys}))
    db.write_now(take, [told(run_id, flow_run, 1, run=keys)])
    db.write_now(take, [told(run_id, flow_run, 2, payload=only_keys)])
    [row] = rows(db)
    assert (row.name, row.run_count, row.tags, row.state_type, row.state_name) == (
        *("run 1", 1, ["a"]),
        *("COMPLETED", "Completed"),
    )


def test_the_id_that_was_first_at_a_natural_key_stays(db: Database, flow_run: str) -> None:
    first, second = ids.new(), ids.new()
    keys = {"dynamic_key": "0"}
    db.write_now(take, [told(first, flow_run, 1, run=keys)])
    db.write_now(take, [told(second, flow_run, 2, run=keys), told(second, flow_run, 3, "Completed", run=keys)])
    [row] = rows(db)
    assert (row.id, row.state_type) == (first, "COMPLETED")
    assert {state.task_run_id for state in states(db)} == {first}
    assert {state.state_details["task_run_id"] for state in states(db)} == {first}


def test_a_run_that_the_server_created_is_gone_on_with(db: Database, flow_run: str) -> None:
    run_id = db.write_now(lambda tx: a_task_run(tx, flow_run, dynamic_key="0"))
    db.write_now(take, [told(run_id, flow_run, 1, run={"dynamic_key": "0"})])
    assert [(row.id, row.state_type) for row in rows(db)] == [(run_id, "RUNNING")]


def test_runs_of_a_flow_run_that_is_gone_are_stored_as_events_only(db: Database, flow_run: str) -> None:
    missing, here = ids.new(), ids.new()
    db.write_now(take, [told(missing, ids.new(), 1), told(here, flow_run, 1)])
    assert [row.id for row in rows(db)] == [here]
    assert [state.task_run_id for state in states(db)] == [here]
    assert db.read_now(lambda tx: tx.value(composed(int, "select count(*) from events"))) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": Raw(b"{}")},
        {"payload": Raw(b"[]")},
        {"payload": {}},
        {"payload": Raw(b'{"validated_state": {"type": "RUNNING"}, "task_run": {}}')},
        {"payload": Raw(b'{"validated_state": {"type": "NOPE"}, "task_run": {"task_key": "a", "dynamic_key": "b"}}')},
        {"payload": Raw(b'{"validated_state": null, "task_run": {"task_key": "a", "dynamic_key": "b"}}')},
        {"resource": {"prefect.resource.id": "prefect.task-run.x", "prefect.orchestration": "client"}},
        {"resource": {"prefect.resource.id": "something.else", "prefect.orchestration": "client"}},
        {"resource": {"prefect.resource.id": f"prefect.task-run.{ids.new()}"}},
        {"resource": {"prefect.resource.id": f"prefect.task-run.{ids.new()}", "prefect.orchestration": "server"}},
        {"event": "prefect.flow-run.Running"},
        {"related": [{"prefect.resource.id": "prefect.flow-run.x", "prefect.resource.role": "flow-run"}]},
    ],
)
def test_what_does_not_tell_of_a_task_run_is_passed_over(db: Database, flow_run: str, fields: dict[str, Any]) -> None:
    good = ids.new()
    db.write_now(take, [told(ids.new(), flow_run, 1, **fields), told(good, flow_run, 2)])
    assert [row.id for row in rows(db)] == [good]
    assert [state.task_run_id for state in states(db)] == [good]


def test_nul_characters_are_left_out(db: Database, flow_run: str) -> None:
    validated = {"message": "a\0b \\u0000 \\\0", "data": {"k\0": "v\0\0"}}
    db.write_now(take, [told(ids.new(), flow_run, 1, run={"name": "n\0"}, validated=validated)])
    [state] = states(db)
    assert (state.message, state.data) == ("ab \\u0000 \\", {"k": "v"})
    assert [row.name for row in rows(db)] == ["n"]


# --- whatever the order


class Telling(Struct, frozen=True):
    run: int
    second: int
    state: str


TELLINGS = st.lists(
    st.builds(Telling, st.integers(0, 3), st.integers(0, 12), st.sampled_from(NAMES)),
    unique_by=lambda one: (one.run, one.second),  # of one moment nobody knows which came later
    min_size=1,
    max_size=20,
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Telling], list[list[int]]]:
    """Tellings, and batches of their indices: each at least once, in any order, some again."""
    tellings = draw(TELLINGS)
    order = draw(st.permutations(range(len(tellings))))
    again = draw(st.lists(st.sampled_from(range(len(tellings))), max_size=10))
    sent = [*order, *again]
    batches: list[list[int]] = []
    while sent:
        size = draw(st.integers(1, 8))
        batches.append(sent[:size])
        sent = sent[size:]
    return tellings, batches


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams())
def test_whatever_the_order(db: Database, flow_run: str, stream: tuple[list[Telling], list[list[int]]]) -> None:
    tellings, batches = stream
    flow_run = db.write_now(lambda tx: a_flow_run(tx, a_flow(tx)))
    run_ids = [ids.new() for _ in range(4)]
    events = [told(run_ids[one.run], flow_run, one.second, one.state) for one in tellings]
    newest: dict[str, Event] = {}
    for one, event in zip(tellings, events, strict=True):
        run_id = run_ids[one.run]
        if run_id not in newest or newest[run_id].occurred < event.occurred:
            newest[run_id] = event

    for batch in batches:
        db.write_now(take, [events[index] for index in batch])

    found = {row.id: row for row in rows(db) if row.flow_run_id == flow_run}
    assert found.keys() == newest.keys()
    for run_id, event in newest.items():
        row = found[run_id]
        assert (row.state_id, row.state_timestamp) == (event.id, event.occurred)
        assert row.total_run_time == (event.occurred - AT).total_seconds()
    history = {state.id: state.task_run_id for state in states(db) if state.task_run_id in found}
    assert history == {event.id: run_ids[one.run] for one, event in zip(tellings, events, strict=True)}


def test_two_servers_that_record_the_same_do_not_deadlock(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("PostgreSQL only")
    postgres = request.getfixturevalue("_postgres")
    url = postgres.create(migrated=True)
    servers = [open_database(url) for _ in range(3)]
    flow_run = servers[0].write_now(lambda tx: a_flow_run(tx, a_flow(tx)))
    run_ids = [ids.new() for _ in range(12)]
    events = [told(run_id, flow_run, second, NAMES[second % 5]) for second in range(20) for run_id in run_ids]

    def record(db: Database, index: int) -> None:
        mine = events[:: -1 if index else 1]
        for at in range(0, len(mine), 24 + 7 * index):
            chunk = mine[at : at + 24 + 7 * index]
            # As the intake does before it writes.
            db.write_now(take, sorted(chunk, key=lambda event: (event.occurred, event.id)))

    threads = [threading.Thread(target=record, args=(db, index)) for index, db in enumerate(servers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {row.id for row in rows(servers[0])} == set(run_ids)
    assert {row.state_timestamp for row in rows(servers[0])} == {AT + timedelta(seconds=19)}
    assert len(states(servers[0])) == len(events)
    for db in servers:
        db.close()
    assert _deadlocks(url) == 0
    postgres.drop(url)


def _deadlocks(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
        assert row is not None
        return int(row[0])
