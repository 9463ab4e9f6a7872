"""Migrations: once, in order, together, and never over somebody else's database."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import apsw
import psycopg
import pytest
from tests.db.conftest import run, statement, value

from lictor.db import open_database
from lictor.db.migrate import Migration, migrations
from lictor.kit.errors import LictorError

COUNT = "select count(*) from schema_migration"


def test_migrating_twice_does_nothing(driver_url: str) -> None:
    database = open_database(driver_url)
    assert database.migrate() == len(migrations())
    assert database.migrate() == 0
    assert value(database, COUNT) == len(migrations())
    assert database.read_now(lambda tx: tx.value(statement("select count(*) from flow_run"))) == 0
    database.close()


def test_a_migration_that_is_missing_is_applied(driver_url: str) -> None:
    database = open_database(driver_url)
    database.migrate()
    run(database, "delete from schema_migration where version = 2")
    run(database, "drop table service_lease")
    assert database.migrate() == 1
    assert value(database, "select count(*) from service_lease") == 0
    database.close()


def test_a_migration_that_changed_is_refused(driver_url: str) -> None:
    database = open_database(driver_url)
    database.migrate()
    run(database, "update schema_migration set checksum = 'other' where version = 1")
    with pytest.raises(LictorError, match="0001_core"):
        database.migrate()
    database.close()


def test_a_newer_database_is_refused(driver_url: str) -> None:
    database = open_database(driver_url)
    database.migrate()
    run(database, "insert into schema_migration values (9999, 'later', 'x', 'y')")
    with pytest.raises(LictorError, match="9999"):
        database.migrate()
    database.close()


def test_a_migration_that_fails_leaves_nothing(driver_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*migrations(), Migration(9999, "9999_broken", "create table fine (a text);\ncreate nonsense;\n"))
    monkeypatch.setattr("lictor.db.migrate.migrations", lambda: broken)
    database = open_database(driver_url)
    with pytest.raises(Exception, match="nonsense"):
        database.migrate()
    monkeypatch.undo()
    assert database.migrate() == len(migrations())
    with pytest.raises(Exception, match="fine"):
        value(database, "select * from fine")
    database.close()


def test_reset_empties_a_database(driver_url: str) -> None:
    database = open_database(driver_url)
    database.migrate()
    run(database, "insert into service_lease (name, holder, expires) values ('a', 'b', :at)", at="2024-01-22T00:00:00Z")
    run(database, "create table stray (name text)")
    database.reset()
    assert value(database, "select count(*) from service_lease") == 0
    assert value(database, COUNT) == len(migrations())
    with pytest.raises(Exception, match="stray"):
        value(database, "select * from stray")
    database.close()


def test_the_reference_s_file_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "prefect.db"
    connection = apsw.Connection(str(file))
    connection.execute("create table alembic_version (version_num text); create table flow (id text)")
    connection.close()
    before = hashlib.sha256(file.read_bytes()).hexdigest()

    for call in ("migrate", "reset"):
        database = open_database(f"sqlite:///{file}")
        with pytest.raises(LictorError, match="Prefect server"):
            getattr(database, call)()
        database.close()

    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["prefect.db"]


def test_the_reference_s_postgres_is_not_touched(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("PostgreSQL only")
    postgres = request.getfixturevalue("_postgres")
    url = postgres.create(migrated=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table alembic_version (version_num text)")
        database = open_database(url)
        for call in (database.migrate, database.reset):
            with pytest.raises(LictorError, match="Prefect server"):
                call()
        database.close()
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    postgres.drop(url)
    assert tables == [("alembic_version",)]


MIGRATE = """
import sys
from lictor.db import open_database
database = open_database(sys.argv[1])
sys.stdin.readline()
print(database.migrate())
database.close()
"""


def test_processes_that_migrate_at_once(empty_database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    results = [process.communicate(timeout=60) for process in processes]
    assert sorted(out for out, _ in results) == ["0\n", "0\n", f"{len(migrations())}\n"], results
