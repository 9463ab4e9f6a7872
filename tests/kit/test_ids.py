from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lictor.kit import clock, ids


@pytest.fixture(autouse=True)
def _real_clock() -> Iterator[None]:
    yield
    clock.reset()


def test_a_new_id_is_a_canonical_uuid7() -> None:
    made = ids.new()
    assert str(uuid.UUID(made)) == made
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122


def test_new4_is_a_canonical_uuid4() -> None:
    made = ids.new4()
    assert str(uuid.UUID(made)) == made
    assert uuid.UUID(made).version == 4
    assert uuid.UUID(made).variant == uuid.RFC_4122


def test_an_id_carries_the_clock_s_milliseconds() -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    clock.set_source(lambda: later)
    assert uuid.UUID(ids.new()).int >> 80 == int(later.timestamp() * 1000)


def test_several_ids_at_once_sort_between_those_before_and_after() -> None:
    made = [ids.new(), *ids.several(5_000), ids.new(), *ids.several(0), *ids.several(1), ids.new()]
    assert made == sorted(set(made))
    assert {uuid.UUID(id).version for id in made} == {7}


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_go_on_while_the_clock_stands_still_or_goes_back() -> None:
    first = ids.new()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    clock.set_source(lambda: past)
    made = [first, *(ids.new() for _ in range(10_000))]
    assert made == sorted(made)


def test_threads_never_share_a_position() -> None:
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=lambda into=into: into.extend(ids.new() for _ in range(5_000))) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(own == sorted(own) for own in made)
    positions = {(uuid.UUID(one).int >> 64) for own in made for one in own}
    assert len(positions) == 20_000


def test_an_id_of_a_place_is_always_the_same_and_a_uuid7_of_its_time() -> None:
    at = datetime(2026, 11, 22, 3, 4, 5, 678901, UTC)
    found = uuid.UUID(ids.of(at, 123_456_789_012))

    assert ids.of(at, 123_456_789_012) == str(found)
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert found.int >> 80 == int(at.timestamp() * 1000)
    assert ids.of(at, 2**60 - 1) != ids.of(at, 2**60 - 2)
