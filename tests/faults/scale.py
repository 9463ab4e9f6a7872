"""How hard the tests try."""

from __future__ import annotations

import os


def scaled(quick: int, full: int) -> int:
    """From the quick number of CI to the full one of the acceptance list, by LICTOR_FAULT_SCALE (0 … 1)."""
    return round(quick + (full - quick) * share())


def share() -> float:
    return float(os.environ.get("LICTOR_FAULT_SCALE", "0"))
