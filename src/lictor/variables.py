"""Variables: small JSON values by name, at /api/variables."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lictor.db import Database, Tx, Where, sql
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, Event
from lictor.filters import Filter
from lictor.filters.leaves import AllTags, AnyId, Name, on
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound
from lictor.web import DEFAULT_LIMIT, Checked, Checks, Embedded, FieldError, Limit, Offset, Router

MAX_NAME = 255
MAX_VALUE_BYTES = 5000

_json = msgspec.json.encode
# `$` also matches before a last line feed, and such names are accepted by the reference too.
_NAME = re.compile(r"^[a-z0-9-_]*$")


class Variable(Struct):
    """`value` is JSON as it was stored."""

    id: str
    created: datetime
    updated: datetime
    name: str
    value: Raw
    tags: list[str]


def check_name(name: str | None) -> None:
    if name is None:
        return
    if not _NAME.match(name):
        raise FieldError("Variable name must only contain lowercase letters, numbers, and dashes or underscores.")
    if len(name) > MAX_NAME:
        words = f"Value should have at most {MAX_NAME} items after validation, not {len(name)}"
        ctx = {"field_type": "Value", "max_length": MAX_NAME, "actual_length": len(name)}
        raise FieldError(words, type="too_long", ctx=ctx)


def check_value(value: Any) -> None:
    """The reference's serializer knows neither integers of more than 64 bits nor half a surrogate pair."""
    try:
        text = _json(value)
    except UnicodeEncodeError:
        raise FieldError("Variable value must be serializable to JSON") from None
    if not all(-(2**63) <= number < 2**64 for number in integers(value)):
        raise FieldError("Variable value must be serializable to JSON")
    if value is not None and len(text) > MAX_VALUE_BYTES:
        raise FieldError(f"Variable value must be less than {MAX_VALUE_BYTES} characters")


def integers(value: Any) -> Iterator[int]:
    """All integers in a JSON value."""
    match value:
        case int():
            yield value
        case list():
            for item in value:
                yield from integers(item)
        case dict():
            for item in value.values():
                yield from integers(item)


class VariableCreate(Checked, Struct, forbid_unknown_fields=True):
    checks: ClassVar[Checks] = {"name": check_name, "value": check_value}

    name: str
    value: Any
    tags: list[str] = []


class VariableUpdate(Checked, Struct, forbid_unknown_fields=True):
    """Absent: as it was. A name or tags of null pass as input and then conflict with the table, as in the reference."""

    checks: ClassVar[Checks] = {"name": check_name, "value": check_value}

    name: str | UnsetType | None = UNSET
    value: Any | UnsetType = UNSET
    tags: list[str] | UnsetType | None = UNSET


class VariableFilter(Filter):
    id: Annotated[AnyId | None, on("v.id")] = None
    name: Annotated[Name | None, on("v.name")] = None
    tags: Annotated[AllTags | None, on("v.tags")] = None


class VariableSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"


class VariablePage(Embedded):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    variables: VariableFilter | None = None
    sort: VariableSort = VariableSort.NAME_ASC


class VariableCount(Embedded):
    variables: VariableFilter | None = None


COLUMNS = "v.id, v.created, v.updated, v.name, v.value, v.tags"
ORDER = {
    VariableSort.CREATED_DESC: "v.created desc, v.id desc",
    VariableSort.UPDATED_DESC: "v.updated desc, v.id desc",
    VariableSort.NAME_DESC: "v.name desc",
    VariableSort.NAME_ASC: "v.name",
}

FIND = sql("variables.find", Variable, f"select {COLUMNS} from variable v where v.id = :id")
FIND_BY_NAME = sql("variables.find_by_name", Variable, f"select {COLUMNS} from variable v where v.name = :name")
LOCK = sql("variables.lock", Variable, f"{FIND.text} {{for_update}}")
LOCK_BY_NAME = sql("variables.lock_by_name", Variable, f"{FIND_BY_NAME.text} {{for_update}}")
INSERT = sql(
    "variables.insert",
    None,
    """
    insert into variable (id, created, updated, name, value, tags) values (:id, :now, :now, :name, :value, :tags)
    on conflict (name) do nothing
    """,
)
UPDATE = sql(
    "variables.update",
    None,
    "update variable set name = :name, value = :value, tags = :tags, updated = :now where id = :id",
)
DELETE = sql("variables.delete", None, "delete from variable where id = :id")


def get(tx: Tx, id: str) -> Variable:
    return tx.get(FIND, missing(), id=id)


def get_by_name(tx: Tx, name: str) -> Variable:
    return tx.get(FIND_BY_NAME, missing(), name=name)


def page(tx: Tx, asked: VariablePage) -> list[Variable]:
    return tx.page(
        Variable,
        f"select {COLUMNS} from variable v",
        _where(asked.variables),
        order=ORDER[asked.sort],
        limit=asked.limit,
        offset=asked.offset,
    )


def count(tx: Tx, filter: VariableFilter | None) -> int:
    return tx.count("from variable v", _where(filter))


def insert(tx: Tx, new: VariableCreate) -> Variable:
    """Raises Conflict when the name is taken."""
    now = clock.now()
    variable = Variable(ids.new(), now, now, new.name, Raw(_json(new.value)), new.tags)
    value = bytes(variable.value).decode()
    if not tx.run(INSERT, id=variable.id, now=now, name=variable.name, value=value, tags=variable.tags):
        raise Conflict(f"A variable with the name {new.name!r} already exists.")
    events.emit(tx, changed("created", variable))
    return variable


def update(tx: Tx, id: str, patch: VariableUpdate) -> None:
    _update(tx, tx.get(LOCK, missing(), id=id), patch)


def update_by_name(tx: Tx, name: str, patch: VariableUpdate) -> None:
    _update(tx, tx.get(LOCK_BY_NAME, missing(), name=name), patch)


def delete(tx: Tx, id: str) -> None:
    _delete(tx, tx.get(LOCK, missing(), id=id))


def delete_by_name(tx: Tx, name: str) -> None:
    _delete(tx, tx.get(LOCK_BY_NAME, missing(), name=name))


def missing() -> NotFound:
    return NotFound("Variable not found.")


def changed(action: str, variable: Variable) -> Event:
    """The event `prefect.variable.created`, `.updated` or `.deleted`."""
    return Event(
        occurred=clock.now(),
        event=f"prefect.variable.{action}",
        resource={RESOURCE_ID: f"prefect.variable.{variable.id}", RESOURCE_NAME: variable.name},
        payload={"name": variable.name, "value": variable.value, "tags": variable.tags},
    )


def _where(filter: VariableFilter | None) -> Where:
    return Where() if filter is None else filter.where()


def _update(tx: Tx, old: Variable, patch: VariableUpdate) -> None:
    if patch.name is None or patch.tags is None:
        raise Conflict()
    new = Variable(
        old.id,
        old.created,
        clock.now(),
        old.name if patch.name is UNSET else patch.name,
        old.value if patch.value is UNSET else Raw(_json(patch.value)),
        old.tags if patch.tags is UNSET else patch.tags,
    )
    value = bytes(new.value).decode()
    tx.run(UPDATE, id=new.id, now=new.updated, name=new.name, value=value, tags=new.tags)
    events.emit(tx, changed("updated", new))


def _delete(tx: Tx, variable: Variable) -> None:
    tx.run(DELETE, id=variable.id)
    events.emit(tx, changed("deleted", variable))


router = Router("/variables", tag="Variables")


@router.post("/", status=201)
def create_variable(body: VariableCreate, db: Database) -> Awaitable[Variable]:
    return db.write(insert, body)


@router.get("/{id:uuid}")
def read_variable(id: str, db: Database) -> Awaitable[Variable]:
    return db.read(get, id)


@router.patch("/{id:uuid}", status=204)
def update_variable(id: str, body: VariableUpdate, db: Database) -> Awaitable[None]:
    return db.write(update, id, body)


@router.delete("/{id:uuid}", status=204)
def delete_variable(id: str, db: Database) -> Awaitable[None]:
    return db.write(delete, id)


@router.get("/name/{name}")
def read_variable_by_name(name: str, db: Database) -> Awaitable[Variable]:
    return db.read(get_by_name, name)


@router.patch("/name/{name}", status=204)
def update_variable_by_name(name: str, body: VariableUpdate, db: Database) -> Awaitable[None]:
    return db.write(update_by_name, name, body)


@router.delete("/name/{name}", status=204)
def delete_variable_by_name(name: str, db: Database) -> Awaitable[None]:
    return db.write(delete_by_name, name)


@router.post("/filter")
def read_variables(body: VariablePage, db: Database) -> Awaitable[list[Variable]]:
    return db.read(page, body)


@router.post("/count")
def count_variables(body: VariableCount, db: Database) -> Awaitable[int]:
    return db.read(count, body.variables)
