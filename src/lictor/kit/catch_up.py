"""How many of the runs that piled up may still start, as people write it: `all`, `latest_only` or `max_queued=3`."""

from __future__ import annotations

import re

from msgspec import Struct

_MAX_QUEUED = re.compile(r"max_queued=([1-9][0-9]{0,5})")


class Policy(Struct, frozen=True):
    """Only the `newest` so many; None is all of them."""

    newest: int | None = None

    def __str__(self) -> str:
        return {None: "all", 1: "latest_only"}.get(self.newest, f"max_queued={self.newest}")


def parsed(text: str) -> Policy:
    """Raises ValueError for what is none of the three."""
    match text:
        case "all":
            return Policy()
        case "latest_only":
            return Policy(1)
    found = _MAX_QUEUED.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return Policy(int(found[1]))
