"""A follower misses nothing and repeats nothing, in whatever order rows become visible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lictor.feed.positions import GAP_SECONDS, MOST_GAPS, Positions

# How long each of the rows 1, 2, … takes to become visible after the one with its position was begun; None: never.
DELAYS = st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60)


@given(DELAYS, st.integers(1, 10), st.integers(0, 30))
def test_every_row_is_seen_once(delays: list[int | None], limit: int, start: int) -> None:
    visible_at = {start + at: at + delay for at, delay in enumerate(delays, 1) if delay is not None}
    positions = Positions(start)
    seen: list[int] = []
    now = 0
    while now < len(delays) + 21 + len(delays):
        visible = sorted(position for position, at in visible_at.items() if at <= now)
        gaps = set(positions.gaps)
        rows = [position for position in visible if position > positions.last or position in gaps][:limit]
        positions.saw(rows, float(now))
        seen += rows
        now += 1
    assert len(seen) == len(set(seen))
    assert set(seen) == set(visible_at)
    assert set(positions.gaps) == set(range(start + 1, positions.last + 1)) - set(seen)


def test_gaps_are_forgotten_in_time() -> None:
    positions = Positions(0)
    positions.saw([2], 0.0)
    positions.saw([5], 100.0)
    assert positions.gaps == [1, 3, 4]
    positions.saw([3], GAP_SECONDS)
    assert positions.gaps == [4]
    positions.saw([], 100.0 + GAP_SECONDS)
    assert positions.gaps == []
    positions.saw([4, 1], 500.0)
    assert positions.last == 5


def test_very_many_gaps_are_not_kept() -> None:
    positions = Positions(0)
    positions.saw([10_000_000], 0.0)
    assert len(positions.gaps) == MOST_GAPS
    positions.saw([10_000_100], 1.0)
    assert len(positions.gaps) == MOST_GAPS
    assert positions.gaps[-1] == 10_000_099


def test_rows_may_be_told_in_any_order() -> None:
    positions = Positions(10)
    positions.saw([13, 11], 0.0)
    assert (positions.last, positions.gaps) == (13, [12])
    positions.saw([12, 12], 0.0)
    assert (positions.last, positions.gaps) == (13, [])
