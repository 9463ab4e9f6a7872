"""`lictor database upgrade` and `reset`; also how the other commands find the place for the data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lictor.db import Database, open_database
from lictor.settings import Settings, UnusableSetting, database_url, shown


def upgrade(settings: Settings, options: argparse.Namespace) -> int:
    with opened(settings) as (database, place):
        count = database.migrate()
    print(f"{place}: {count} migration{'' if count == 1 else 's'} applied" if count else f"{place}: up to date")
    return 0


def reset(settings: Settings, options: argparse.Namespace) -> int:
    with opened(settings) as (database, place):
        if not options.yes and not _confirmed(place):
            sys.stderr.write("lictor: nothing was deleted\n")
            return 1
        database.reset()
    print(f"{place}: emptied")
    return 0


def make_place(settings: Settings) -> str:
    """The database's URL, with the directory there to put it in. UnusableSetting when there is none."""
    url = database_url(settings)
    if url.startswith("sqlite:///"):
        directory = Path(url.removeprefix("sqlite:///")).parent
        if directory == settings.lictor.home:
            make_home(directory)
        elif not directory.is_dir():
            raise UnusableSetting(f"the database's directory does not exist: {directory}")
    return url


def make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableSetting(f"LICTOR_HOME: {home} cannot be made: {error.strerror}") from None


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Database, str]]:
    """The database, and how to call it in a message; closed at the end."""
    url = make_place(settings)
    database = open_database(url, statement_timeout=settings.database.migration_timeout)
    try:
        yield database, shown(url)
    finally:
        database.close()


def _confirmed(place: str) -> bool:
    if not sys.stdin.isatty():
        raise UnusableSetting("--yes is needed where nobody can be asked")
    return input(f"Delete everything in {place}? [y/N] ").strip().lower() in ("y", "yes")
