"""Results as a table for people and as JSON for comparison over time."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": model,
        "memory_gb": round(memory),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows of the same columns, one per server."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = [columns, *([_text(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    say(f"\n{title}")
    for line in table:
        say("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def ratio(rows: Sequence[dict[str, Any]], column: str) -> float | None:
    """How many times dearer the reference is; None unless both were measured."""
    values = {row["server"]: row[column] for row in rows}
    if values.get("lictor") and "reference" in values:
        return float(values["reference"] / values["lictor"])
    return None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return "-" if value is None else str(value)
