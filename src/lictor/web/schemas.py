"""JSON schemas of the types on the wire, for the OpenAPI document. A Struct is a component, referred to by its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, inspect
from msgspec.inspect import Field, StructType, Type

from lictor.web.codec import encode
from lictor.web.shapes import Choice, Embedded

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"


class Schemas:
    """Makes schemas and keeps the components that they refer to; `most` is the greatest `limit`."""

    def __init__(self, most: int) -> None:
        self.components: dict[str, Schema] = {}
        self._most = most
        self._names: dict[Any, str] = {}

    def of(self, annotation: Any) -> Schema:
        return self._of(inspect.type_info(annotation))

    def _of(self, kind: Type) -> Schema:
        plain = PLAIN.get(type(kind))
        if plain is not None:
            return plain | bounds(kind)
        maker = MAKERS.get(type(kind))
        # What has no schema may be anything: the document says less, and is still there.
        return {} if maker is None else maker(self, kind)

    def struct(self, kind: StructType) -> Schema:
        name = self._names.get(kind.cls)
        if name is None:
            name = self._names[kind.cls] = self._free_name(kind.cls)
            self.components[name] = {}  # a Struct may contain itself
            self.components[name] = self._component(kind, name)
        return {"$ref": REFERENCE + name}

    def _free_name(self, cls: Any) -> str:
        written = str(cls) if get_args(cls) else cls.__name__
        name = re.sub(r"\W+", "_", re.sub(r"[\w.]+\.", "", written)).strip("_")  # Page[lictor.flows.Flow]: Page_Flow
        if name not in self.components:
            return name
        return f"{cls.__module__.removeprefix('lictor.').replace('.', '_')}_{name}"

    def _component(self, kind: StructType, name: str) -> Schema:
        embedded = isinstance(kind.cls, type) and issubclass(kind.cls, Embedded)
        properties = {field.encode_name: self._property(field, embedded) for field in kind.fields}
        required = [field.encode_name for field in kind.fields if field.required]
        if kind.tag_field is not None:
            properties = {kind.tag_field: {"const": kind.tag}, **properties}
            required = [kind.tag_field, *required]
        made: Schema = {"title": name, "type": "object", "properties": properties}
        if required:
            made["required"] = required
        if kind.forbid_unknown_fields:
            made["additionalProperties"] = False
        if text := own_doc(kind.cls):
            made["description"] = text
        return made

    def _property(self, field: Field, embedded: bool) -> Schema:
        made = self._of(field.type)
        if embedded and not field.required and {"type": "null"} not in made.get("anyOf", ()):
            made = {"anyOf": [made, {"type": "null"}]}
        default = default_of(field)
        limit = isinstance(field.type, inspect.Metadata) and (field.type.extra or {}).get("lictor") == "limit"
        if limit:
            default = self._most
        return made if default is NODEFAULT else made | {"default": default}

    def union(self, kind: inspect.UnionType) -> Schema:
        return {"anyOf": [self._of(member) for member in kind.types]}

    def choice(self, kind: inspect.CustomType) -> Schema:
        if not issubclass(kind.cls, Choice):
            return {}
        return {"anyOf": [self.of(member) for member in kind.cls.members()]}

    def items(self, kind: Any) -> Schema:
        unique = isinstance(kind, inspect.SetType | inspect.FrozenSetType)
        made: Schema = {"type": "array", "items": self._of(kind.item_type), **sizes(kind, "Items")}
        return made | {"uniqueItems": True} if unique else made

    def tuple(self, kind: inspect.TupleType) -> Schema:
        number = len(kind.item_types)
        members = [self._of(member) for member in kind.item_types]
        return {"type": "array", "prefixItems": members, "minItems": number, "maxItems": number}

    def mapping(self, kind: inspect.DictType) -> Schema:
        made: Schema = {"type": "object", **sizes(kind, "Properties")}
        values = self._of(kind.value_type)
        return made | {"additionalProperties": values} if values else made

    def metadata(self, kind: inspect.Metadata) -> Schema:
        meaning = (kind.extra or {}).get("lictor")
        if meaning == "limit":
            return {"type": "integer", "minimum": 0, "maximum": self._most}
        if meaning == "seconds":
            return {"type": "number"}
        return self._of(kind.type) | (kind.extra_json_schema or {})


def sizes(kind: Any, noun: str) -> Schema:
    ends = (("min", kind.min_length), ("max", kind.max_length))
    return {f"{end}{noun}": bound for end, bound in ends if bound is not None}


def bounds(kind: Any) -> Schema:
    return {word: getattr(kind, name) for name, word in BOUNDS.items() if getattr(kind, name, None) is not None}


def default_of(field: Field) -> Any:
    """The default as JSON values; NODEFAULT where there is none, or where each time it is another."""
    default: Any = field.default
    factory = field.default_factory
    if factory in (list, dict, set) or (isinstance(factory, type) and issubclass(factory, msgspec.Struct)):
        default = factory()
    if default is NODEFAULT or default is msgspec.UNSET:
        return NODEFAULT
    return msgspec.json.decode(encode(default))


def own_doc(cls: Any) -> str | None:
    text = getattr(getattr(cls, "__origin__", cls), "__doc__", None)
    return None if not text or text == msgspec.Struct.__doc__ else " ".join(text.split())


def enumeration(_: Schemas, kind: inspect.EnumType) -> Schema:
    return {"title": kind.cls.__name__, "enum": [member.value for member in kind.cls]}


def literal(_: Schemas, kind: inspect.LiteralType) -> Schema:
    return {"enum": list(kind.values)}


BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}

PLAIN: dict[type[Type], Schema] = {
    inspect.AnyType: {},
    inspect.RawType: {},
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.StrType: {"type": "string"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.TimeDeltaType: {"type": "string", "format": "duration"},
}

MAKERS: dict[type[Type], Callable[[Schemas, Any], Schema]] = {
    inspect.StructType: Schemas.struct,
    inspect.UnionType: Schemas.union,
    inspect.CustomType: Schemas.choice,
    inspect.ListType: Schemas.items,
    inspect.SetType: Schemas.items,
    inspect.FrozenSetType: Schemas.items,
    inspect.VarTupleType: Schemas.items,
    inspect.TupleType: Schemas.tuple,
    inspect.DictType: Schemas.mapping,
    inspect.Metadata: Schemas.metadata,
    inspect.EnumType: enumeration,
    inspect.LiteralType: literal,
}
