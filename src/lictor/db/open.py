"""From a database URL to a Database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictor.db.tx import Database
from lictor.kit.errors import LictorError
from lictor.kit.lazy import lazy

# Each brings its own driver, and a server needs only one of them.
if TYPE_CHECKING:
    from lictor.db import postgres, sqlite
else:
    postgres, sqlite = lazy("lictor.db.postgres"), lazy("lictor.db.sqlite")


def open_database(
    url: str, *, readers: int = 2, pool_size: int = 8, statement_timeout: float | None = 10.0
) -> Database:
    """``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (memory) or ``postgresql://…`` (libpq).

    A ``+driver`` after the scheme is ignored. Nothing is opened or created before the first use or ``migrate()``.
    """
    scheme, separator, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if not separator:
        raise LictorError(f"not a database URL: {url!r}")
    if kind == "sqlite":
        path = rest.removeprefix("/").partition("?")[0]
        in_memory = path in ("", ":memory:") or "mode=memory" in rest
        return sqlite.SqliteDatabase(":memory:" if in_memory else path, readers=readers)
    if kind in ("postgresql", "postgres"):
        conninfo = f"postgresql://{rest}"
        return postgres.PostgresDatabase(conninfo, pool_size=pool_size, statement_timeout=statement_timeout)
    raise LictorError(f"only SQLite and PostgreSQL databases can be used, not {kind!r}")
