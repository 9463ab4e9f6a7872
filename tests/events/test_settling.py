"""What a filter comes down to in a log."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.events.samples import ALL, an_event, write

from lictor.db import Database
from lictor.events import settling, tallies
from lictor.events.filters import EventFilter


def settled(db: Database, **wanted: Any) -> dict[str, Any]:
    """What it says of names and resources."""
    found = db.read_now(settling.settled, msgspec.convert({"occurred": ALL} | wanted, EventFilter))
    return {
        "event": found.event,
        "resource": found.resource and (found.resource.id, found.resource.id_prefix),
        "any": [(part.id, part.id_prefix) for part in found.every_any_resource],
    }


def test_how_ids_begin_becomes_the_ids_that_begin_so(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["a.1", "a.10", "a.2", "A.1", "a-1", "b"]
    write(db, *(an_event("e", n, id, related=[(f"of {id}", "part")]) for n, id in enumerate(ids)))
    assert settled(db, any_resource={"id_prefix": ["a.1"]})["any"] == [(["a.1", "a.10"], None)]
    assert settled(db, any_resource=[{"id_prefix": ["of b", "b"]}, {}])["any"] == [(["b", "of b"], None), (None, None)]
    assert settled(db, resource={"id_prefix": ["c", "d"]})["resource"] == (["c"], None)
    both = {"id": ["a.1"], "id_prefix": ["a"]}
    assert settled(db, resource=both)["resource"] == (["a.1"], ["a"])
    monkeypatch.setattr(settling, "MOST_IDS", 1)
    assert settled(db, any_resource={"id_prefix": ["a.1"]})["any"] == [(None, ["a.1"])]


def test_names_that_are_all_meant_are_not_asked_for(db: Database) -> None:
    """As the tallies tell, and what has not been tallied yet."""
    write(db, an_event("x.a"), an_event("x.b", 1))
    db.write_now(tallies.fold, 10)
    some = {"any_resource": {"id": ["a.1"]}}
    dashboards = {"prefix": ["x."], "exclude_name": ["prefect.log.write"]}
    assert settled(db, event=dashboards, **some)["event"] is None
    assert settled(db, event={"name": ["x.a"]}, **some)["event"] is not None
    # Tallies answer that themselves.
    assert settled(db, event=dashboards)["event"] is not None
    write(db, an_event("prefect.log.write", 2))
    assert settled(db, event=dashboards, **some)["event"] is not None
