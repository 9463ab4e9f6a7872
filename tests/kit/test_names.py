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


def test_names_that_are_given_together_begin_alike_and_differ() -> None:
    together = names.several(300)
    assert len(set(together)) == 300
    assert len({name.partition("-")[0] for name in together}) == 4
    assert not {name.partition("-")[2] for name in together} - set(names.ANIMALS)


def test_as_many_names_are_given_as_are_asked_for() -> None:
    assert [len(names.several(count)) for count in (0, 1, 5, 2_000)] == [0, 1, 5, 2_000]
    assert names.several(20) != names.several(20)
