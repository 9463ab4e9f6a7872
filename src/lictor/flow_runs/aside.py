"""Large parameters of runs, which stand aside in a table of their own.

SQLite writes a whole row for each change of a column, and goes through what stands before a column to find it: with
500 KB of parameters each transition of a run wrote a megabyte. So what would not fit on the row's page is written once,
and the row says so by null, which parameters never are. A run whose parameters are small pays nothing for it.
"""

from __future__ import annotations

from typing import Any

from lictor.db import Tx, sql

LARGE = 4_000
"""Characters of JSON: a page of SQLite has 4,096 bytes."""

ASIDE = "null"

PUT = sql(
    "flow_runs.put_parameters",
    None,
    """
    insert into flow_run_parameters (flow_run_id, parameters) values ({uuid:id}, {json:parameters})
    on conflict (flow_run_id) do update set parameters = excluded.parameters
    """,
)
PUT_PLANNED = sql(
    "flow_runs.put_planned_parameters",
    None,
    """
    insert into flow_run_parameters (flow_run_id, parameters) values ({uuid:id}, {json:large})
    """,
)
DROP = sql("flow_runs.drop_parameters", None, "delete from flow_run_parameters where flow_run_id = :id")


def parameters_of(alias: str) -> str:
    """The parameters of a run, wherever they are, in a select."""
    kept = f"select aside.parameters from flow_run_parameters aside where aside.flow_run_id = {alias}.id"
    return f"case when {alias}.parameters = '{ASIDE}' then ({kept}) else {alias}.parameters end"


def moved(params: dict[str, Any]) -> str | None:
    """The text of `parameters` if it is to stand aside; what the row is to have is in its place then."""
    text: str = params["parameters"]
    if len(text) <= LARGE:
        return None
    params["parameters"] = ASIDE
    return text


def put(tx: Tx, run_id: str, text: str | None) -> None:
    """Keep what `moved` gave, if it gave something, of a run that is new."""
    if text is not None:
        tx.put(PUT, id=run_id, parameters=text)


def replace(tx: Tx, run_id: str, text: str | None) -> None:
    """Likewise of a run that may have had others."""
    put(tx, run_id, text)
    if text is None:
        tx.put(DROP, id=run_id)


def put_planned(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Keep what stands in `large` of each row."""
    tx.many(PUT_PLANNED, [row for row in rows if row["large"] is not None])
