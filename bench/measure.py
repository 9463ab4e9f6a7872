"""Rounds of one load on the opponents in turn, and the CPU that each took."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import processes
from bench.loads import Late, Load, Work
from bench.postgres import Postgres
from bench.servers import Server


@dataclass(slots=True)
class Opponent:
    """A running server, the database server behind it (if any), and how many units a round gives it."""

    server: Server
    units: int
    postgres: Postgres | None = None

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of the server's processes, of the database's."""
        return self.server.cpu_seconds(), processes.cpu_seconds(self.postgres.pid) if self.postgres else 0.0

    def exact_cpu(self) -> tuple[float, float]:
        """The same to the microsecond; threads that have ended are left out."""
        database = processes.exact_seconds(self.postgres.pid) if self.postgres else 0.0
        return processes.exact_seconds(self.server.pid), database

    def stop(self) -> None:
        self.server.stop()
        if self.postgres:
            self.postgres.stop()


@dataclass(slots=True)
class Round:
    units: int
    seconds: float
    server_cpu: float
    database_cpu: float
    work: Work

    @property
    def cpu_per_unit(self) -> float:
        """Milliseconds, server and database together."""
        return (self.server_cpu + self.database_cpu) / self.units * 1000


@dataclass(slots=True)
class Result:
    """All rounds of one opponent in one bench."""

    name: str
    rounds: list[Round] = field(default_factory=list)

    def summary(self) -> dict[str, float | int | str]:
        works = [one.work for one in self.rounds]
        units = sorted(seconds for work in works for seconds in work.units)
        requests = sorted(seconds for work in works for seconds in work.requests)
        readable = sorted(seconds for work in works for seconds in work.readable)
        figures: dict[str, float | int | str] = {
            "server": self.name,
            "units": sum(one.units for one in self.rounds),
            "cpu_ms": statistics.median(one.cpu_per_unit for one in self.rounds),
            "cpu_ms_min": min(one.cpu_per_unit for one in self.rounds),
            "cpu_ms_max": max(one.cpu_per_unit for one in self.rounds),
            "database_cpu_ms": statistics.median(one.database_cpu / one.units * 1000 for one in self.rounds),
            "unit_p50_ms": quantile(units, 0.5) * 1000,
            "unit_p99_ms": quantile(units, 0.99) * 1000,
            "units_per_second": statistics.median(one.units / one.seconds for one in self.rounds),
            "errors_5xx": sum(n for work in works for status, n in work.statuses.items() if status >= 500),
            "failed_units": sum(work.failed for work in works),
        }
        if requests:
            figures |= {
                "request_p50_ms": quantile(requests, 0.5) * 1000,
                "request_p99_ms": quantile(requests, 0.99) * 1000,
            }
        if readable:
            figures |= {"readable_p50_ms": quantile(readable, 0.5) * 1000, "readable_max_ms": readable[-1] * 1000}
        return figures


def compare(load: Load, opponents: Sequence[Opponent], rounds: int, clients: int) -> list[Result]:
    """Interleave the rounds, A B A B, so that a busy minute of the machine falls on both."""
    results = [Result(opponent.server.name) for opponent in opponents]
    for opponent in opponents:
        if isinstance(load, Late):
            break  # a wave is met as it comes
        asyncio.run(load(opponent.server, max(1, opponent.units // 20), clients))  # warm caches, plans and code
    for _ in range(rounds):
        for opponent, result in zip(opponents, results, strict=True):
            result.rounds.append(measure(load, opponent, clients))
    return results


def measure(load: Load, opponent: Opponent, clients: int) -> Round:
    if isinstance(load, Late):
        asyncio.run(load.prepare(opponent.server, opponent.units, clients))
    before, begun = opponent.cpu(), time.monotonic()
    work = asyncio.run(load(opponent.server, opponent.units, clients))
    seconds, after = time.monotonic() - begun, opponent.cpu()
    return Round(opponent.units, seconds, after[0] - before[0], after[1] - before[1], work)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
