"""`/events/filter`, its further pages, and `/events/count-by/…`."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.calls import client, errors
from tests.events.samples import ALL, AT, an_event, write
from tests.web.client import Answer, TestClient

from lictor.db import Database, Tx
from lictor.events import reading, routes
from lictor.events.ingest import Intake
from lictor.events.remembering import Memory
from lictor.events.streaming import EventStream, Hub
from lictor.feed import Bell
from lictor.kit import clock, ids

NAME = {"prefect.resource.name": "first name"}


def api(db: Database) -> TestClient:
    return client(db, routes.router, intake=Intake(db), memory=Memory(), stream=EventStream(db, Hub(db, Bell())))


def ask(db: Database, limit: int = 50, **wanted: Any) -> Answer:
    return api(db).post("/events/filter", json={"filter": {"occurred": ALL} | wanted, "limit": limit})


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [event["event"] for event in answer.json["events"]]


def follow(db: Database, answer: Answer) -> Answer:
    link: str = answer.json["next_page"]
    return api(db).get(link[link.index("/events/") :])


def test_an_event_comes_back_as_it_was_sent(db: Database) -> None:
    sent = {
        "occurred": "2024-04-03T14:00:00+02:00",
        "event": "it.happened",
        "resource": {"prefect.resource.id": "a.1", "x": "y"},
        "related": [{"prefect.resource.id": "b.2", "prefect.resource.role": "part"}],
        "payload": {"deep": [1, {"n": None}], "big": 12345678901234567890},
        "id": ids.new(),
        "follows": ids.new(),
    }
    assert api(db).post("/events", json=[sent]).status == 204
    answer = ask(db)
    [event] = answer.json["events"]
    assert datetime.fromisoformat(event.pop("received"))
    assert event == sent | {"occurred": "2024-04-03T12:00:00Z"}
    assert (answer.json["total"], answer.json["next_page"]) == (1, None)


def test_pages_follow_each_other(db: Database) -> None:
    write(db, *(an_event(f"e{number}", second=number // 2) for number in range(5)))
    first = ask(db, 2)
    assert (names(first), first.json["total"]) == (["e4", "e3"], 5)
    # What comes later changes neither the total nor, if it occurred before, what is behind.
    write(db, an_event("early", second=-1))
    second = follow(db, first)
    assert (names(second), second.json["total"]) == (["e2", "e1"], 5)
    third = follow(db, second)
    assert (names(third), third.json["next_page"]) == (["e0", "early"], None)
    assert names(ask(db, 2, order="ASC")) == ["early", "e0"]


def test_without_a_filter_there_are_the_last_half_year_s(db: Database) -> None:
    clock.set_source(lambda: AT)
    midnight = AT.replace(hour=0, minute=0, second=0, microsecond=0)
    oldest = (midnight - timedelta(days=180) - AT).total_seconds()
    write(db, *(an_event(name, second) for name, second in (("old", oldest - 1), ("oldest", oldest), ("new", 0))))
    write(db, an_event("to come", 1))
    for body in ({}, {"filter": None}, {"filter": {}}, None):
        answer = api(db).post("/events/filter", **({} if body is None else {"json": body}))
        assert names(answer) == ["new", "oldest"]


def test_a_page_of_nothing(db: Database) -> None:
    write(db, an_event())
    answer = ask(db, 0)
    assert (answer.json["events"], answer.json["total"]) == ([], 1)
    assert answer.json["next_page"]
    assert names(follow(db, answer)) == []


def test_what_is_deleted_while_a_page_is_read_is_left_out(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write(db, an_event("kept", 0), an_event("gone", 1))
    read = reading.at

    def after_it_was_deleted(tx: Tx, positions: list[int]) -> list[reading.Recorded]:
        return [event for event in read(tx, positions) if event.event != "gone"]

    monkeypatch.setattr(reading, "at", after_it_was_deleted)
    answer = ask(db)
    assert (names(answer), answer.json["total"]) == (["kept"], 2)


def test_distinct_resources(db: Database) -> None:
    write(db, *(an_event(f"e{number}", number, f"a.{number % 2}") for number in range(4)))
    answer = ask(db, resource={"distinct": True})
    assert (names(answer), answer.json["total"]) == (["e3", "e2"], 2)
    assert names(ask(db, resource={"distinct": True}, order="ASC")) == ["e0", "e1"]


def token(content: Any) -> str:
    return base64.b64encode(base64.b64encode(json.dumps(content).encode())).decode()


GOOD = {"filter": {"occurred": ALL}, "count": 100, "page_size": 2, "offset": 0}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "€",
        "bm8=",
        token({}),
        token([]),
        token(GOOD | {"filter": {"x": 1}}),
        token(GOOD | {"page_size": 1000}),
        token(GOOD | {"page_size": -1}),
        token(GOOD | {"offset": -1}),
        token(GOOD | {"offset": 10**30}),
        base64.b64encode(base64.b64encode(b"[" * 5000)).decode(),
    ],
)
def test_what_is_no_token_is_refused(db: Database, given: str) -> None:
    assert api(db).get("/events/filter/next", params={"page-token": given}).status == 403


def test_a_token_is_enough(db: Database) -> None:
    write(db, an_event("one"))
    assert names(api(db).get("/events/filter/next", params={"page-token": token(GOOD)})) == ["one"]
    assert errors(api(db).get("/events/filter/next")) == [("missing", ["query", "page-token"])]


def count(db: Database, countable: str, wanted: dict[str, Any] | None = None, **body: Any) -> Any:
    answer = api(db).post(f"/events/count-by/{countable}", json={"filter": {"occurred": ALL} | (wanted or {})} | body)
    return answer.json if answer.status == 200 else answer


def test_by_name(db: Database) -> None:
    write(db, an_event("b", 1), an_event("a", 2), an_event("b", 3), an_event("c", 4, resource="other"))
    found = count(db, "event", {"any_resource": {"id": ["a.1"]}})
    assert [(one["value"], one["label"], one["count"]) for one in found] == [("b", "b", 2), ("a", "a", 1)]
    assert (found[0]["start_time"], found[0]["end_time"]) == (
        "2024-04-03T12:00:01.123456Z",
        "2024-04-03T12:00:03.123456Z",
    )


def test_by_resource_under_its_latest_name(db: Database) -> None:
    write(db, an_event(labels=NAME), an_event(second=1, labels={"prefect.resource.name": "last name"}))
    write(db, an_event(resource="b", labels={"prefect.name": "other"}), an_event(resource="c"))
    found = [(one["value"], one["label"], one["count"]) for one in count(db, "resource")]
    assert found == [("a.1", "last name", 2), ("c", "c", 1), ("b", "other", 1)]


@pytest.mark.parametrize("few", [True, False])
def test_by_time(db: Database, few: bool) -> None:
    """Spans are counted from a Monday in 2024; both ends of the filter cut off what they cut."""
    write(db, *(an_event(second=second) for second in (-1, 0, 59.876543, 59.876544, 119.876543, 200)))
    more = {"any_resource": {"id": ["a.1"]}} if few else {}
    wanted = {"occurred": {"since": "2024-04-03T12:00:00.5Z", "until": "2024-04-03T12:01:59.999999Z"}} | more
    found = count(db, "time", wanted, time_unit="minute")
    assert found == [
        {
            "value": str(minute),
            "label": f"2024-04-03T12:0{minute}:00+00:00",
            "count": many,
            "start_time": f"2024-04-03T12:0{minute}:00Z",
            "end_time": f"2024-04-03T12:0{minute}:59.999999Z",
        }
        for minute, many in ((0, 1), (1, 2))
    ]


@pytest.mark.parametrize("more", [{}, {"any_resource": {"id": ["a.1"]}}, {"any_resource": {"id_prefix": ["a"]}}])
def test_a_period_that_ends_before_it_begins_has_no_events(db: Database, more: dict[str, Any]) -> None:
    write(db, an_event(), an_event(second=1))
    wanted = {"occurred": {"since": "2024-04-03T12:00:06Z", "until": "2024-04-03T12:00:00Z"}} | more
    assert [one["count"] for one in count(db, "time", wanted)] == [0]
    assert count(db, "event", wanted) == count(db, "resource", wanted) == []
    assert api(db).post("/events/filter", json={"filter": wanted}).json["total"] == 0


@pytest.mark.parametrize(
    ("unit", "interval", "spans", "first"),
    [
        ("week", 1, 1, "2024-04-01T00:00:00+00:00"),
        ("week", 0.5, 1, "2024-04-01T00:00:00+00:00"),
        ("day", 1, 2, "2024-04-03T00:00:00+00:00"),
        ("hour", 7, 4, "2024-04-03T08:00:00+00:00"),
        ("minute", 90, 16, "2024-04-03T12:00:00+00:00"),
        ("second", 100, 864, "2024-04-03T12:00:00+00:00"),
    ],
)
def test_units_of_time(db: Database, unit: str, interval: float, spans: int, first: str) -> None:
    write(db, an_event(), an_event(second=80_000))
    day = {"occurred": {"since": "2024-04-03T12:00:00Z", "until": "2024-04-04T12:00:00Z"}}
    found = count(db, "time", day, time_unit=unit, time_interval=interval)
    assert (len(found), found[0]["label"]) == (spans, first)
    assert sum(one["count"] for one in found) == 2
    assert [one["value"] for one in found] == [str(number) for number in range(spans)]


def test_there_is_no_span_after_the_present(db: Database) -> None:
    clock.set_source(lambda: AT)
    week = {"occurred": {"since": "2024-04-03T10:00:00Z", "until": "2024-04-10T00:00:00Z"}}
    assert [one["label"][11:13] for one in count(db, "time", week, time_unit="hour")] == ["10", "11", "12"]
    assert len(count(db, "day", week)) == 1
    assert count(db, "time", {"occurred": {"since": ALL["until"], "until": ALL["since"]}}) == []


def test_too_many_spans_are_refused_whatever_is_counted(db: Database) -> None:
    for countable in ("time", "event", "resource"):
        answer = count(db, countable, time_unit="minute")
        assert answer.status == 422
        assert answer.json["detail"].startswith("The given interval would create 527040 buckets, which is too many.")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"time_interval": 1e300}, 422),
        ({"time_unit": "week", "time_interval": 1e6}, 422),
        ({"time_interval": 0.001}, 422),
        ({"time_unit": "year"}, 422),
        ({"filter": {"occurred": {"since": "0001-01-01T00:00:00Z"}}, "time_unit": "week", "time_interval": 1000}, 422),
        ({"filter": {"occurred": {"until": "9999-12-31T23:59:59Z"}}, "time_unit": "week", "time_interval": 1000}, 200),
    ],
)
def test_odd_intervals(db: Database, body: dict[str, Any], status: int) -> None:
    for countable in ("time", "day", "event"):
        given = {"filter": {"occurred": {}}} | body
        answer = api(db).post(f"/events/count-by/{countable}", json=given)
        assert answer.status in {status, 200, 422}, answer


def test_what_cannot_be_counted(db: Database) -> None:
    answer = api(db).post("/events/count-by/colour", json={"filter": {}})
    assert errors(answer) == [("enum", ["path", "countable"])]
    assert errors(api(db).post("/events/count-by/event", json={})) == [("missing", ["body", "filter"])]


def test_days_are_utc(db: Database) -> None:
    write(db, an_event(second=12 * 3600 - 1), an_event(second=12 * 3600))
    period = {"occurred": {"since": datetime(2024, 4, 3, tzinfo=UTC).isoformat(), "until": "2024-04-05T01:00:00+01:00"}}
    assert [one["count"] for one in count(db, "day", period)] == [1, 1]
