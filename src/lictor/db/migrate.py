"""Numbered migrations, applied once, in order, under a lock that the driver holds.

``migrations/NNNN_name.sql`` is one text for both databases. A migration's checksum is kept: a file that changed after
it was applied is an error, not a surprise. Expand first, contract in a later release.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lictor.db.dialect import Dialect
from lictor.kit import clock, times
from lictor.kit.errors import LictorError

LOCK = 0x6C696374  # "lict": the advisory lock that replicas on PostgreSQL migrate under

_REGISTER = """
create table if not exists schema_migration (
    version integer primary key, name text not null, checksum text not null, applied text not null
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def statements(self, dialect: Dialect) -> list[str]:
        pieces = (_without_comments(piece) for piece in dialect.compile(self.text).text.split(";\n"))
        return [piece for piece in pieces if piece]


class Session(ABC):
    """What a migration needs of a connection that is inside a transaction."""

    dialect: Dialect

    @abstractmethod
    def execute(self, text: str) -> None: ...

    @abstractmethod
    def rows(self, text: str) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def has_table(self, name: str) -> bool: ...


def run(session: Session) -> int:
    """Apply what is missing; returns how many ran. Raises LictorError if the database is not ours or too new."""
    refuse_foreign(session)
    session.execute(_REGISTER)
    applied: dict[int, str] = dict(session.rows("select version, checksum from schema_migration"))
    known = {migration.version: migration for migration in migrations()}
    _check(applied, known)
    missing = [migration for version, migration in sorted(known.items()) if version not in applied]
    for migration in missing:
        for statement in migration.statements(session.dialect):
            session.execute(statement)
        session.execute(
            "insert into schema_migration (version, name, checksum, applied) values "
            f"({migration.version}, '{migration.name}', '{migration.checksum}', '{times.text(clock.now())}')"
        )
    return len(missing)


def refuse_foreign(session: Session) -> None:
    """Raise LictorError when the reference server wrote this database."""
    if session.has_table("alembic_version") and not session.has_table("schema_migration"):
        raise LictorError(
            "this database was written by a Prefect server. Lictor keeps its own database and has changed nothing in "
            "this one: give it another file or database (--database or PREFECT_API_DATABASE_CONNECTION_URL)."
        )


@lru_cache(maxsize=1)
def migrations() -> tuple[Migration, ...]:
    folder = files("lictor.db") / "migrations"
    texts = {
        entry.name.removesuffix(".sql"): entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")
    }
    return tuple(Migration(int(name.split("_")[0]), name, text) for name, text in sorted(texts.items()))


def _check(applied: dict[int, str], known: dict[int, Migration]) -> None:
    newer = sorted(version for version in applied if version not in known)
    if newer:
        raise LictorError(
            f"this database is at schema version {newer[-1]}, this Lictor knows up to {max(known)}: use a newer Lictor."
        )
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise LictorError(f"migration {known[version].name} is not the one that this database was made with.")


def _without_comments(piece: str) -> str:
    lines = [line for line in piece.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";").strip()
