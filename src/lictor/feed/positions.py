"""Which positions a follower has seen, and which it has passed without seeing."""

from __future__ import annotations

from collections.abc import Iterable

# No transaction of ours lasts as long: statements time out after ten seconds.
GAP_SECONDS = 120.0
# Rolled back batches leave gaps, too; of very many the oldest are given up first.
MOST_GAPS = 10_000


class Positions:
    """Read rows `position > last or position in gaps`, then tell which ones came."""

    def __init__(self, last: int, gaps: Iterable[int] = (), now: float = 0.0) -> None:
        """From the last position that was seen; a follower that goes on where it stopped gives its gaps, too."""
        self.last = last
        self._gaps: dict[int, float] = dict.fromkeys(gaps, now)

    @property
    def gaps(self) -> list[int]:
        """Positions that were passed and may still appear."""
        return list(self._gaps)

    def saw(self, positions: Iterable[int], now: float) -> None:
        """Note the positions that were read at `now` (seconds of a clock that never goes back)."""
        for position in sorted(positions):
            if position <= self.last:
                self._gaps.pop(position, None)
                continue
            self._gaps.update((missing, now) for missing in range(max(self.last + 1, position - MOST_GAPS), position))
            self.last = position
        self._forget(now)

    def _forget(self, now: float) -> None:
        # Gaps were noted in order of time.
        while self._gaps:
            position, since = next(iter(self._gaps.items()))
            if now - since < GAP_SECONDS and len(self._gaps) <= MOST_GAPS:
                return
            del self._gaps[position]
