"""Three servers on one PostgreSQL with nothing to do: they cost little, and do not fight over who leads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from bench import processes
from bench.servers import Server
from tests.faults.place import Place
from tests.faults.scale import scaled, share
from tests.processes import until

REPLICAS = 3
SECONDS = scaled(5, 600)
HOLDERS = "select name, holder from service_lease order by name"


class Cost(NamedTuple):
    """What passed in a while: transactions of the database, CPU seconds of each server and of the database."""

    transactions: int
    servers: list[float]
    database: float


def test_idle_replicas_cost_little_and_do_not_fight(
    on_postgres: Place, start: Callable[[Place], Server], record_property: Callable[[str, object], None]
) -> None:
    servers = [start(on_postgres) for _ in range(REPLICAS)]
    until(lambda: len(on_postgres.rows(HOLDERS)) > 10)
    holders = on_postgres.rows(HOLDERS)
    before, begun = spent(on_postgres, servers), time.monotonic()
    time.sleep(SECONDS)
    after, seconds = spent(on_postgres, servers), time.monotonic() - begun
    assert on_postgres.rows(HOLDERS) == holders  # who leads goes on to lead
    rate = (after.transactions - before.transactions) / seconds
    assert 0 < rate < 30
    for server in servers:
        log = server.log.read_text(errors="replace")
        assert server.alive
        assert not any(word in log for word in ("ERROR", "Traceback", "deadlock")), server.tail()
    assert not on_postgres.complaints()
    told = [(now - then) / seconds for now, then in zip(after.servers, before.servers, strict=True)]
    record_property("transactions a second", rate)
    record_property("CPU seconds a second of each server", told)
    record_property("CPU seconds a second of the database", (after.database - before.database) / seconds)
    if share() >= 1:  # a promise of the acceptance list, but not on a machine that is busy with other tests
        assert max(told) < 0.01


def spent(place: Place, servers: list[Server]) -> Cost:
    assert place.postgres is not None
    statement = f"select xact_commit + xact_rollback from pg_stat_database where datname = '{place.name}'"
    cpu = [server.cpu_seconds() for server in servers]
    return Cost(int(place.rows(statement)[0][0]), cpu, processes.cpu_seconds(place.postgres.pid))
