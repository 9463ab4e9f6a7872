"""U+0000 in events: PostgreSQL has no such character, but JSON can hold one, and nothing that is asked fails."""

from __future__ import annotations

import json
from typing import Any

from tests.events.samples import ALL, AT
from tests.events.test_queries import api, ask

from lictor.db import Database
from lictor.kit import ids

NUL = "\u0000"


def an_event(**changes: Any) -> dict[str, Any]:
    return {
        "occurred": AT.isoformat(),
        "event": "it.happened",
        "resource": {"prefect.resource.id": "a.1", "x": "y"},
        "related": [{"prefect.resource.id": "b.2", "prefect.resource.role": "part", "x": "y"}],
        "payload": {"deep": "x"},
        "id": ids.new(),
        **changes,
    }


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"resource": {"labels": {"x": "y*"}}},
    {"resource": {"id_prefix": ["a"], "distinct": True}},
    {"related": {"labels": {"x": "*"}, "role": ["part"]}},
    {"related": {"resources_in_roles": [["b.2", "part"]]}},
    {"any_resource": {"labels": {"x": "!z"}}},
    {"text": {"query": "x -nothing"}},
    {"resource": {"labels": {f"x{NUL}": "y"}}, "text": {"query": f"a{NUL}b"}},
    {"event": {"name": [f"a{NUL}"], "prefix": [f"b{NUL}"]}},
]
PLACES: dict[str, dict[str, Any]] = {
    "payload": {"payload": {"text": f"a{NUL}b", f"k{NUL}": [f"{NUL}"]}},
    "label": {"resource": {"prefect.resource.id": "a.1", "x": f"y{NUL}"}},
    "name of a label": {"resource": {"prefect.resource.id": "a.1", f"x{NUL}": "y"}},
    "related label": {"related": [{"prefect.resource.id": "b.2", "prefect.resource.role": "part", "x": f"y{NUL}"}]},
    "related role": {"related": [{"prefect.resource.id": "b.2", "prefect.resource.role": f"pa{NUL}rt"}]},
    "related id": {"related": [{"prefect.resource.id": f"b{NUL}", "prefect.resource.role": "part"}]},
    "id": {"resource": {"prefect.resource.id": f"a{NUL}1"}},
    "event": {"event": f"it{NUL}happened"},
    "resource name": {"resource": {"prefect.resource.id": "a.1", "prefect.resource.name": f"y{NUL}"}},
}


def test_nothing_that_is_asked_fails(db: Database) -> None:
    for place, changes in PLACES.items():
        taken = api(db).post("/events", content=json.dumps([an_event(**changes)]).encode())
        assert taken.status in (204, 422), (place, taken)
    for wanted in QUESTIONS:
        # What is asked with it may be refused; what somebody else sent must not stand in the way.
        fine = (200, 422) if repr(NUL)[1:-1] in str(wanted) else (200,)
        answer = ask(db, **wanted)
        assert answer.status in fine, (wanted, answer)
        for countable in ("time", "event", "resource"):
            body = {"filter": {"occurred": ALL} | wanted}
            answer = api(db).post(f"/events/count-by/{countable}", json=body)
            assert answer.status in fine, (countable, wanted, answer)


def test_a_payload_keeps_it(db: Database) -> None:
    sent = an_event(**PLACES["payload"])
    assert api(db).post("/events", json=[sent]).status == 204
    assert [event["payload"] for event in ask(db).json["events"]] == [sent["payload"]]
