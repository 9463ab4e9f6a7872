"""Rows for tests of reads: what a test does not say is made up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lictor.db import Tx
from lictor.db.statement import composed
from lictor.kit import clock, ids


def insert(tx: Tx, table: str, **columns: Any) -> str:
    """Insert a row with an id of its own, unless given, and return that id."""
    columns.setdefault("id", ids.new())
    names = list(columns)
    text = f"insert into {table} ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"
    tx.run(composed(None, text), **columns)
    return str(columns["id"])


def a_flow(tx: Tx, name: str | None = None, **columns: Any) -> str:
    return insert(tx, "flow", name=name or f"flow-{ids.new()}", **_times(columns))


def a_deployment(tx: Tx, flow_id: str, name: str | None = None, **columns: Any) -> str:
    return insert(tx, "deployment", flow_id=flow_id, name=name or f"deployment-{ids.new()}", **_times(columns))


def a_work_pool(tx: Tx, name: str | None = None, type: str = "process", **columns: Any) -> str:
    return insert(tx, "work_pool", name=name or f"pool-{ids.new()}", type=type, **_times(columns))


def a_work_queue(tx: Tx, work_pool_id: str, name: str = "default", **columns: Any) -> str:
    return insert(tx, "work_queue", work_pool_id=work_pool_id, name=name, **_times(columns))


def a_flow_run(tx: Tx, flow_id: str, state: str | None = None, **columns: Any) -> str:
    """A flow run; with `state` ("RUNNING", or "SCHEDULED/Late" to name it) it has one, also as a row of its own."""
    return _a_run(tx, "flow_run", state, flow_id=flow_id, **columns)


def a_task_run(tx: Tx, flow_run_id: str | None, state: str | None = None, **columns: Any) -> str:
    columns = {"task_key": "task", "dynamic_key": ids.new()} | columns
    return _a_run(tx, "task_run", state, flow_run_id=flow_run_id, **columns)


def a_state(tx: Tx, table: str, run_id: str, type: str, name: str | None = None, **columns: Any) -> str:
    columns = {"timestamp": clock.now(), "name": name or type.capitalize()} | columns
    return insert(tx, f"{table}_state", **{f"{table}_id": run_id}, type=type, **columns)


def _a_run(tx: Tx, table: str, state: str | None, **columns: Any) -> str:
    type_, _, name = (state or "").partition("/")
    columns = _times({"id": ids.new(), "name": f"run-{ids.new()}"} | columns)
    if state is None:
        return insert(tx, table, **columns)
    state_columns = {"state_type": type_, "state_name": name or type_.capitalize(), "state_timestamp": clock.now()}
    columns = state_columns | {"state_id": ids.new()} | columns
    run_id = insert(tx, table, **columns)
    moment = columns["state_timestamp"]
    a_state(tx, table, run_id, type_, columns["state_name"], id=columns["state_id"], timestamp=moment)
    return run_id


def _times(columns: dict[str, Any]) -> dict[str, Any]:
    now: datetime = clock.now()
    return {"created": now, "updated": now} | columns


def set_details(tx: Tx, table: str, run_id: str, details: dict[str, Any]) -> None:
    """Give the states of a run these details."""
    text = f"update {table}_state set state_details = :details where {table}_id = :run_id"
    tx.run(composed(None, text), details=details, run_id=run_id)
