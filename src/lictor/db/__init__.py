"""SQL machinery for SQLite and PostgreSQL. Knows no concept.

A concept declares statements with ``sql(name, into, text)`` and writes plain functions over a ``Tx``;
``Database.read`` and ``Database.write`` run such functions on a database thread. One text serves both databases
(see ``dialect``).
"""

from lictor.db.changes import row_update, update_row
from lictor.db.open import open_database
from lictor.db.rows import Joined
from lictor.db.statement import STATEMENTS, Statement, sql
from lictor.db.tx import Database, LostRace, Tx
from lictor.db.where import Where

__all__ = [
    "STATEMENTS",
    "Database",
    "Joined",
    "LostRace",
    "Statement",
    "Tx",
    "Where",
    "open_database",
    "row_update",
    "sql",
    "update_row",
]
