"""Events: asked for by filter, page by page, and counted."""

from __future__ import annotations

import time
from typing import Any

from ..scenario import POLL_SECONDS, Answer, Session, scenario
from .common import NOT_IDS, bad_bodies

ENV = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
    "PREFECT_API_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
}
PERIOD = {"since": "2026-06-01T00:00:00Z", "until": "2026-06-30T00:00:00Z"}


def at(second: str) -> str:
    return f"2026-06-03T12:00:{second}Z"


def event(name: str, second: str, resource: str, *related: tuple[str, str], **labels: str) -> dict[str, Any]:
    return {
        "occurred": at(second),
        "event": f"$uniq.{name}",
        "resource": {"prefect.resource.id": f"$uniq.{resource}", **labels},
        "related": [{"prefect.resource.id": f"$uniq.{id}", "prefect.resource.role": role} for id, role in related],
        "payload": {"n": [1, {"x": None}]},
        "id": f"$id:{name.replace('.', '_')}{second[:2]}",
    }


def stored(s: Session, count: int, wanted: dict[str, Any] | None = None) -> None:
    """Wait until so many of the scenario's own are there."""
    deadline = time.monotonic() + POLL_SECONDS
    body = {"filter": wanted or {"occurred": PERIOD, "any_resource": {"id_prefix": ["$uniq."]}}}
    while time.monotonic() < deadline:
        if s.request("POST", "/events/filter", body).body["total"] >= count:
            return
        time.sleep(0.1)


def some(s: Session) -> None:
    s.post(
        "/events",
        [
            event("a.run", "01", "r.1", ("flow.1", "flow"), color="red", **{"prefect.resource.name": "first"}),
            event("a.done", "02.000001", "r.1", ("flow.1", "flow"), ("tag.x", "tag"), color="blue"),
            event("b.run", "03.5", "r.2", ("tag.x", "tag"), ("r.1", "parent"), **{"prefect.name": "second"}),
            event("b.run", "04", "other", color="r*d"),
            event("c", "05", "r.1", **{"prefect.resource.name": "last"}),
        ],
    )
    stored(s, 5)


def ask(s: Session, wanted: dict[str, Any], **body: Any) -> Answer:
    own = {"occurred": PERIOD, "any_resource": {"id_prefix": ["$uniq."]}}
    answer = s.request("POST", "/events/filter", {"filter": own | wanted, **body})
    if isinstance(answer.body, dict) and "events" in answer.body:
        s.saved["next"] = {"token": (answer.body["next_page"] or "=").partition("page-token=")[2]}
    return s.post("/events/filter", {"filter": own | wanted, **body}, masked=("next_page", "received"))


@scenario
def a_page(s: Session) -> None:
    some(s)
    ask(s, {})
    ask(s, {"order": "ASC"})


@scenario
def pages(s: Session) -> None:
    some(s)
    ask(s, {}, limit=2)
    answer = s.get("/events/filter/next?page-token={next.token}", masked=("next_page", "received"))
    s.saved["next"] = {"token": answer.body["next_page"].partition("page-token=")[2]}
    s.get("/events/filter/next?page-token={next.token}", masked=("received",))
    ask(s, {}, limit=0)
    ask(s, {}, limit=5)


@scenario
def names_and_periods(s: Session) -> None:
    some(s)
    for wanted in (
        {"event": {"name": ["$uniq.b.run", "$uniq.c"]}},
        {"event": {"prefix": ["$uniq.a."]}},
        {"event": {"exclude_prefix": ["$uniq.a."]}},
        {"event": {"exclude_name": ["$uniq.b.run"]}},
        {"event": {"prefix": ["$uniq.a.", "$uniq.b"], "exclude_name": ["$uniq.a.done"]}},
        {"event": {"name": [], "prefix": None}},
        {"occurred": {"since": at("02.000001"), "until": at("04")}},
        {"occurred": {"since": at("02.000002"), "until": "2026-06-03T14:00:03.5+02:00"}},
        {"occurred": {"since": at("05"), "until": at("01")}},
        {"id": {"id": ["$id:c05", "$id:a_run01"]}},
        {"id": {"id": []}},
    ):
        ask(s, wanted)


@scenario
def resources(s: Session) -> None:
    some(s)
    for wanted in (
        {"resource": {"id": ["$uniq.r.1"]}},
        {"resource": {"id_prefix": ["$uniq.r."]}},
        {"resource": {"labels": {"color": "red"}}},
        {"resource": {"labels": {"color": ["red", "blue"]}}},
        {"resource": {"labels": {"color": "!red"}}},
        {"resource": {"labels": {"color": "r*"}}},
        {"resource": {"labels": {"color": "?lue"}}},
        {"resource": {"labels": {"color": []}}},
        {"resource": {"labels": {"prefect.resource.id": "$uniq.r.*"}}},
        {"resource": {"labels": {"prefect.resource.id": ["$uniq.r.2", "$uniq.other"]}}},
        {"resource": {"labels": {"prefect.resource.id": "!$uniq.r.1"}}},
        {"resource": {"distinct": True}},
        {"resource": {"distinct": True}, "order": "ASC"},
        {"related": {"id": ["$uniq.flow.1"]}},
        {"related": {"id": ["$uniq.r.1"]}},
        {"related": {"role": ["tag"], "id": ["$uniq.tag.x"]}},
        {"related": {"resources_in_roles": [["$uniq.r.1", "parent"], ["$uniq.flow.1", "parent"]]}},
        {"related": {"labels": {"prefect.resource.id": "$uniq.tag.*", "prefect.resource.role": ["tag"]}}},
        {"related": [{"id": ["$uniq.flow.1"]}, {"id": ["$uniq.tag.x"]}]},
        {"related": []},
        {"any_resource": {"id": ["$uniq.r.1"]}},
        {"any_resource": {"id_prefix": ["$uniq.tag", "$uniq.flow"]}},
        {"any_resource": {"labels": {"prefect.resource.id": "$uniq.r.1", "color": "blue"}}},
        {"any_resource": [{"id": ["$uniq.r.1"]}, {"id": ["$uniq.tag.x"]}]},
    ):
        ask(s, wanted)


@scenario
def counts(s: Session) -> None:
    some(s)
    own = {"occurred": {"since": at("00"), "until": at("06")}, "any_resource": {"id_prefix": ["$uniq."]}}
    for countable in ("event", "resource", "time", "day"):
        s.post(f"/events/count-by/{countable}", {"filter": own})
    for unit, interval in (
        ("week", 1),
        ("day", 0.5),
        ("hour", 1),
        ("hour", 5),
        ("minute", 1),
        ("second", 1),
        ("second", 2.5),
    ):
        s.post("/events/count-by/time", {"filter": own, "time_unit": unit, "time_interval": interval})
    for wanted in (
        {"resource": {"id": ["$uniq.r.1"]}},
        {"event": {"exclude_name": ["$uniq.b.run"]}},
        {"event": {"name": ["x"]}},
    ):
        for countable in ("event", "resource", "time"):
            s.post(f"/events/count-by/{countable}", {"filter": own | wanted, "time_unit": "second", "time_interval": 2})
    s.post("/events/count-by/time", {"filter": own | {"occurred": {"since": at("06"), "until": at("00")}}})


@scenario
def bad_counts(s: Session) -> None:
    wanted = {"occurred": PERIOD}
    s.post("/events/count-by/colour", {"filter": wanted})
    for more in (
        {"time_unit": "year"},
        {"time_interval": 0.001},
        {"time_interval": "x"},
        {"time_unit": "second"},
        {"time_interval": 0.01},
    ):
        s.post("/events/count-by/time", {"filter": wanted, **more})
        s.post("/events/count-by/event", {"filter": wanted, **more})
    s.post("/events/count-by/event", {})
    s.post("/events/count-by/event", {"filter": None})
    s.post("/events/count-by/event", {"filter": {"nope": 1}})
    bad_bodies(s, "POST", "/events/count-by/event")


@scenario
def bad_filters(s: Session) -> None:
    for wanted in (
        {"nope": 1},
        {"occurred": None},
        {"occurred": {"since": "x"}},
        {"occurred": {"since": None}},
        {"occurred": []},
        {"id": None},
        {"id": {"id": ["x"]}},
        {"order": "UP"},
        {"event": {"name": "x"}},
        {"event": {"nope": []}},
        {"resource": {"labels": {"a": 1}}},
        {"resource": {"labels": []}},
        {"resource": {"distinct": "maybe"}},
        {"related": 3},
        {"related": {"x": 1}},
        {"related": [{"x": 1}]},
        {"related": {"resources_in_roles": [["a"]]}},
        {"any_resource": "x"},
        {"text": {}},
        {"text": {"query": "x" * 201}},
        3,
        [],
    ):
        s.post("/events/filter", {"filter": wanted})
    for limit in (-1, 51, "x", None, 1.5):
        s.post("/events/filter", {"filter": {"event": {"name": ["$uniq"]}, "occurred": PERIOD}, "limit": limit})
    for token in ("", "x", "bm8=", "%20", *NOT_IDS[:2]):
        s.get(f"/events/filter/next?page-token={token}")
    s.get("/events/filter/next")
