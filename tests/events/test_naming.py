"""Names beside the mentions of resources: numbers, and answers that are the same without them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.samples import AT, an_event, write
from tests.events.test_filters import by_counts, by_hand, by_sql, wanted

from lictor.db import Database, Tx, sql
from lictor.db.migrate import migrations
from lictor.db.statement import composed
from lictor.events import counting, listing, loops, naming, narrowing, store, tallies
from lictor.events.counting import Countable, CountQuery
from lictor.events.loops import Retention
from lictor.events.remembering import Memory
from lictor.events.types import Event

NUMBERED = sql("test.numbered_names", str, "select name from event_name order by name")
MENTIONS = sql(
    "test.named_mentions",
    None,
    """
    select e.event, r.resource_id, n.name from event_resources r join events e on e.position = r.position
    left join event_name n on n.id = r.name order by r.position, r.resource_id
    """,
)


@pytest.fixture(autouse=True)
def twice_is_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """And numbers are looked for at once."""
    monkeypatch.setattr(naming, "OFTEN", 2)
    monkeypatch.setattr(naming, "REFRESH", 0.0)


def numbered(db: Database) -> list[str]:
    return db.read_now(lambda tx: tx.all(NUMBERED))


def mentions(db: Database) -> list[tuple[str, ...]]:
    return [tuple(row) for row in db.read_now(lambda tx: tx.all(MENTIONS))]


def test_names_that_are_used_often_on_a_day_get_a_number(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "MOST", 3)
    for name, seconds in {"b": [0, 1], "a": [0, 86_400], "c": [0]}.items():
        write(db, *(an_event(name, second) for second in seconds))
    db.write_now(tallies.fold, 100)
    assert numbered(db) == ["b"]
    write(db, an_event("a", 5), an_event("c", 5), an_event("d", 5), an_event("d", 6))
    db.write_now(tallies.fold, 100)
    # There is room for three.
    assert numbered(db) == ["a", "b", "c"]
    db.write_now(tallies.fold, 100)
    write(db, an_event("e", 5), an_event("e", 6))
    db.write_now(tallies.fold, 100)
    assert numbered(db) == ["a", "b", "c"]


@pytest.mark.parametrize("others", [0, 3, 20])
def test_however_an_event_is_written_its_name_stands_beside_its_resources(db: Database, others: int) -> None:
    related = [(f"r.{n}", "part") for n in range(others)]
    write(db, an_event("known"), an_event("known"))
    db.write_now(tallies.fold, 10)
    before = len(mentions(db))
    for name in ("known", "new"):
        db.write_now(store.emit, an_event(name, related=related))
        db.write_now(store.emit_all, [an_event(name, related=related), an_event("known")])
        db.write_now(store.insert, [an_event(name, related=related)], AT)
    found = mentions(db)[before:]
    assert len(found) == 2 * (3 * (others + 1) + 1)
    assert all(beside == (name if name == "known" else None) for name, _, beside in found)
    assert db.read_now(naming.check) == 0


NAMES = ("x.a", "x.b", "X.a", "", "y%", "made up")
EVENT = st.tuples(
    st.sampled_from(NAMES),
    st.integers(0, 3),
    st.sampled_from(["a.1", "a.2"]),
    st.lists(st.sampled_from(["a.1", "b", "c"])),
)
BATCHES = st.lists(st.lists(EVENT, max_size=6), min_size=2, max_size=5)
SOME_NAMES = st.none() | st.lists(st.sampled_from([*NAMES, "x.", "none"]), max_size=2)
ASKED = st.fixed_dictionaries(
    {"event": st.fixed_dictionaries(dict.fromkeys(("name", "prefix", "exclude_name", "exclude_prefix"), SOME_NAMES))},
    optional={
        "related": st.fixed_dictionaries({"id": st.just(["b"])}, optional={"role": st.just(["part"])}),
        "resource": st.fixed_dictionaries({"id": st.lists(st.sampled_from(["a.1", "a.2"]), min_size=1)}),
        "any_resource": st.sampled_from([{"id": ["a.1"]}, {"id": ["b", "c"]}, [{"id": ["b"]}, {"id": ["c"]}]]),
    },
)


def made(batch: list[Any]) -> list[Event]:
    return [an_event(name, day * 86_400, own, related=[(id, "part") for id in ids]) for name, day, own, ids in batch]


def by_name(db: Database, **keys: Any) -> dict[str, int]:
    return {
        one.value: one.count
        for one in db.read_now(counting.count, Countable.event, CountQuery(wanted(**keys)), Memory())
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=BATCHES, keys=ASKED, folds=st.lists(st.booleans(), min_size=5, max_size=5), few=st.sampled_from([0, 3000])
)
def test_answers_are_those_of_looking_at_each_event(
    db: Database, batches: list[list[Any]], keys: dict[str, Any], folds: list[bool], few: int
) -> None:
    """With names that have numbers beside all, some or none of their mentions, and after some events have gone."""
    db.write_now(forget_all)
    for batch, fold in zip(batches, folds, strict=False):
        write(db, *made(batch))
        if fold:
            db.write_now(tallies.fold, 100)
    for _ in range(2):
        assert db.read_now(naming.check) == 0
        expected = by_hand(db, wanted(**keys))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(narrowing, "FEW", few)
            assert sorted(by_sql(db, wanted(**keys))) == expected
        names = db.read_now(lambda tx: [one.event for one in listing.page(tx, wanted(**keys), 100)])
        assert by_name(db, **keys) == {name: names.count(name) for name in names}
        assert by_counts(db, wanted(**keys), Countable.time) == len(expected)
        db.write_now(loops.sweep, Retention(timedelta(days=2)), AT + timedelta(days=3), 1000)


def test_events_are_not_looked_at_for_what_their_mentions_tell(db: Database) -> None:
    write(db, *(an_event(name) for name in ("x.a", "x.a", "x.b", "x.b")))
    db.write_now(tallies.fold, 10)
    write(
        db, *(an_event(name, n, related=[("b", "part"), ("c", "part")]) for n, name in enumerate(["x.a", "x.b", "x.a"]))
    )
    db.write_now(lambda tx: tx.run(composed(None, "update events set event = 'something else'")))
    for among in ({"id": ["b"]}, {"id": ["b", "c"]}, [{"id": ["b"]}, {"id": ["c"]}]):
        for expected, names in ((2, {"name": ["x.a"]}), (1, {"exclude_name": ["x.a"]}), (3, {"prefix": ["x."]})):
            asked = {"any_resource": among, "event": names}
            assert len(by_sql(db, wanted(**asked))) == expected
            assert by_counts(db, wanted(**asked), Countable.time) == expected
            assert sum(by_name(db, **asked).values()) == expected
    assert by_name(db, any_resource={"id": ["b"]}) == {"x.a": 2, "x.b": 1}


def forget_all(tx: Tx) -> None:
    for table in ("events", "event_resources", "event_tally", "event_name", "event_tally_gap"):
        tx.run(composed(None, f"delete from {table}"))


WRONG = """
update event_resources set name = (select n.id from event_name n where n.id <> event_resources.name) where name > 0"""


def test_a_mention_beside_a_wrong_name_is_found_and_mended(db: Database) -> None:
    write(db, *(an_event(name) for name in ("a", "a", "b", "b")))
    db.write_now(tallies.fold, 10)
    write(db, an_event("a", related=[("b.1", "part")]), an_event("b", resource="b.1"))
    db.write_now(lambda tx: tx.run(composed(None, WRONG)))
    assert db.read_now(naming.check) == 3
    db.write_now(naming.mend)
    assert db.read_now(naming.check) == 0
    assert by_name(db, any_resource={"id": ["b.1"]}) == {"a": 1, "b": 1}


BEFORE = """
create table event_resources (
    resource_id text not null, occurred {ts_type} not null, position {int_type} not null, kind {int_type} not null,
    constraint pk_event_resources primary key (resource_id, occurred, position, kind)
) {clustered}"""


def test_what_was_there_before_gets_its_names(db: Database) -> None:
    """As the migration finds it; a server of then may go on writing, and what it writes is found."""
    write(db, *(an_event("often", n, related=[("b", "part")]) for n in range(10)), an_event("seldom"))
    db.write_now(tallies.fold, 100)

    def bring(tx: Tx) -> None:
        rows = [
            dict(zip(("id", "occurred", "position", "kind"), row, strict=True))
            for row in tx.all(composed(None, "select resource_id, occurred, position, kind from event_resources"))
        ]
        for table in ("event_resources", "event_name"):
            tx.run(composed(None, f"drop table {table}"))
        tx.run(composed(None, BEFORE))
        insert = "insert into event_resources values ({text:id}, {ts:occurred}, :position, :kind)"
        tx.many(composed(None, insert), rows)
        [migration] = [one for one in migrations() if one.name.endswith("event_names")]
        for statement in migration.statements(tx.dialect):
            tx.run(composed(None, statement))

    db.write_now(bring)
    assert numbered(db) == ["often"]
    assert mentions(db) == [("often", id, "often") for _ in range(10) for id in ("a.1", "b")] + [
        ("seldom", "a.1", None)
    ]
    columns = "resource_id, occurred, position, kind"
    old = f"insert into event_resources ({columns}) select 'z', occurred, position, 1 from events"
    db.write_now(lambda tx: tx.run(composed(None, old)))
    assert by_name(db, any_resource={"id": ["z"]}, event={"exclude_name": ["x"]}) == {"often": 10, "seldom": 1}


def test_numbers_that_are_remembered_may_outlive_the_database(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for once a minute at most, and those of another time are no one's."""
    monkeypatch.setattr(naming, "REFRESH", 1000.0)
    write(db, an_event("a"), an_event("a"))
    db.write_now(tallies.fold, 10)
    write(db, an_event("a"))
    assert {beside for _, _, beside in mentions(db)} == {None}
    db.write_now(lambda tx: setattr(naming._known, "until", 0.0))
    write(db, an_event("a"), an_event("b"))
    assert mentions(db)[3:] == [("a", "a.1", "a"), ("b", "a.1", None)]
    db.write_now(forget_all)
    write(db, an_event("a"), an_event("b"))
    assert mentions(db) == [("a", "a.1", None), ("b", "a.1", None)]
    asked = {"any_resource": {"id": ["a.1"]}, "event": {"exclude_name": ["x"]}}
    assert by_name(db, **asked) == {"a": 1, "b": 1}
    assert db.read_now(naming.check) == 0
    write(db, an_event("a"), an_event("a"))
    db.write_now(tallies.fold, 10)
    assert mentions(db)[0] == ("a", "a.1", "a")


def test_a_name_whose_number_is_another_s_has_none(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "made", lambda name: 77)
    for _ in range(2):
        write(db, *(an_event(name, related=[("b", "part")]) for name in ("a", "a", "b", "b")))
        db.write_now(tallies.fold, 10)
    assert numbered(db) == ["a"]
    assert by_name(db, any_resource={"id": ["b"]}, event={"exclude_name": ["x"]}) == {"a": 4, "b": 4}
