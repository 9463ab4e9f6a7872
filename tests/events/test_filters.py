"""What each key of a filter lets through; the database and the matching of live events say the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.samples import ALL, an_event, write

from lictor.db import Database, Tx
from lictor.events import counting, listing, matching, narrowing
from lictor.events.counting import Countable, CountQuery, TimeUnit
from lictor.events.filters import EventFilter
from lictor.events.remembering import Memory
from lictor.events.streaming import AHEAD
from lictor.kit.errors import Unprocessable

DISK = {"note": "Disk 100%"}
FLOW, TAG, RUN = ("flow.1", "flow"), ("tag.x", "tag"), ("run.1", "flow-run")
EVENTS = [
    an_event("flow.run", 0, "run.1", labels={"color": "red", "prefect.resource.name": "One"}, related=[FLOW]),
    an_event("flow.done", 1, "run.1", labels={"color": "blue"}, related=[FLOW, (*TAG, {"size": "L"})]),
    an_event("flow.run", 2, "run.2", labels={"color": "Red_1"}, related=[TAG], payload=DISK),
    an_event("Flow.run", 3, "Run.3", labels={"color": "re[d]"}, payload={"note": "disk_full"}),
    an_event("task.run", 4, "task.1", related=[RUN, ("flow.1", "owner", {"size": "S*"})]),
    an_event("task.done", 5, "task.1", labels={"color": ""}, related=[RUN]),
    an_event("ta%k.ru_", 6, "run_1", labels={"a.b": 'say "x"', "$c": "d\\e"}),
]


def wanted(**keys: Any) -> EventFilter:
    return msgspec.convert({"occurred": ALL, "order": "ASC"} | keys, EventFilter)


def by_sql(db: Database, filter: EventFilter) -> list[int]:
    def body(tx: Tx) -> list[int]:
        found = [one.position for one in listing.page(tx, filter, 50)]
        assert listing.page(tx, filter, 2, 1) == listing.page(tx, filter, 50)[1:3]
        assert len(found) == listing.count(tx, filter)
        first = listing.first_page(tx, filter, 50, Memory())
        assert (len(found), [one.id for one in listing.page(tx, filter, 50)]) == (
            first.total,
            [e.id for e in first.events],
        )
        return found

    return db.read_now(body)


def by_counts(db: Database, filter: EventFilter, countable: Countable) -> int:
    query = CountQuery(filter, TimeUnit.week, 52.0)
    return sum(each.count for each in db.read_now(counting.count, countable, query, Memory()))


def by_hand(db: Database, filter: EventFilter) -> list[int]:
    lines = db.read_now(lambda tx: tx.all(AHEAD, last=0, limit=100))
    return [line.position for line in lines if matching.matcher(filter)(line)]


def found(db: Database, **keys: Any) -> str:
    """The seconds of the events that are let through, by the log in order and by what it knows of few resources."""
    filter = wanted(**keys)
    answers = [by_sql(db, filter), by_hand(db, filter)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrowing, "FEW", 0)
        patch.setattr(narrowing, "FEW_TO_COUNT", 0)
        answers.append(by_sql(db, filter))
    assert answers[0] == answers[1] == answers[2], answers
    if not filter.distinct:
        counts = [
            by_counts(db, filter, countable) for countable in (Countable.time, Countable.event, Countable.resource)
        ]
        assert counts == [len(answers[0])] * len(counts)
    return "".join(str(position - 1) for position in answers[0])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "0123456"),
        ({"occurred": {"since": "2024-04-03T12:00:01.123456Z", "until": "2024-04-03T14:00:03.123456+02:00"}}, "123"),
        ({"event": {"name": ["flow.run", "task.run"]}}, "024"),
        ({"event": {"exclude_name": ["flow.run"]}}, "13456"),
        ({"event": {"prefix": ["flow.", "ta%"]}}, "0126"),
        ({"event": {"exclude_prefix": ["flow.", "task"]}}, "36"),
        ({"event": {"prefix": [], "name": [], "exclude_name": [], "exclude_prefix": []}}, "0123456"),
        ({"event": {"prefix": ["flow."], "exclude_name": ["flow.run"]}}, "1"),
        ({"event": {"prefix": [""]}}, "0123456"),
        ({"resource": {"id": ["run.1"]}}, "01"),
        ({"resource": {"id": ["run.1", "run.2", "flow.1"]}}, "012"),
        ({"resource": {"id_prefix": ["run."]}}, "012"),
        ({"resource": {"id_prefix": ["run_", "Run"]}}, "36"),
        ({"resource": {"labels": {"color": "red"}}}, "0"),
        ({"resource": {"labels": {"color": ["red", "blue"]}}}, "01"),
        ({"resource": {"labels": {"color": "!red"}}}, "1235"),
        ({"resource": {"labels": {"color": "*e*"}}}, "0123"),
        ({"resource": {"labels": {"color": "?ed*"}}}, "02"),
        ({"resource": {"labels": {"color": "re[d]"}}}, "3"),
        ({"resource": {"labels": {"color": "re[d]*"}}}, "3"),
        ({"resource": {"labels": {"color": "!*e*"}}}, "5"),
        ({"resource": {"labels": {"color": ""}}}, "5"),
        ({"resource": {"labels": {"color": []}}}, ""),
        ({"resource": {"labels": {"prefect.resource.id": []}}}, "0123456"),
        ({"resource": {"labels": {"prefect.resource.id": "run.*", "color": "red"}}}, "0"),
        ({"resource": {"labels": {"prefect.resource.id": "!run.*"}}}, "3456"),
        ({"resource": {"labels": {"prefect.resource.id": ["run.1", "run.2"]}}}, "012"),
        ({"resource": {"labels": {"a.b": 'say "x"', "$c": "d\\e"}}}, "6"),
        ({"resource": {"labels": {"$c": "d\\*"}}}, "6"),
        ({"resource": {"labels": {}}}, "0123456"),
        ({"related": {"id": ["flow.1"]}}, "014"),
        ({"related": {"id": ["flow.1"], "role": ["flow"]}}, "01"),
        ({"related": {"role": ["tag", "owner"]}}, "124"),
        ({"related": {"resources_in_roles": [["flow.1", "owner"], ["tag.x", "tag"]]}}, "124"),
        ({"related": {"labels": {"size": "S*"}}}, "4"),
        ({"related": {"labels": {"size": "*"}, "id": ["tag.x"]}}, "1"),
        ({"related": {"labels": {"prefect.resource.role": ["owner"], "prefect.resource.id": "flow.?"}}}, "4"),
        ({"related": [{"id": ["flow.1"]}, {"id": ["tag.x"]}]}, "1"),
        ({"related": {}}, "0123456"),
        ({"related": []}, "0123456"),
        ({"related": {"labels": {"prefect.resource.id": []}}}, "01245"),
        ({"any_resource": {"id": ["run.1"]}}, "0145"),
        ({"any_resource": {"id_prefix": ["run."]}}, "01245"),
        ({"any_resource": {"id": ["run.1"], "id_prefix": ["flow"]}}, ""),
        ({"any_resource": {"labels": {"color": "red"}}}, "0"),
        ({"any_resource": {"labels": {"prefect.resource.role": "flow-run"}}}, "45"),
        ({"any_resource": {"labels": {"prefect.resource.id": "run.1"}}}, "0145"),
        ({"any_resource": [{"id": ["run.1"]}, {"id": ["task.1"]}]}, "45"),
        ({"any_resource": {"id_prefix": []}}, "0123456"),
        ({"id": {"id": []}}, "0123456"),
        ({"text": {"query": "disk"}}, "23"),
        ({"text": {"query": "disk -100%"}}, "3"),
        ({"text": {"query": "disk_"}}, "3"),
        ({"text": {"query": "+run.1 +task"}}, "45"),
        ({"text": {"query": ""}}, "0123456"),
        ({"event": {"name": ["flow.run"]}, "related": {"id": ["flow.1"]}, "text": {"query": "one"}}, "0"),
    ],
)
def test_a_filter(db: Database, keys: dict[str, Any], expected: str) -> None:
    write(db, *EVENTS)
    assert found(db, **keys) == expected


def test_ids(db: Database) -> None:
    write(db, *EVENTS)
    assert found(db, id={"id": [EVENTS[2].id, EVENTS[4].id.upper()]}) == "24"


TEXTS = ["run.1", "flow.1", "tag.x", "flow.run", "task", "run", "red", "r*", "?ed", "!red", "!*e*", "flow", "tag"]
WORDS = st.sampled_from(["", *TEXTS])
LIST = st.lists(WORDS, max_size=2)
SOME = st.none() | LIST
LABEL = st.sampled_from(["color", "size", "prefect.resource.id", "prefect.resource.role", "a.b"])
LABELS = st.none() | st.dictionaries(LABEL, WORDS | LIST, max_size=2)
PAIRS = st.none() | st.lists(st.tuples(WORDS, WORDS), max_size=2)
RELATED = st.fixed_dictionaries({"id": SOME, "role": SOME, "labels": LABELS, "resources_in_roles": PAIRS})
ANY = st.fixed_dictionaries({"id": SOME, "id_prefix": SOME, "labels": LABELS})
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.fixed_dictionaries(dict.fromkeys(("name", "prefix", "exclude_name", "exclude_prefix"), SOME)),
        "resource": ANY,
        "related": RELATED | st.lists(RELATED, max_size=2),
        "any_resource": ANY | st.lists(ANY, max_size=2),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=FILTERS)
def test_live_events_are_matched_as_the_database_does(db: Database, keys: dict[str, Any]) -> None:
    if not by_hand(db, wanted()):
        write(db, *EVENTS)
    found(db, **keys)


def test_very_many_words_are_no_trouble(db: Database) -> None:
    write(db, *EVENTS)
    ids = [f"word {index}" for index in range(5000)]
    words = ids[:300]
    assert found(db, event={"name": ids, "prefix": words}) == ""
    assert found(db, event={"exclude_name": ids, "exclude_prefix": words}) == "0123456"
    assert found(db, any_resource={"id": ids, "id_prefix": words[:150], "labels": {"color": words[:150]}}) == ""
    assert found(db, related={"resources_in_roles": [[word, word] for word in words]}) == ""
    assert found(db, resource={"labels": dict.fromkeys(words, "x")}) == ""
    for too_many in ({"event": {"prefix": ids}}, {"event": {"prefix": ids}, "any_resource": {"id": ["run.1"]}}):
        with pytest.raises(Unprocessable):
            found(db, **too_many)
    with pytest.raises(Unprocessable):
        found(db, any_resource=[{"id": [id]} for id in ids[:201]])
    assert found(db, any_resource=[{"id": ["run.1"]}] * 30, related=[{}] * 1000) == "0145"


def test_half_an_event_is_not_found_by_its_json(db: Database) -> None:
    """A label is looked for by its whole name, a value as a whole, whatever characters they hold."""
    write(db, an_event(labels={"x": '"color":"red"', "co%": "1"}))
    assert found(db, resource={"labels": {"color": "red"}}) == ""
    assert found(db, resource={"labels": {"co%": "1"}}) == "0"
    assert found(db, resource={"labels": {"co_": "1"}}) == ""
