from __future__ import annotations

from datetime import UTC, datetime

from lictor.kit import clock


def test_now_is_aware_and_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_a_source_replaces_the_system_s_clock_until_reset() -> None:
    held = datetime(2024, 1, 22, 15, 30, 45, 123456, tzinfo=UTC)
    clock.set_source(lambda: held)
    try:
        assert clock.now() == held
        assert clock.nanoseconds() == 1_705_937_445_123_456_000
    finally:
        clock.reset()
    assert clock.now() > held
