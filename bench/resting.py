"""What a server costs apart from its work: time to start, memory, and the CPU that it burns at rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.loads import life
from bench.measure import Opponent

MEGABYTE = 1 << 20


def starts(opponents: Sequence[Opponent], times: int) -> dict[str, list[float]]:
    """Seconds from process start to the first healthy answer, on a database that exists and holds some runs."""
    for opponent in opponents:
        asyncio.run(life(opponent.server, 10, 2))
    seconds: dict[str, list[float]] = {opponent.server.name: [] for opponent in opponents}
    for _ in range(times):
        for opponent in opponents:
            opponent.server.stop()
            seconds[opponent.server.name].append(opponent.server.start())
    return seconds


def memory(opponent: Opponent, clients: int, rest: float = 10.0) -> dict[str, float | int | str]:
    """Resident megabytes after start and after `opponent.units` life cycles, and CPU in percent of a core at rest."""
    server = opponent.server
    server.stop()
    server.start()
    time.sleep(2)  # let the background services take their first turn
    idle = server.resident_bytes()
    before = sum(opponent.cpu())
    time.sleep(rest)
    burnt = sum(opponent.cpu()) - before
    asyncio.run(life(server, opponent.units, clients))
    return {
        "server": server.name,
        "idle_mb": idle / MEGABYTE,
        "idle_cpu_percent": burnt / rest * 100,
        "life_cycles": opponent.units,
        "worked_mb": server.resident_bytes() / MEGABYTE,
    }
