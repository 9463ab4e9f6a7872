"""Statements, parameters, rows and fragments: the same on every driver."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct
from tests.db.conftest import put, run, statement, value

from lictor.db import Database, Joined, Tx, Where
from lictor.kit import times
from lictor.kit.errors import NotFound

AT = datetime(2024, 1, 22, 15, 30, 45, 123456, UTC)
REF = "0190d5c4-0000-7000-8000-000000000001"


class Kind(StrEnum):
    GOOD = "GOOD"
    BAD = "BAD"


class Label(Struct):
    key: str
    value: int = 0


class Thing(Struct):
    name: str
    number: int | None
    weight: float | None
    good: bool | None
    born: datetime | None
    kind: Kind | None
    ref: str | None
    tags: list[str] | None
    data: dict[str, Any] | None
    copy: Raw | None


class Typed(Struct):
    ref: UUID
    kind: Literal["GOOD", "BAD"]
    data: Label


class Part(Struct):
    id: str
    thing: Annotated[Thing | None, Joined]
    after: int


COLUMNS = "name, number, weight, good, born, kind, ref, tags, data, copy"
ALL = statement(f"select {COLUMNS} from thing order by name", Thing)
INSERT = statement(
    f"insert into thing ({COLUMNS}) values (:name, :number, :weight, :good, :born, :kind, :ref, :tags, :data, :copy)"
)
FULL: dict[str, Any] = {
    "name": "full",
    "number": 7,
    "weight": 1.5,
    "good": True,
    "born": AT,
    "kind": Kind.GOOD,
    "ref": UUID(REF),
    "tags": ["a", 'q"u\\o,te', "{}"],
    "data": Label("k", 3),
    "copy": '{"a":   1}',
}


def insert(tx: Tx, **columns: Any) -> None:
    tx.put(INSERT, **(dict.fromkeys(FULL) | {"name": "bare"} | columns))


def test_every_type_comes_back_as_it_went_in(database: Database) -> None:
    database.write_now(insert, **FULL)
    database.write_now(insert)

    bare, full = database.read_now(lambda tx: tx.all(ALL))

    data = {"key": "k", "value": 3}
    assert full == Thing("full", 7, 1.5, True, AT, Kind.GOOD, REF, FULL["tags"], data, Raw(b'{"a":   1}'))
    assert type(full.kind) is Kind
    assert full.born is not None
    assert full.born.tzinfo is UTC
    assert bare == Thing("bare", *[None] * 9)  # type: ignore[arg-type]


def test_types_of_a_struct_s_own_choice(database: Database) -> None:
    database.write_now(insert, **FULL)
    select = statement("select ref, kind, data from thing", Typed)

    assert database.read_now(lambda tx: tx.one(select)) == Typed(UUID(REF), "GOOD", Label("k", 3))


@pytest.mark.parametrize(
    ("column", "into", "expected"),
    [
        ("name", str, "full"),
        ("number", int, 7),
        ("weight", float, 1.5),
        ("number", float, 7.0),
        ("good", bool, True),
        ("born", datetime, AT),
        ("ref", UUID, UUID(REF)),
        ("tags", list[str], FULL["tags"]),
        ("data", Raw, None),
        ("cast(null as text)", datetime, None),
    ],
)
def test_scalars(database: Database, column: str, into: Any, expected: Any) -> None:
    database.write_now(insert, **FULL)
    found = database.read_now(lambda tx: tx.all(statement(f"select {column} from thing", into)))
    assert found == [expected] if expected is not None or "null" in column else isinstance(found[0], Raw)


def test_one_get_value_and_tuples(database: Database) -> None:
    by_name = statement("select name, number from thing where name = :name")
    database.write_now(insert, **FULL)

    def body(tx: Tx) -> None:
        assert list(tx.one(by_name, name="full") or ()) == ["full", 7]
        assert tx.one(by_name, name="none") is None
        assert tx.value(by_name, name="full") == "full"
        assert tx.value(by_name, name="none") is None
        with pytest.raises(NotFound, match="no such thing"):
            tx.get(by_name, NotFound("no such thing"), name="none")

    database.read_now(body)


def test_a_joined_struct(database: Database) -> None:
    database.write_now(insert, **FULL)
    run(database, "insert into part (id, thing) values (:id, 'full')", id=REF)
    columns = ", ".join(f"t.{column}" for column in COLUMNS.split(", "))
    select = f"select p.id, {columns}, 5 from part p left join thing t on t.name = p.thing and t.name = :name"

    def parts(name: str) -> list[Part]:
        return database.read_now(lambda tx: tx.all(statement(select, Part), name=name))

    assert parts("other") == [Part(REF, None, 5)]
    [part] = parts("full")
    assert part.thing is not None
    assert (part.thing.born, part.after) == (AT, 5)


@pytest.mark.parametrize("given", [AT, AT.astimezone(timezone(timedelta(hours=5, minutes=30))), times.text(AT)])
def test_instants_of_any_zone_and_as_text(database: Database, given: Any) -> None:
    database.write_now(insert, born=given)
    assert value(database, "select count(*) from thing where born = :at", at=AT) == 1
    assert database.read_now(lambda tx: tx.all(statement("select born from thing", datetime))) == [AT]


def test_run_counts_and_returning(database: Database) -> None:
    for name in "abc":
        database.write_now(put, name)
    assert run(database, "update thing set number = 1 where name <> :name", name="a") == 2
    assert run(database, "delete from thing where name = 'none'") == 0
    assert run(database, "insert into thing (name) values ('a') on conflict (name) do nothing") == 0

    changed = statement("update thing set number = 2 where name = 'a' returning name, number")
    assert [list(row) for row in database.write_now(lambda tx: tx.all(changed))] == [["a", 2]]


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_many(database: Database, count: int) -> None:
    rows = [{"name": f"{index:04}", "unused": 1} for index in range(count)]
    insert = statement("insert into thing (name) values (:name)")
    database.write_now(lambda tx: tx.many(insert, (row for row in rows)))
    assert value(database, "select count(*) from thing") == count


def test_a_missing_parameter_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError):
        run(database, "insert into thing (name) values (:nowhere)", name="x")
    assert value(database, "select count(*) from thing") == 0


def test_a_parameter_that_stands_twice(database: Database) -> None:
    run(database, "insert into thing (name, kind) values (:name, {text:name})", name="x")
    assert value(database, "select kind from thing where name = :name or kind = {text:name}", name="x") == "x"


def test_colons_that_are_no_parameters(database: Database) -> None:
    text = "select '12:30' || {text:suffix}"
    assert value(database, text, suffix="!") == "12:30!"


# --- fragments


@pytest.mark.parametrize(
    ("condition", "params", "expected"),
    [
        ("name {in:names}", {"names": ["a", "c", "none"]}, "ac"),
        ("name {in:names}", {"names": []}, ""),
        ("name {in:names:text}", {"names": ("b",)}, "b"),
        ("name {not_in:names}", {"names": ["a", 'quo"te', "back\\slash"]}, "bc"),
        ("name {not_in:names}", {"names": []}, "abc"),
        ("number {in:numbers:bigint}", {"numbers": [1, 3]}, "ac"),
        ("ref {in:refs:uuid}", {"refs": [REF, UUID(REF)]}, "a"),
        ("ref {in:refs:uuid}", {"refs": None}, ""),
        ("born >= {ts:at}", {"at": AT}, "bc"),
        ("({ts:at} is null or born < {ts:at})", {"at": None}, "abc"),
        ("({ts:at} is null or born < {ts:at})", {"at": AT}, "a"),
        ("ref is not distinct from {uuid:ref}", {"ref": None}, "bc"),
        ("ref is not distinct from {uuid:ref}", {"ref": REF}, "a"),
        ("{text:name} is null or name = {text:name}", {"name": "b"}, "b"),
        ("number > {int:least}", {"least": 1}, "bc"),
        ("name {like} :pattern", {"pattern": "%B%"}, "b"),
        ("{has_all:tags:wanted}", {"wanted": ["x", "y"]}, "a"),
        ("{has_all:tags:wanted}", {"wanted": []}, "abc"),
        ("{has_any:tags:wanted}", {"wanted": ["y", "z"]}, "ab"),
        ("{has_any:tags:wanted}", {"wanted": []}, ""),
        ("data ->> 'key' = :key", {"key": "one"}, "a"),
        ("good = :good", {"good": True}, "ac"),
        ("{seconds:born:moment.at} = 0.000001", {}, "b"),
        ("{seconds:born:moment.at} < 0", {}, "a"),
        ("{add_seconds:born:number / 1000000.0} = {ts:at}", {"at": AT}, "a"),
    ],
)
def test_fragments(database: Database, condition: str, params: dict[str, Any], expected: str) -> None:
    micro = timedelta(microseconds=1)
    database.write_now(
        insert, name="a", number=1, born=AT - micro, ref=REF, tags=["x", "y"], data={"key": "one"}, good=True
    )
    database.write_now(insert, name="b", number=2, born=AT + micro, tags=["y"], data={"key": "two"}, good=False)
    database.write_now(insert, name="c", number=3, born=AT + 2 * micro, tags=[], data={}, good=True)
    text = "select name from thing, (select {ts:now} as at) moment where " + f"({condition}) order by name"

    found = database.read_now(lambda tx: tx.all(statement(text, str), now=AT, **params))

    assert "".join(found) == expected


@pytest.mark.parametrize(
    ("start", "seconds"),
    [(AT, 0.0), (AT, 86400.25), (AT, -0.123457), (datetime(1960, 5, 5, 5, 5, 5, 5, UTC), -1.5), (AT, 0.876544)],
)
def test_seconds_are_exact_to_the_microsecond(database: Database, start: datetime, seconds: float) -> None:
    database.write_now(insert, name="x", born=start, weight=seconds)
    later = start + timedelta(seconds=seconds)

    def body(tx: Tx) -> tuple[Any, float]:
        added = tx.one(statement("select {add_seconds:born:weight} from thing", datetime))
        apart = tx.one(statement("select {seconds:moment.at:born} from thing, (select {ts:at} as at) moment"), at=later)
        assert apart is not None
        return added, apart[0]

    added, apart = database.read_now(body)
    assert added == later
    assert apart == pytest.approx(seconds, abs=1e-9)


def test_locking_fragments_are_understood(database: Database) -> None:
    database.write_now(put, "a")
    for fragment in ("{for_update}", "{skip_locked}", "{for_key_share}"):
        text = f"select name from thing where name = 'a' {fragment}"
        assert database.write_now(lambda tx, text=text: tx.all(statement(text, str))) == ["a"]


def test_json_parameters_of_every_form(database: Database) -> None:
    for name, json in {"dict": {"a": [1]}, "text": '{"a": [1]}', "struct": Label("a", 1)}.items():
        database.write_now(insert, name=name, data=json)
    texts = database.read_now(lambda tx: tx.all(statement("select data from thing order by name", dict[str, Any])))
    assert texts == [{"a": [1]}, {"key": "a", "value": 1}, {"a": [1]}]


def test_an_unknown_fragment_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        value(database, "select {nowhere:x}")


# --- lists


def test_pages_and_counts(database: Database) -> None:
    for index, name in enumerate("abcde"):
        database.write_now(insert, name=name, number=index)
    where = Where()
    assert not where
    where.add("number >= :least", least=1)
    where.add("name {not_in:names}", names=["c"])
    assert where

    def body(tx: Tx) -> None:
        page = tx.page(Thing, f"select {COLUMNS} from thing", where, order="name", limit=2, offset=1)
        assert [thing.name for thing in page] == ["d", "e"]
        assert tx.count("from thing", where) == 3
        assert tx.count("from thing", Where()) == 5
        assert tx.composed(str, "select name from thing where {where} and number < :most", where, most=4) == ["b", "d"]

    database.read_now(body)


def test_parameters_of_conditions_are_kept_apart(database: Database) -> None:
    for index, name in enumerate("abc"):
        database.write_now(insert, name=name, number=index, tags=[name])
    first, second, third = Where(), Where(), Where()
    first.add("name = :x", x="a")
    second.add("number = :x and {has_any:tags:y}", x=1, y=["b"])
    third.add("t.tags is not null and name {in:x}", x=["a"])
    where = Where()
    where.add_any([first, second])
    assert database.read_now(lambda tx: tx.composed(str, "select name from thing where {where}", where)) == ["a", "b"]
    where.add_exists("select 1 from thing t where t.name = thing.name", third)
    assert database.read_now(lambda tx: tx.composed(str, "select name from thing where {where}", where)) == ["a"]


# --- the order of stored instants


INSTANTS = st.datetimes(timezones=st.timezones()).filter(lambda at: 2 <= at.year <= 9998)


@given(INSTANTS, INSTANTS)
def test_the_order_of_texts_is_the_order_of_instants(one: datetime, other: datetime) -> None:
    # In UTC: Python compares those of one zone by their clocks, and never takes an ambiguous one for equal.
    earlier, later = one.astimezone(UTC), other.astimezone(UTC)
    assert (times.text(one) < times.text(other)) == (earlier < later)
    assert (times.text(one) == times.text(other)) == (earlier == later)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(INSTANTS, min_size=2, max_size=8))
def test_databases_sort_instants_by_time(database: Database, instants: list[datetime]) -> None:
    run(database, "delete from thing")
    for index, instant in enumerate(instants):
        database.write_now(insert, name=str(index), born=instant)
    found = database.read_now(lambda tx: tx.all(statement("select born from thing order by born", datetime)))
    assert found == sorted(instant.astimezone(UTC) for instant in instants)
