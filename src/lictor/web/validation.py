"""The slow path of reading input: after msgspec's strict decoder has refused a body, walk its declared type in
pydantic's lax mode. Either the value can be coerced after all, or every error is collected, not only the first.

Error types, messages, locations and their order are the reference's (pydantic 2 behind FastAPI).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from lictor.kit.errors import BadRequest, FieldError, Invalid
from lictor.web import coercion
from lictor.web.codec import decoder
from lictor.web.coercion import SCALARS, Bad, counted
from lictor.web.paging import check_limit
from lictor.web.shapes import Check, Checked, Choice, Each

Loc = tuple[str | int, ...]
Error = dict[str, Any]

# What a walk returns for a value that has errors; None is a value.
FAILED: Any = object()


def error(type: str, loc: Loc, msg: str, value: Any, ctx: Any = None) -> Error:
    found = {"type": type, "loc": list(loc), "msg": msg, "input": value}
    if ctx is not None:
        found["ctx"] = ctx
    return found


def missing(loc: Loc, value: Any) -> Error:
    return error("missing", loc, "Field required", value)


def parse(raw: bytes) -> Any:
    """The JSON in `raw`, in UTF-8, -16 or -32, as Python values; raises Invalid (`json_invalid`) or, for broken text,
    BadRequest."""
    try:
        document = raw.decode(json.detect_encoding(raw), "surrogatepass")
    except UnicodeDecodeError:
        raise unreadable() from None
    try:
        return json.loads(document)
    except json.JSONDecodeError as fault:
        loc = ("body", fault.pos)
        raise Invalid([error("json_invalid", loc, "JSON decode error", {}, {"error": fault.msg})], document) from None
    except RecursionError:
        raise unreadable() from None


def read_json(kind: Any, raw: bytes) -> Any:
    """The value of type `kind` in a JSON text that is no request's body; raises Invalid, with all errors."""
    try:
        return decoder(kind)(raw)
    except msgspec.ValidationError:
        walk = Walk(0)
        value = parse(raw)
        found = walk.convert(inspect.type_info(kind), value, ())
        if walk.errors:
            raise Invalid(walk.errors, value) from None
        return found


def unreadable() -> BadRequest:
    return BadRequest("There was an error parsing the body")


class Walk:
    """One walk over one input; `errors` is what it found."""

    def __init__(self, most: int) -> None:
        self.errors: list[Error] = []
        self.most = most

    def convert(self, kind: inspect.Type, value: Any, loc: Loc) -> Any:
        """The value of type `kind` that `value` means, or FAILED and at least one more error."""
        scalar = SCALARS.get(type(kind))
        try:
            if scalar is not None:
                return scalar(kind, value)
            return CONTAINERS[type(kind)](self, kind, value, loc)
        except Bad as bad:
            return self.fail(bad.type, loc, bad.msg, value, bad.ctx)

    def fail(self, type: str, loc: Loc, msg: str, value: Any, ctx: Any = None) -> Any:
        self.errors.append(error(type, loc, msg, value, ctx))
        return FAILED

    def apart(self, kind: inspect.Type, value: Any, loc: Loc) -> tuple[Any, list[Error]]:
        """Like convert, but the errors are returned instead of kept."""
        other = Walk(self.most)
        return other.convert(kind, value, loc), other.errors

    def embedded(self, kind: inspect.StructType, value: Any) -> Any:
        """A body of separate parameters (see shapes.Embedded); `value` is None when there is none."""
        if value is not None and not isinstance(value, dict):
            for field in kind.fields:
                self.errors.append(missing(("body", field.encode_name), None))
            return FAILED
        given = value or {}
        values: dict[str, Any] = {}
        # A limit is its own dependency in the reference, and read before all else.
        for field in sorted(kind.fields, key=lambda field: not _is_limit(field.type)):
            loc = ("body", field.encode_name)
            item = given.get(field.encode_name)
            if item is not None:
                values[field.name] = self.field(kind, field, item, loc)
            elif field.required:
                values[field.name] = FAILED
                self.errors.append(missing(loc, None))
        return self.build(kind, values, value, ("body",))

    def build(self, kind: inspect.StructType, values: dict[str, Any], value: Any, loc: Loc) -> Any:
        if any(item is FAILED for item in values.values()):
            return FAILED
        try:
            return kind.cls(**values)
        except ValueError as fault:
            field = fault.field if isinstance(fault, FieldError) else None
            return self.blame(fault, (value or {}).get(field) if field else value, (*loc, field) if field else loc)

    def field(self, struct: inspect.StructType, field: inspect.Field, value: Any, loc: Loc) -> Any:
        """A field's value, held against the field's own check (see shapes.Checked)."""
        check = struct.cls.checks.get(field.name) if issubclass(struct.cls, Checked) else None
        return self.convert(field.type, value, loc) if check is None else self.checked(check, field.type, value, loc)

    def checked(self, check: Check, kind: inspect.Type, value: Any, loc: Loc) -> Any:
        if isinstance(check, Each) and isinstance(kind, inspect.ListType) and isinstance(value, list):
            items = [self.checked(check.check, kind.item_type, item, (*loc, place)) for place, item in enumerate(value)]
            return FAILED if any(item is FAILED for item in items) else items
        found = self.convert(kind, value, loc)
        try:
            if found is not FAILED:
                check(found)
        except ValueError as fault:
            return self.blame(fault, value, loc)
        return found

    def blame(self, fault: ValueError, value: Any, loc: Loc) -> Any:
        if isinstance(fault, FieldError) and fault.type != "value_error":
            return self.fail(fault.type, loc, fault.message, value, fault.ctx)
        return self.fail("value_error", loc, f"Value error, {fault}", value, {"error": {}})


def _struct(walk: Walk, kind: inspect.StructType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, dict):
        words = "Input should be a valid dictionary or object to extract fields from"
        return walk.fail("model_attributes_type", loc, words, value)
    if issubclass(kind.cls, Checked):
        try:
            value = kind.cls.prepared(value)
        except ValueError as fault:
            return walk.blame(fault, value, loc)
    values: dict[str, Any] = {}
    if kind.tag_field is not None and value.get(kind.tag_field, kind.tag) != kind.tag:
        bad = coercion.one_of("literal_error", [kind.tag])
        values[kind.tag_field] = walk.fail(bad.type, (*loc, kind.tag_field), bad.msg, value[kind.tag_field], bad.ctx)
    for field in kind.fields:
        if field.encode_name in value:
            values[field.name] = walk.field(kind, field, value[field.encode_name], (*loc, field.encode_name))
        elif field.required:
            values[field.name] = FAILED
            walk.errors.append(missing((*loc, field.encode_name), value))
    if kind.forbid_unknown_fields and _extra(walk, kind, value, loc):
        return FAILED
    return walk.build(kind, values, value, loc)


def _extra(walk: Walk, kind: inspect.StructType, value: dict[str, Any], loc: Loc) -> bool:
    known = {field.encode_name for field in kind.fields} | {kind.tag_field}
    extra = [key for key in value if key not in known]
    for key in extra:
        walk.fail("extra_forbidden", (*loc, key), "Extra inputs are not permitted", value[key])
    return bool(extra)


def _list(walk: Walk, kind: inspect.ListType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, list):
        return walk.fail("list_type", loc, "Input should be a valid list", value)
    return _sized(walk, kind, _items(walk, kind.item_type, value, loc), value, loc, "List")


def _set(walk: Walk, kind: inspect.SetType | inspect.FrozenSetType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, list):
        return walk.fail("set_type", loc, "Input should be a valid set", value)
    items = _items(walk, kind.item_type, value, loc)
    make = frozenset if isinstance(kind, inspect.FrozenSetType) else set
    return items if items is FAILED else _sized(walk, kind, make(items), value, loc, "Set")


def _items(walk: Walk, kind: inspect.Type, value: list[Any], loc: Loc) -> Any:
    items = [walk.convert(kind, item, (*loc, place)) for place, item in enumerate(value)]
    return FAILED if any(item is FAILED for item in items) else items


def _variadic(walk: Walk, kind: inspect.VarTupleType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, list):
        return walk.fail("tuple_type", loc, "Input should be a valid tuple", value)
    items = _items(walk, kind.item_type, value, loc)
    return items if items is FAILED else _sized(walk, kind, tuple(items), value, loc, "Tuple")


def _tuple(walk: Walk, kind: inspect.TupleType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, list):
        return walk.fail("tuple_type", loc, "Input should be a valid tuple", value)
    most = len(kind.item_types)
    if len(value) > most:
        return walk.fail(
            "too_long", loc, _length("Tuple", "most", most, len(value)), value, _ctx("Tuple", value, max=most)
        )
    items = [walk.convert(item, value[i], (*loc, i)) for i, item in enumerate(kind.item_types[: len(value)])]
    for place in range(len(value), most):
        walk.errors.append(missing((*loc, place), value))
        items.append(FAILED)
    return FAILED if any(item is FAILED for item in items) else tuple(items)


def _dict(walk: Walk, kind: inspect.DictType, value: Any, loc: Loc) -> Any:
    if not isinstance(value, dict):
        return walk.fail("dict_type", loc, "Input should be a valid dictionary", value)
    items = {}
    for key, item in value.items():
        name = walk.convert(kind.key_type, key, (*loc, key, "[key]"))
        items[name] = walk.convert(kind.value_type, item, (*loc, key))
    if any(key is FAILED or item is FAILED for key, item in items.items()):
        return FAILED
    return _sized(walk, kind, items, value, loc, "Dictionary")


def _sized(walk: Walk, kind: Any, items: Any, value: Any, loc: Loc, noun: str) -> Any:
    if items is FAILED:
        return FAILED
    least, most = kind.min_length, kind.max_length
    if most is not None and len(items) > most:
        return walk.fail("too_long", loc, _length(noun, "most", most, len(items)), value, _ctx(noun, items, max=most))
    if least is not None and len(items) < least:
        return walk.fail(
            "too_short", loc, _length(noun, "least", least, len(items)), value, _ctx(noun, items, min=least)
        )
    return items


def _length(noun: str, end: str, bound: int, actual: int) -> str:
    return f"{noun} should have at {end} {counted(bound, 'item')} after validation, not {actual}"


def _ctx(noun: str, items: Any, **bound: int) -> dict[str, Any]:
    return {"field_type": noun, **{f"{k}_length": v for k, v in bound.items()}, "actual_length": len(items)}


def _union(walk: Walk, kind: inspect.UnionType, value: Any, loc: Loc) -> Any:
    members = [each for member in kind.types if not isinstance(member, inspect.NoneType) for each in _apart(member)]
    if value is None and any(isinstance(member, inspect.NoneType) for member in kind.types):
        return None
    if len(members) == 1:
        return walk.convert(members[0], value, loc)
    return _first(walk, [(member, _label(member)) for member in members], value, loc)


def _apart(member: inspect.Type) -> list[inspect.Type]:
    """msgspec takes one list type in a union: `list[int | float]` stands for `list[int] | list[float]`."""
    if isinstance(member, inspect.ListType) and isinstance(member.item_type, inspect.UnionType):
        return [replace(member, item_type=item) for item in member.item_type.types]
    return [member]


def _first(walk: Walk, members: Iterable[tuple[inspect.Type, str]], value: Any, loc: Loc) -> Any:
    """pydantic's smart mode: the member that takes the value as it is, else the first that can, else all errors."""
    coerced, errors = FAILED, []
    for member, label in members:
        converted, found = walk.apart(member, value, (*loc, label))
        if not found and type(converted) is type(value) and converted == value:
            return converted
        if not found and coerced is FAILED:
            coerced = converted
        errors += found
    if coerced is FAILED:
        walk.errors += errors
    return coerced


def _label(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _label(kind.type)
        case inspect.StructType() | inspect.CustomType():
            return getattr(kind.cls, "wire_label", kind.cls.__name__)
        case inspect.ListType():
            return f"list[{_label(kind.item_type)}]"
        case inspect.SetType():
            return f"set[{_label(kind.item_type)}]"
        case inspect.DictType():
            return f"dict[{_label(kind.key_type)},{_label(kind.value_type)}]"
        case inspect.LiteralType():
            return f"literal[{','.join(map(repr, kind.values))}]"
        case inspect.EnumType():
            return kind.cls.__name__
    name = NAMES.get(type(kind), "any")
    bounds = ("ge", "gt", "le", "lt", "max_length", "min_length", "pattern")
    return f"constrained-{name}" if any(getattr(kind, bound, None) is not None for bound in bounds) else name


def _is_limit(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.Metadata) and (kind.extra or {}).get("lictor") == "limit"


def _metadata(walk: Walk, kind: inspect.Metadata, value: Any, loc: Loc) -> Any:
    meaning = (kind.extra or {}).get("lictor")
    if meaning == "seconds":
        return coercion.seconds(value)
    converted = walk.convert(kind.type, value, loc)
    # The reference looks at the limit before it collects the other errors.
    return check_limit(converted, walk.most) if meaning == "limit" and converted is not FAILED else converted


def _custom(walk: Walk, kind: inspect.CustomType, value: Any, loc: Loc) -> Any:
    if not issubclass(kind.cls, Choice):
        raise TypeError(f"{kind.cls.__name__} cannot be read from JSON")
    members = [inspect.type_info(member) for member in kind.cls.members()]
    return _first(walk, [(member, _label(member)) for member in members], value, loc)


NAMES: dict[type[inspect.Type], str] = {
    inspect.AnyType: "any",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.StrType: "str",
    inspect.UUIDType: "uuid",
    inspect.DateTimeType: "datetime",
    inspect.TimeDeltaType: "timedelta",
}

CONTAINERS: dict[type[inspect.Type], Callable[[Walk, Any, Any, Loc], Any]] = {
    inspect.StructType: _struct,
    inspect.ListType: _list,
    inspect.SetType: _set,
    inspect.FrozenSetType: _set,
    inspect.VarTupleType: _variadic,
    inspect.TupleType: _tuple,
    inspect.DictType: _dict,
    inspect.UnionType: _union,
    inspect.Metadata: _metadata,
    inspect.CustomType: _custom,
}
