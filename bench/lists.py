"""What dashboards ask of a long history: `python -m bench.lists --place DIR --sizes 1000 100000`.

Databases of these sizes are made in DIR, unless they are there, and their tallies are settled. A Lictor of its own is
asked each question some times, one after the other; with `--reference` the reference is too, on SQLite, where it has
the same rows. Milliseconds are those of the client; with them, the CPU of the server and of its database.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench import filling, report
from bench.http import Connection
from bench.measure import Opponent
from bench.places import Place
from bench.questions import CALLS, Body

SIZES = [1_000, 10_000, 100_000, 1_000_000]
MOST_OF_REFERENCE = 100_000  # it takes seconds for a question
WARM = 2  # the first times fill caches and are not counted
LONG = 10.0  # seconds after which a question has been asked often enough


def main() -> int:
    options = arguments()
    found: dict[str, Any] = {"machine": report.machine(), "asked": []}
    report.say(json.dumps(found["machine"]))
    with contextlib.ExitStack() as stack:
        place = Place(options.place, stack, options.reference)
        for size in options.sizes:
            for kind in options.databases:
                if kind == "reference" and size > MOST_OF_REFERENCE:
                    continue
                with place.served(kind, size) as opponent:
                    found["asked"].append(asked(options, opponent, kind))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    report.show("p50 / p95 / CPU in ms", summary(found["asked"]))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.lists", description=__doc__.partition("\n")[0])
    parser.add_argument("--place", type=Path, required=True, metavar="DIR", help="where the filled databases are kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many flow runs")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgres", "reference"], default=["sqlite"])
    parser.add_argument(
        "--reference", type=Path, metavar="PREFECT", help="`prefect` command, for the database reference"
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", help="a part of the names of the questions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there as well")
    options = parser.parse_args()
    if "reference" in options.databases and not options.reference:
        sys.exit("reference needs --reference")
    return options


def asked(options: argparse.Namespace, opponent: Opponent, kind: str) -> dict[str, Any]:
    rows = asyncio.run(ask(opponent, options.times, options.only or ""))
    report.show(f"{opponent.units:,} runs, {kind}", rows)
    return {"database": kind, "runs": opponent.units, "rows": rows}


async def ask(opponent: Opponent, times: int, only: str) -> list[dict[str, Any]]:
    connection = opponent.server.connection(timeout=300)
    now = await latest(connection, opponent.units)
    rows = [await answers(opponent, connection, call, times, now) for call in CALLS if only in call[0]]
    await connection.close()
    return rows


async def latest(connection: Connection, size: int) -> datetime:
    """When the history ends: it may have been made some time ago."""
    newest = await connection.get(f"/api/flow_runs/{filling.an_id('run', size)}")
    return datetime.fromisoformat(newest.json()["expected_start_time"]) + timedelta(seconds=1)


async def answers(
    opponent: Opponent, connection: Connection, call: tuple[str, str, Body], times: int, now: datetime
) -> dict[str, Any]:
    name, path, body = call
    took: list[float] = []
    for n in range(times + WARM):
        if n == WARM:
            before, started = opponent.exact_cpu(), time.monotonic()
        begun = time.perf_counter()
        answer = await connection.post(f"/api/{path}", body(n, now))
        took.append((time.perf_counter() - begun) * 1000)
        if n > WARM and time.monotonic() - started > LONG:
            break
    after, first, took = opponent.exact_cpu(), took[0], sorted(took[WARM:])
    cpu = [(then - was) / len(took) * 1000 for was, then in zip(before, after, strict=True)]
    return {
        "question": name, "status": answer.status, "first_ms": first, "min_ms": took[0],
        "p50_ms": statistics.median(took), "p95_ms": took[int(len(took) * 0.95)],
        "server_cpu_ms": cpu[0], "database_cpu_ms": cpu[1], "bytes": len(answer.body),
    }  # fmt: skip


def summary(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each question, a column for each database and size."""
    table: dict[str, dict[str, Any]] = {}
    for one in asked:
        for row in one["rows"]:
            cpu = row["server_cpu_ms"] + row["database_cpu_ms"]
            text = f"{row['p50_ms']:.1f} / {row['p95_ms']:.1f} / {cpu:.1f}"
            table.setdefault(row["question"], {"question": row["question"]})[f"{one['database']} {one['runs']:,}"] = (
                text if row["status"] == 200 else str(row["status"])
            )
    return list(table.values())


if __name__ == "__main__":
    sys.exit(main())
