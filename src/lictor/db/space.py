"""Giving room that deleted rows have left back to the file system."""

from __future__ import annotations

from lictor.db.statement import composed
from lictor.db.tx import Tx

# So many pages, and a quarter of the file, must be empty: fewer are soon written to again.
EMPTY_PAGES = 5_000

_PAGES = """
    select f.freelist_count, p.page_count from pragma_freelist_count f, pragma_page_count p, pragma_auto_vacuum v
    where v.auto_vacuum = 2
"""


def give_back(tx: Tx, pages: int) -> int:
    """Cut up to so many empty pages off the file; how many there were to cut off.

    PostgreSQL's autovacuum needs no help, and an SQLite file that was made without `auto_vacuum` keeps its size.
    """
    if tx.dialect.name != "sqlite":
        return 0
    for empty, all_pages in tx.all(composed(None, _PAGES)):
        if empty >= EMPTY_PAGES and empty * 4 >= all_pages:
            tx.all(composed(None, f"pragma incremental_vacuum({pages:d})"))
            return min(int(empty), pages)
    return 0
