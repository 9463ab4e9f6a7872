"""Rules of single fields: all that is wrong with a body is told, each in its field's place."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from msgspec import UNSET, Struct, UnsetType
from tests.web.client import TestClient

from lictor.web import DEFAULT_LIMIT, Checked, Checks, Each, Embedded, FieldError, Limit, Router, coercion
from lictor.web.asgi import App


def small(number: int | None) -> None:
    if number is not None and number > 9:
        raise FieldError("must be small", type="too_large", ctx={"most": 9})


def lower(text: str) -> None:
    if text != text.lower():
        raise ValueError("must be lower case")


class Thing(Checked, Struct, forbid_unknown_fields=True, kw_only=True):
    checks: ClassVar[Checks] = {"size": small, "name": lower, "parts": Each(small), "note": lower}

    size: int | None = None
    name: str
    parts: list[int] = []
    note: str | UnsetType = UNSET
    count: int = 0

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.count == self.size:
            raise FieldError("must be another than the size", field="count")

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("name") == "never":
            raise ValueError("there is no such thing")
        return {**given, "count": given["total"]} if "total" in given else given


class Asked(Embedded):
    offset: int = 0
    thing: Thing | None = None
    limit: Limit = DEFAULT_LIMIT


router = Router()
taken: list[Thing] = []


@router.post("/things")
def thing(body: Thing) -> None:
    taken.append(body)


@router.post("/things/asked")
def asked(body: Asked) -> None: ...


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(App([router]))


def told(client: TestClient, body: Any, path: str = "/things") -> list[str]:
    answer = client.post(path, json=body)
    assert answer.status == 422, answer
    return [f"{'.'.join(map(str, error['loc'][1:]))}: {error['type']}" for error in answer.json["exception_detail"]]


def test_a_field_that_breaks_its_rule_is_told_beside_one_of_a_wrong_type(client: TestClient) -> None:
    assert told(client, {"count": "x", "name": "A"}) == ["name: value_error", "count: int_parsing"]


def test_errors_come_in_the_order_of_the_fields_and_what_is_unknown_comes_last(client: TestClient) -> None:
    body = {"unknown": 1, "count": "x", "note": "N", "name": "A", "size": 10}
    expected = ["size: too_large", "name: value_error", "note: value_error", "count: int_parsing"]
    assert told(client, body) == [*expected, "unknown: extra_forbidden"]


def test_a_rule_is_told_in_the_words_and_with_the_context_that_it_gives(client: TestClient) -> None:
    answer = client.post("/things", json={"name": "a", "size": 10})
    assert answer.json["exception_detail"] == [
        {"type": "too_large", "loc": ["body", "size"], "msg": "must be small", "input": 10, "ctx": {"most": 9}}
    ]


def test_each_item_of_a_list_is_held_against_the_rule(client: TestClient) -> None:
    body = {"name": "a", "parts": [1, 10, "x", 11]}
    assert told(client, body) == ["parts.1: too_large", "parts.2: int_parsing", "parts.3: too_large"]
    assert told(client, {"name": "a", "parts": 5}) == ["parts: list_type"]


def test_what_is_coerced_is_held_against_the_rule_too(client: TestClient) -> None:
    assert told(client, {"name": "a", "size": "10"}) == ["size: too_large"]
    assert client.post("/things", json={"name": "a", "size": "9"}).status == 200
    assert taken[-1].size == 9


def test_what_concerns_several_fields_is_told_when_nothing_else_is_wrong(client: TestClient) -> None:
    assert told(client, {"name": "a", "size": 5, "count": 5}) == ["count: value_error"]
    assert told(client, {"name": "A", "size": 5, "count": 5}) == ["name: value_error"]


def test_what_is_seen_before_the_fields_are_looked_at_is_told_alone(client: TestClient) -> None:
    assert told(client, {"name": "never", "size": 10, "unknown": 1}) == [": value_error"]
    assert told(client, {"name": "a", "total": "x"}) == ["count: int_parsing", "total: extra_forbidden"]


def test_a_field_that_is_absent_is_held_against_nothing(client: TestClient) -> None:
    assert client.post("/things", json={"name": "a"}).status == 200
    assert taken[-1] == Thing(name="a")


def test_a_limit_is_read_before_the_other_parameters(client: TestClient) -> None:
    body = {"offset": "x", "thing": {"name": "A", "count": "x"}, "limit": "x"}
    expected = ["limit: int_parsing", "offset: int_parsing", "thing.name: value_error", "thing.count: int_parsing"]
    assert told(client, body, "/things/asked") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "invalid character: found `x` at 0"),
        ("x" * 46, "invalid length: found 46"),
        ("é" * 30, "invalid length: found 60"),
    ],
)
def test_an_id_that_is_much_too_long_is_told_by_its_length(text: str, words: str) -> None:
    with pytest.raises(coercion.Bad, match=words):
        coercion.uuid(text)


def test_text_that_is_no_number_is_told_as_such_however_long(client: TestClient) -> None:
    assert told(client, {"name": "a", "count": "x" * 5000}) == ["count: int_parsing"]
    assert told(client, {"name": "a", "count": "5" * 5000}) == ["count: int_parsing_size"]
