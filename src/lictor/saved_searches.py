"""Saved searches: named sets of filters that the dashboard keeps, at /api/saved_searches."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime

from msgspec import Raw, Struct

from lictor.db import Database, Tx, Where, sql
from lictor.kit import clock, ids
from lictor.kit.errors import NotFound
from lictor.web import DEFAULT_LIMIT, Created, Embedded, Limit, Offset, Router


class SavedSearchFilter(Struct):
    """Nothing but the dashboard reads one; keys that are not these are dropped, as in the reference."""

    object: str
    property: str
    type: str
    operation: str
    value: Raw


class SavedSearch(Struct):
    id: str
    created: datetime
    updated: datetime
    name: str
    filters: Raw


class SavedSearchCreate(Struct, forbid_unknown_fields=True):
    name: str
    filters: list[SavedSearchFilter] = []


class SavedSearchPage(Embedded):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


COLUMNS = "id, created, updated, name, filters"

FIND = sql("saved_searches.find", SavedSearch, f"select {COLUMNS} from saved_search where id = :id")
# `updated` stays as it was: the reference does not touch it here.
UPSERT = sql(
    "saved_searches.upsert",
    SavedSearch,
    f"""
    insert into saved_search (id, created, updated, name, filters) values (:id, :now, :now, :name, :filters)
    on conflict (name) do update set filters = excluded.filters
    returning {COLUMNS}
    """,
)
DELETE = sql("saved_searches.delete", None, "delete from saved_search where id = :id")


def get(tx: Tx, id: str) -> SavedSearch:
    return tx.get(FIND, missing(), id=id)


def upsert(tx: Tx, new: SavedSearchCreate) -> Created[SavedSearch]:
    """By name: the filters of one that is there are replaced."""
    id = ids.new()
    saved = tx.one(UPSERT, id=id, now=clock.now(), name=new.name, filters=new.filters)
    assert saved is not None
    return Created(saved, saved.id == id)


def page(tx: Tx, asked: SavedSearchPage) -> list[SavedSearch]:
    select = f"select {COLUMNS} from saved_search"
    return tx.page(SavedSearch, select, Where(), order="name", limit=asked.limit, offset=asked.offset)


def delete(tx: Tx, id: str) -> None:
    if not tx.run(DELETE, id=id):
        raise missing()


def missing() -> NotFound:
    return NotFound("Saved search not found")


router = Router("/saved_searches", tag="SavedSearches")


@router.put("/", also=(201,))
def create_saved_search(body: SavedSearchCreate, db: Database) -> Awaitable[Created[SavedSearch]]:
    return db.write(upsert, body)


@router.get("/{id:uuid}")
def read_saved_search(id: str, db: Database) -> Awaitable[SavedSearch]:
    return db.read(get, id)


@router.post("/filter")
def read_saved_searches(body: SavedSearchPage, db: Database) -> Awaitable[list[SavedSearch]]:
    return db.read(page, body)


@router.delete("/{id:uuid}", status=204)
def delete_saved_search(id: str, db: Database) -> Awaitable[None]:
    return db.write(delete, id)
