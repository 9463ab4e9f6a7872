"""`python -m bench`: Lictor and the reference side by side. See bench/README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import automations, event_queries, loads, measure, polls, profile, report, resting, servers
from bench.measure import Opponent
from bench.postgres import Postgres

LOADS: dict[str, loads.Load] = {
    "life": loads.life,
    "logs": loads.logs,
    "events": loads.events,
    "late": loads.Late(),
    "scheduler": loads.Schedules(),
    "poll": polls.Polls(),
}
# Units of a round: the reference is so much slower that the same number would take it hours, but for deployments: what
# one costs there grows with their number.
UNITS = {
    "life": (2000, 40),
    "logs": (2000, 60),
    "events": (10, 1),
    "late": (1000, 20),
    "scheduler": (1000, 1000),
    "poll": (2000, 40),
    "memory": (10_000, 200),
}
STARTS = 5
ROUNDS = 3
# Where a round takes minutes: the reference looks for late runs every five seconds. Deployments are made and resumed
# once: runs of an earlier round become late, and with those the reference does not get through the next.
FEWER_ROUNDS = {"late": 2, "scheduler": 1}
# Benches that need no opponent, or bring their own.
ALONE: dict[str, Callable[[argparse.Namespace], int]] = {
    "automations": automations.run,
    "event_queries": event_queries.run,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Lictor beside the reference server.")
    parser.add_argument(
        "bench", nargs="?", default="all", choices=[*LOADS, "start", "memory", *ALONE, "all", "profile"]
    )
    parser.add_argument("load", nargs="?", default="life", choices=list(LOADS), help="what to profile")
    parser.add_argument("--units", type=int, help="units of a round for Lictor (the reference takes a part of it)")
    parser.add_argument("--clients", type=int, default=8, help="concurrent keep-alive connections (8)")
    parser.add_argument("--rounds", type=int, help="rounds of each server, interleaved (3; late: 2, scheduler: 1)")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--reference", type=Path, metavar="PREFECT", help="`prefect` command of an environment with it")
    parser.add_argument("--without-lictor", action="store_true", help="measure the reference alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there as well")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.bench == "profile":
        return profile.run(LOADS[options.load], options)
    if options.bench in ALONE:
        return ALONE[options.bench](options)
    if options.without_lictor and not options.reference:
        sys.exit("--without-lictor needs --reference")
    found: dict[str, Any] = {"machine": report.machine(), "database": options.database, "clients": options.clients}
    report.say(json.dumps(found))
    chosen = [*LOADS, "start", "memory"] if options.bench == "all" else [options.bench]
    for name in chosen:
        with opponents(options, name) as pair:
            found[name] = run(name, pair, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def run(name: str, pair: list[Opponent], options: argparse.Namespace) -> dict[str, Any]:
    match name:
        case "start":
            seconds = resting.starts(pair, STARTS)
            rows: list[dict[str, Any]] = [
                {"server": server, "median_s": statistics.median(each), "min_s": min(each), "max_s": max(each)}
                for server, each in seconds.items()
            ]
            column = "median_s"
        case "memory":
            rows, column = [resting.memory(each, options.clients) for each in pair], "worked_mb"
        case _:
            rounds = options.rounds or FEWER_ROUNDS.get(name, ROUNDS)
            results = measure.compare(LOADS[name], pair, rounds, options.clients)
            rows, column = [result.summary() for result in results], "cpu_ms"
    report.show(f"{name} on {options.database}, {options.clients} clients", rows)
    times = report.ratio(rows, column)
    if times is not None:
        report.say(f"  reference : lictor = {times:.1f} ({column})")
    return {"rows": rows, "ratio": times}


@contextlib.contextmanager
def opponents(options: argparse.Namespace, bench: str) -> Iterator[list[Opponent]]:
    """Both servers, fresh and running, each with a database of its own."""
    mine, theirs = UNITS.get(bench, (0, 0))
    if options.units and mine:
        mine, theirs = options.units, max(1, options.units * theirs // mine)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, contextlib.ExitStack() as stack:
        home = Path(directory)
        home.chmod(0o755)  # PostgreSQL may run as another user
        pair: list[Opponent] = []
        if options.reference:
            instance, url = database(options.database, home / "reference", stack)
            server = servers.reference(options.reference, home / "reference", url)
            pair.append(Opponent(server, theirs, instance))
        if not options.without_lictor:
            instance, url = database(options.database, home / "lictor", stack)
            pair.append(Opponent(servers.lictor(home / "lictor", url), mine, instance))
        for opponent in pair:
            stack.callback(opponent.server.stop)
            opponent.server.start()
        yield pair


def database(kind: str, home: Path, stack: contextlib.ExitStack) -> tuple[Postgres | None, str | None]:
    if kind == "sqlite":
        return None, None
    instance = Postgres(home / "postgres")
    stack.callback(instance.stop)
    instance.start()
    return instance, instance.create("bench")


if __name__ == "__main__":
    sys.exit(main())
