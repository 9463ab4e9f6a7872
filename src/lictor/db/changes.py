"""Setting some columns of one row: which ones is known only at run time."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from lictor.db.statement import Statement
from lictor.db.tx import Tx


def update_row(
    tx: Tx, table: str, id: str, changes: dict[str, Any], now: datetime | str, guard: str = "true", **params: Any
) -> bool:
    """Set columns, and `updated`; False if there is no such row or the guard, a condition on it, does not hold."""
    return tx.run(row_update(table, tuple(changes), guard), row_id=id, now=now, **params, **changes) == 1


@lru_cache(maxsize=256)
def row_update(table: str, columns: tuple[str, ...], guard: str) -> Statement[Any]:
    """The statement that sets these columns, each to the parameter of its name, and `updated`, of the row :row_id."""
    assignments = "".join(f"{column} = :{column}, " for column in columns)
    return Statement(
        "update_row", None, f"update {table} set {assignments}updated = :now where id = :row_id and {guard}"
    )
