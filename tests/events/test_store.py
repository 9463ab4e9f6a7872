"""Writing the event log: once per id, with a row for every resource."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lictor.db import Database, Tx, sql
from lictor.db.migrate import migrations
from lictor.db.statement import composed
from lictor.events import store
from lictor.events.types import ABOUT, BOTH, RELATED, Event

AT = datetime(2024, 1, 22, 15, 30, 45, 123456, UTC)
ROWS = sql("test.events", None, "select event, resource_id, resource, payload from events order by position")
RESOURCES = sql(
    "test.event_resources",
    None,
    """
    select x.resource_id, e.event from event_resources x join events e on e.position = x.position
    order by x.position, x.resource_id
    """,
)


def an_event(name: str = "it.happened", **fields: object) -> Event:
    labels = {"prefect.resource.id": "a.1"}
    related = [{"prefect.resource.id": "b.2", "prefect.resource.role": "part"}]
    return Event(occurred=AT, event=name, resource=labels, related=related, payload={"x": 1}, **fields)  # type: ignore[arg-type]


def test_an_event_of_our_own_is_written_with_its_resources(db: Database) -> None:
    db.write_now(store.emit, an_event())

    [(name, resource_id, _, _)] = db.read_now(lambda tx: tx.all(ROWS))
    assert (name, resource_id) == ("it.happened", "a.1")
    assert db.read_now(lambda tx: [tuple(row) for row in tx.all(RESOURCES)]) == [
        ("a.1", "it.happened"),
        ("b.2", "it.happened"),
    ]


@pytest.mark.parametrize("count", [0, 7, 8, 40])
def test_each_of_few_or_many_resources_leads_to_its_event(db: Database, count: int) -> None:
    for name in ("first", "second"):
        event = an_event(name)
        event.related = [{"prefect.resource.id": f"r.{n % 20}", "prefect.resource.role": "x"} for n in range(count)]
        db.write_now(store.emit, event)

    found = {tuple(row) for row in db.read_now(lambda tx: tx.all(RESOURCES))}
    resources = {"a.1", *(f"r.{n % 20}" for n in range(count))}
    assert found == {(resource, name) for resource in resources for name in ("first", "second")}


def test_an_event_that_is_sent_twice_is_written_once(db: Database) -> None:
    first, second = an_event("first"), an_event("second")

    assert db.write_now(store.insert, [first, second, first], AT) == [first, second]
    assert db.write_now(store.insert, [second, an_event("third")], AT)[0].event == "third"

    assert [row[0] for row in db.read_now(lambda tx: tx.all(ROWS))] == ["first", "second", "third"]
    assert len(db.read_now(lambda tx: tx.all(RESOURCES))) == 6


def test_events_of_our_own_keep_their_order(db: Database) -> None:
    db.write_now(store.emit_all, [an_event("first"), an_event("second")])
    db.write_now(store.emit_all, [])

    assert [row[0] for row in db.read_now(lambda tx: tx.all(ROWS))] == ["first", "second"]


def test_a_resource_named_twice_is_one_row(db: Database) -> None:
    event = an_event()
    event.related = event.related * 2

    db.write_now(store.emit, event)

    assert len(db.read_now(lambda tx: tx.all(RESOURCES))) == 2


OLD = """
create table event_resources (
    resource_id text not null, position {int_type} not null, primary key (resource_id, position)
) {clustered}"""
KINDS = sql(
    "test.kinds", None, "select resource_id, occurred, kind from event_resources order by position, resource_id"
)


def test_what_was_there_before_is_brought_into_order(db: Database) -> None:
    """As the migration finds it that gave `event_resources` its order."""
    both = an_event("both")
    both.related.append({"prefect.resource.id": "a.1", "prefect.resource.role": "self"})
    db.write_now(store.insert, [an_event("first"), both], AT)
    written = db.read_now(lambda tx: [tuple(row) for row in tx.all(KINDS)])

    def bring(tx: Tx) -> None:
        rows = [{"resource_id": row[0], "event": row[1]} for row in tx.all(RESOURCES)]
        for table in ("event_resources", "event_name"):
            tx.run(composed(None, f"drop table {table}"))
        tx.run(composed(None, OLD))
        insert = (
            "insert into event_resources select {text:resource_id}, position from events where event = {text:event}"
        )
        tx.many(composed(None, insert), rows)
        for migration in migrations():
            if migration.name.endswith(("events_of_resources", "event_resources_by_bytes", "event_names")):
                for statement in migration.statements(tx.dialect):
                    tx.run(composed(None, statement))

    db.write_now(bring)

    assert [row[2] for row in written] == [ABOUT, RELATED, BOTH, RELATED]
    assert db.read_now(lambda tx: [tuple(row) for row in tx.all(KINDS)]) == written
