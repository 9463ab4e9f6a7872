"""Where a server keeps its data, and what must hold there at any moment."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
from bench import servers
from bench.postgres import Postgres
from tests.faults.scale import share

PATIENCE = 15.0 if "LICTOR_FAULT_REFERENCE" in os.environ else 0.0  # the reference stores events later

# Each must find nothing: name of the broken promise -> statement.
PROMISES = {
    "a flow run's state is a row of its own history, of the type that the run shows": """
        select r.id, r.state_id, r.state_type, s.type from flow_run r left join flow_run_state s on s.id = r.state_id
        where s.id is null or s.flow_run_id <> r.id or s.type <> r.state_type or s.timestamp <> r.state_timestamp""",
    "a task run's state is a row of its own history, of the type that the run shows": """
        select r.id, r.state_id, r.state_type, s.type from task_run r left join task_run_state s on s.id = r.state_id
        where s.id is null or s.task_run_id <> r.id or s.type <> r.state_type or s.timestamp <> r.state_timestamp""",
    "no state of a task run is newer than the one that it shows": """
        select r.id, r.state_name, s.name from task_run r join task_run_state s on s.task_run_id = r.id
        where s.timestamp > r.state_timestamp""",
    "every transition of a flow run has its event": """
        select s.id, s.flow_run_id, s.name from flow_run_state s left join events e on e.id = s.id
        where e.id is null""",
    "every event of a task run has its state": """
        select e.id, e.event from events e left join task_run_state s on s.id = e.id
        where e.event like 'prefect.task-run.%' and s.id is null""",
    "every event is found by its resource": """
        select e.id, e.event from events e left join event_resources x
        on x.resource_id = e.resource_id and x.occurred = e.occurred and x.position = e.position
        where x.position is null""",
    "no event is mentioned beside another name": """
        select e.id, e.event from event_resources x join event_name n on n.id = x.name join events e
        on e.position = x.position where n.name <> e.event""",
}


class Place:
    """A database that can be read beside the running server."""

    def __init__(self, url: str, file: Path | None, postgres: Postgres | None, name: str = "") -> None:
        self.url, self.file, self.postgres, self.name = url, file, postgres, name

    @classmethod
    def on_sqlite(cls, directory: Path) -> Self:
        return cls(servers.sqlite_url(directory), directory / "server.db", None)

    @classmethod
    def on_postgres(cls, postgres: Postgres) -> Self:
        """A new, empty database of the instance."""
        name = f"faults_{uuid4().hex}"
        return cls(postgres.create(name), None, postgres, name)

    @property
    def kind(self) -> str:
        return "postgres" if self.postgres else "sqlite"

    def rows(self, statement: str) -> list[Any]:
        """The rows of one read-only statement, which sees one moment."""
        if self.postgres:
            with psycopg.connect(self.postgres.dsn(self.name), autocommit=True) as connection:
                return connection.execute(statement.encode()).fetchall()
        reader = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=30)
        try:
            return reader.execute(statement).fetchall()
        finally:
            reader.close()

    def check(self) -> None:
        """Assert every promise: at once, since all of them hold in every transaction."""
        deadline = time.monotonic() + PATIENCE
        while broken := {promise: rows[:5] for promise, text in PROMISES.items() if (rows := self.rows(text))}:
            assert time.monotonic() < deadline, broken
            time.sleep(0.2)

    def ids(self, table: str) -> set[str]:
        return {str(row[0]) for row in self.rows(f"select id from {table}")}

    def complaints(self) -> list[str]:
        """What PostgreSQL's own log says of locks."""
        if not self.postgres:
            return []
        # On a machine that is busy with other tests, who holds a lock may not run for a second.
        told = ("deadlock", "still waiting for") if share() >= 1 else ("deadlock",)
        lines = self.postgres.log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(words in line for words in told)]
