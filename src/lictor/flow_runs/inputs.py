"""Keyed inputs of a flow run: what it asks for when it pauses, what it is answered, and messages between runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from lictor.db import Tx, sql
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound
from lictor.web import Embedded

NOT_FOUND = "Flow run input not found"


class FlowRunInput(Struct):
    id: str
    created: datetime
    updated: datetime
    flow_run_id: str
    key: str
    value: str
    sender: str | None


class InputCreate(Embedded):
    """A new input; `value` is text, as a rule JSON."""

    key: str
    value: str
    sender: str | None = None


class InputFilter(Embedded):
    """Which inputs to read: those whose key starts with `prefix`, oldest first."""

    prefix: str
    limit: int = 1
    exclude_keys: list[str] = msgspec.field(default_factory=list)


_COLUMNS = "id, created, updated, flow_run_id, key, value, sender"

RUN_EXISTS = sql("flow_run_inputs.run_exists", int, "select 1 from flow_run where id = :flow_run_id")
INSERT = sql(
    "flow_run_inputs.insert",
    None,
    f"""
    insert into flow_run_input ({_COLUMNS}) values (:id, :now, :now, :flow_run_id, :key, :value, :sender)
    on conflict (flow_run_id, key) do nothing
    """,
)
PAGE = sql(
    "flow_run_inputs.page",
    FlowRunInput,
    f"""
    select {_COLUMNS} from flow_run_input
    where flow_run_id = :flow_run_id and key like :pattern and key {{not_in:exclude}} order by created, id limit :limit
    """,
)
VALUE = sql(
    "flow_run_inputs.value", str, "select value from flow_run_input where flow_run_id = :flow_run_id and key = :key"
)
DELETE = sql(
    "flow_run_inputs.delete", None, "delete from flow_run_input where flow_run_id = :flow_run_id and key = :key"
)


def insert(tx: Tx, run_id: str, key: str, value: str, sender: str | None = None) -> None:
    """Store an input. Raises NotFound for an unknown run, Conflict for a key that is taken."""
    if tx.value(RUN_EXISTS, flow_run_id=run_id) is None:
        raise NotFound("Flow run not found")
    params = {"flow_run_id": run_id, "key": key, "value": value, "sender": sender}
    if not tx.run(INSERT, id=ids.new(), now=clock.now(), **params):
        raise Conflict("A flow run input with this key already exists.")


def create(tx: Tx, run_id: str, wanted: InputCreate) -> None:
    insert(tx, run_id, wanted.key, wanted.value, wanted.sender)


def page(tx: Tx, run_id: str, wanted: InputFilter) -> list[FlowRunInput]:
    # The prefix is a LIKE pattern whose wildcards are live, as in the reference.
    limit = max(wanted.limit, 0)
    return tx.all(PAGE, flow_run_id=run_id, pattern=wanted.prefix + "%", exclude=wanted.exclude_keys, limit=limit)


def find(tx: Tx, run_id: str, key: str) -> str | None:
    return tx.one(VALUE, flow_run_id=run_id, key=key)


def get(tx: Tx, run_id: str, key: str) -> str:
    return tx.get(VALUE, NotFound(NOT_FOUND), flow_run_id=run_id, key=key)


def delete(tx: Tx, run_id: str, key: str) -> None:
    if not tx.run(DELETE, flow_run_id=run_id, key=key):
        raise NotFound(NOT_FOUND)


def delete_keys(tx: Tx, run_id: str, keys: Iterable[str]) -> None:
    tx.many(DELETE, [{"flow_run_id": run_id, "key": key} for key in keys])
