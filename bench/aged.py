"""What a long history costs those who do not ask for it: `python -m bench.aged --place DIR --runs 1000000`.

Life cycles of flow runs in turn on an empty database and on one with that many runs (those of bench.lists, if they are
there already); and the CPU of the server at rest on the long one, minute by minute, when all has settled.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import loads, measure, report
from bench.measure import Opponent
from bench.places import Place


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.aged", description=__doc__.partition("\n")[0])
    parser.add_argument("--place", type=Path, required=True, metavar="DIR", help="where the filled databases are kept")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgres"], default=["sqlite"])
    parser.add_argument("--units", type=int, default=1000, help="life cycles of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--minutes", type=int, default=10, help="of rest")
    options = parser.parse_args()
    for kind in options.databases:
        with contextlib.ExitStack() as stack:
            place = Place(options.place, stack)
            life(place, kind, options)
            with place.served(kind, options.runs) as opponent:
                report.show(f"at rest with {options.runs:,} runs, {kind}", rest(opponent, options.minutes))
    return 0


def life(place: Place, kind: str, options: argparse.Namespace) -> None:
    with place.served(kind, 0) as empty, place.served(kind, options.runs) as filled:
        pair = [replace(each, units=options.units) for each in (empty, filled)]
        empty.server.name, filled.server.name = "empty", f"{options.runs:,} runs"
        rows = [each.summary() for each in measure.compare(loads.life, pair, options.rounds, options.clients)]
    report.show(f"life cycles, {kind}", rows)


def rest(opponent: Opponent, minutes: int) -> list[dict[str, float]]:
    """Percent of a core, minute by minute after the first."""
    time.sleep(60)
    rows = []
    for minute in range(minutes):
        before = opponent.exact_cpu()
        time.sleep(60)
        server, database = (then - was for was, then in zip(before, opponent.exact_cpu(), strict=True))
        rows.append({"minute": minute + 2, "server_percent": server / 0.6, "database_percent": database / 0.6})
    return rows


if __name__ == "__main__":
    sys.exit(main())
