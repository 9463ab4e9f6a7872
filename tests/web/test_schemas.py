"""Schemas of what goes over the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from lictor.web import DEFAULT_LIMIT, Choice, Embedded, Limit, Page, Seconds
from lictor.web.schemas import REFERENCE, Schemas


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(Struct, forbid_unknown_fields=True):
    """A leaf
    of a tree."""

    name: Annotated[str, Meta(min_length=1, pattern="^a")]
    children: list[Leaf] = []


class Defaults(Struct):
    raw: Raw = Raw(b'{"a":1}')
    leaf: Leaf = msgspec.field(default_factory=lambda: Leaf("a"))
    tags: list[str] = msgspec.field(default_factory=list)
    unset: int | UnsetType = UNSET
    wait: Seconds = 1.5


class Body(Embedded):
    flows: Leaf | None = None
    sort: Colour = Colour.RED
    limit: Limit = DEFAULT_LIMIT


class Shape(Choice):
    pass


class Circle(Shape, Struct):
    radius: float


class Square(Shape, Struct):
    side: float


class Cat(Struct, tag_field="kind", tag="cat"):
    lives: int


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (UUID, {"type": "string", "format": "uuid"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (Any, {}),
        (Raw, {}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Colour, {"title": "Colour", "enum": ["red", "blue"]}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (Annotated[int, Meta(ge=1, lt=5)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 5}),
        (Annotated[list[str], Meta(max_length=3)], {"type": "array", "items": {"type": "string"}, "maxItems": 3}),
    ],
)
def test_plain_types(annotation: Any, schema: dict[str, Any]) -> None:
    made = Schemas(200).of(annotation)
    assert made == schema


def component(annotation: Any, name: str) -> dict[str, Any]:
    schemas = Schemas(200)
    assert schemas.of(annotation) == {"$ref": REFERENCE + name}
    return schemas.components[name]


def test_a_struct_may_contain_itself() -> None:
    assert component(Leaf, "Leaf") == {
        "title": "Leaf",
        "description": "A leaf of a tree.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "pattern": "^a"},
            "children": {"type": "array", "items": {"$ref": REFERENCE + "Leaf"}, "default": []},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


def test_defaults_of_any_type() -> None:
    properties = component(Defaults, "Defaults")["properties"]
    assert {name: one.get("default", "none") for name, one in properties.items()} == {
        "raw": {"a": 1},
        "leaf": "none",
        "tags": [],
        "unset": "none",
        "wait": 1.5,
    }
    assert properties["wait"]["type"] == "number"


def test_embedded_bodies_take_null_for_what_is_not_required() -> None:
    properties = component(Body, "Body")["properties"]
    null = {"type": "null"}
    assert properties["flows"]["anyOf"][1] == null
    assert properties["sort"] == {"anyOf": [{"title": "Colour", "enum": ["red", "blue"]}, null], "default": "red"}
    limit = {"type": "integer", "minimum": 0, "maximum": 200}
    assert properties["limit"] == {"anyOf": [limit, null], "default": 200}


def test_unions_of_structs() -> None:
    assert component(Cat, "Cat")["properties"]["kind"] == {"const": "cat"}
    assert Schemas(200).of(Shape) == {"anyOf": [{"$ref": REFERENCE + "Circle"}, {"$ref": REFERENCE + "Square"}]}


def test_each_page_is_another_type() -> None:
    assert component(Page[Leaf], "Page_Leaf")["properties"]["results"]["items"] == {"$ref": REFERENCE + "Leaf"}
    assert component(Page[Cat], "Page_Cat")["properties"]["results"]["items"] == {"$ref": REFERENCE + "Cat"}


def test_types_of_the_same_name_are_told_apart() -> None:
    schemas = Schemas(200)
    other = msgspec.defstruct("Leaf", [("x", int)], module="lictor.other")
    assert schemas.of(Leaf) != schemas.of(other)
    assert set(schemas.components) == {"Leaf", "other_Leaf"}
