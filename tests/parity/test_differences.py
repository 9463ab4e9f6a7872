"""The list of known differences tells the truth, and the harness sees what it must see."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from .compare import compare
from .differences import DIFFERENCES, Difference
from .normalise import Normaliser

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_each_difference_stands_in_the_documentation() -> None:
    assert DIFFERENCES
    page = PAGE.read_text(encoding="utf-8")
    for one in DIFFERENCES:
        assert one.reason in page


def step(status: int = 200, body: Any = None, name: str = "01 GET /x") -> dict[str, Any]:
    return {"step": name, "status": status, "headers": {}, "body": body}


def test_equal_answers_are_equal() -> None:
    assert compare([step(body={"a": 1.0})], [step(body={"a": 1.0})], []) == []


def test_another_answer_is_told() -> None:
    (text,) = compare([step(body={"a": "x"})], [step(body={"a": "y"})], [])
    assert '-{"status": 200, "headers": {}, "body": {"a": "x"}}' in text
    assert '+{"status": 200, "headers": {}, "body": {"a": "y"}}' in text


@pytest.mark.parametrize("other", [1.0, True, "1", None])
def test_another_type_is_another_answer(other: Any) -> None:
    assert compare([step(body=1)], [step(body=other)], [])


def test_a_crash_of_the_reference_asks_only_for_no_crash() -> None:
    assert compare([step(500)], [step(404)], []) == []
    assert compare([step(500)], [step(500)], [])


def test_a_listed_difference_is_allowed_and_must_differ() -> None:
    known = [Difference("*", "01 GET *", "why", status=404)]
    assert compare([step(200)], [step(404)], known) == []
    assert compare([step(200)], [step(409)], known)
    assert compare([step(200)], [step(200)], known)


def test_a_scenario_that_changed_asks_to_be_recorded() -> None:
    (text,) = compare([step(name="01 GET /x")], [step(name="01 GET /y")], [])
    assert "record it anew" in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("2026-01-01T12:00:01.123456Z", "<now>"),
        ("2026-01-01T12:00:01Z", "<now>"),
        ("2026-01-01T12:00:01.123Z", "<now 3-digits>"),
        ("2026-01-01T12:00:01+00:00", "<now +00:00>"),
        ("2026-01-01 12:00:01+00:00", "<now space +00:00>"),
        ("2026-01-01T14:00:01Z", "<now~+2h>"),
        ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"),
        ("u1 is at http://h:1/api", "<uniq> is at <base>/api"),
        ("6f9619ff-8b86-4011-b42d-00cf4fc964ff", "<id:0.1>"),
    ],
)
def test_normalise_texts(text: str, masked: str) -> None:
    assert Normaliser("u1", NOW, "http://h:1").body(text) == masked


def test_normalise_keeps_ids_apart() -> None:
    one, two = "6f9619ff-8b86-4011-b42d-00cf4fc964f1", "6f9619ff-8b86-4011-b42d-00cf4fc964f2"
    masks = Normaliser("u1", NOW, "http://h:1")
    masks.name_id(two, "run")
    assert masks.body([one, two, one, two.upper()]) == ["<id:0.1>", "<run>", "<id:0.1>", "<run UPPER>"]


def test_the_order_of_keys_that_are_ids_does_not_depend_on_the_ids() -> None:
    one, two = "6f9619ff-8b86-4011-b42d-00cf4fc964f1", "6f9619ff-8b86-4011-b42d-00cf4fc964f2"
    for first, second in ((one, two), (two, one)):
        masks = Normaliser("u1", NOW, "http://h:1")
        masks.name_id(first, "a")
        masks.name_id(second, "b")
        assert list(masks.body({one: 1, two: 2})) == ["<a>", "<b>"]


def test_normalise_durations_and_names() -> None:
    masks = Normaliser("u1", NOW, "http://h:1")
    assert masks.body({"total_run_time": 0.0, "estimated_run_time": 1.5}) == {
        "total_run_time": 0.0,
        "estimated_run_time": "<seconds>",
    }
    assert masks.body({"name": "wise-owl", "key": "wise-owl"}) == {"name": "<slug>", "key": "wise-owl"}
