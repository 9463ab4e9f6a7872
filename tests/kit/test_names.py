from __future__ import annotations

import re

from lictor.kit import names


def test_a_slug_is_two_words() -> None:
    assert re.fullmatch(r"[a-z]+-[a-z]+", names.slug())


def test_no_word_is_there_twice() -> None:
    assert len(set(names.ADJECTIVES)) == len(names.ADJECTIVES)
    assert len(set(names.ANIMALS)) == len(names.ANIMALS)


def test_slugs_differ() -> None:
    assert len({names.slug() for _ in range(1000)}) > 950
