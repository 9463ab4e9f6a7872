"""An endpoint: what its function's signature asks for, compiled at its first use, and the way from request to answer.

Parameters by name and type: path parameters by name; `body`; `Annotated[T, Query()]` and `Annotated[T, Header()]`;
`Request` and `Socket` by type; everything else is a service, also by type.
"""

from __future__ import annotations

import inspect as signatures
from collections.abc import Mapping
from functools import cached_property
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect as shapes_of
from msgspec.structs import FieldInfo, fields, force_setattr

from lictor.kit.errors import Invalid
from lictor.web.codec import decoder
from lictor.web.paging import check_limit
from lictor.web.replies import Wire, wire
from lictor.web.request import Request
from lictor.web.routing import Route
from lictor.web.shapes import Embedded, Header, Limit, Query
from lictor.web.sockets import Socket
from lictor.web.validation import FAILED, Loc, Walk, missing, parse, unreadable

Services = Mapping[type, Any]

_EMPTY = signatures.Parameter.empty


class Parameter(NamedTuple):
    """A path, query or header parameter: `wire` is its name there, `kind` None where any text will do."""

    name: str
    place: str
    wire: str
    annotation: Any
    kind: shapes_of.Type | None
    default: Any
    shown: bool = True

    @property
    def required(self) -> bool:
        return self.default is _EMPTY

    def read(self, value: str | None, walk: Walk) -> Any:
        """The parameter's value, or FAILED with an error in `walk`."""
        loc: Loc = (self.place, self.wire)
        if value is None:
            if self.required:
                walk.errors.append(missing(loc, None))
                return FAILED
            return self.default
        return value if self.kind is None else walk.convert(self.kind, value, loc)


class Body:
    """The `body` parameter: a strict decoder, and the slow path for what it refuses."""

    def __init__(self, annotation: Any, default: Any, most: int) -> None:
        self.annotation = annotation
        self.default = default
        self.most = most
        self.embedded = isinstance(annotation, type) and issubclass(annotation, Embedded)
        self.limits = _limit_fields(annotation)
        self.decode = decoder(nullable(annotation) if self.embedded else annotation)

    @cached_property
    def kind(self) -> shapes_of.Type:
        # Only what the decoder refuses needs it, and for all bodies together it is a third of the start.
        return shapes_of.type_info(self.annotation)

    @property
    def required(self) -> bool:
        if self.embedded:
            assert isinstance(self.kind, shapes_of.StructType)
            return any(field.required for field in self.kind.fields)
        return self.default is _EMPTY

    def read(self, request: Request, walk: Walk) -> Any:
        """The body as declared, or FAILED with errors in `walk`."""
        media = request.raw_headers.get(b"content-type")
        if request.body and (media is None or media == b"application/json" or is_json(media)):
            try:
                value = self.decode(request.body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                value = self._slow(parse(request.body), walk)
            except RecursionError:
                raise unreadable() from None
        else:
            # What is not JSON is text to a model, and no body at all to embedded parameters.
            value = self._slow(None if self.embedded else request.body.decode("utf-8", "replace") or None, walk)
        if self.limits and value is not FAILED:
            for name in self.limits:
                force_setattr(value, name, check_limit(getattr(value, name), self.most))
        return value

    def _slow(self, value: Any, walk: Walk) -> Any:
        if self.embedded:
            assert isinstance(self.kind, shapes_of.StructType)
            return walk.embedded(self.kind, value)
        if value is not None:
            return walk.convert(self.kind, value, ("body",))
        if self.default is _EMPTY:
            walk.errors.append(missing(("body",), None))
            return FAILED
        return self.default


class Bound(NamedTuple):
    """What an endpoint's signature comes to."""

    fixed: dict[str, Any]
    parameters: list[Parameter]
    body: Body | None
    context: tuple[str, ...]
    returns: Any


class Endpoint:
    """A route that can be called. Its signature is read when it is first used: most are not, for a long time."""

    def __init__(self, route: Route, services: Services, most: int) -> None:
        assert route.call is not None
        self.route = route
        self.call = route.call
        self.status = route.status
        self.names = route.names
        self.most = most
        self._services = services

    @cached_property
    def bound(self) -> Bound:
        """Raises TypeError where the function asks for what nothing can give."""
        signature = signatures.signature(self.call)
        hints = get_type_hints(self.call, include_extras=True)
        fixed: dict[str, Any] = {}
        parameters: list[Parameter] = []
        body: Body | None = None
        context = []
        for name, parameter in signature.parameters.items():
            annotation = hints.get(name, Any)
            if name == "body":
                body = Body(annotation, parameter.default, self.most)
            elif found := declared(name, annotation, parameter.default, self.names):
                parameters += [] if found.place == "path" and found.kind is None else [found]
            elif annotation in (Request, Socket):
                context.append(name)
            elif annotation in self._services:
                fixed[name] = self._services[annotation]
            elif parameter.default is _EMPTY:
                raise TypeError(f"{self.route.method} {self.route.path}: nothing to give for {name}: {annotation!r}")
        absent = set(self.names) - set(signature.parameters)
        if absent:
            raise TypeError(f"{self.route.method} {self.route.path}: its function does not take {sorted(absent)}")
        return Bound(fixed, parameters, body, tuple(context), hints.get("return", Any))

    @property
    def parameters(self) -> list[Parameter]:
        return self.bound.parameters

    @property
    def body(self) -> Body | None:
        return self.bound.body

    @property
    def returns(self) -> Any:
        return self.bound.returns

    async def answer(self, request: Request, values: list[str]) -> Wire:
        """Calls the function and turns its result into bytes."""
        result = self.begin(request, values)
        if hasattr(result, "__await__"):
            result = await result
        return wire(result, self.status)

    def begin(self, request: Request, values: list[str]) -> Any:
        """Calls the function; what it returns may be awaitable. Raises Invalid with every error of the input."""
        return self.call(**self.arguments(request, values, request))

    def arguments(self, request: Request, values: list[str], context: Request | Socket) -> dict[str, Any]:
        """The function's arguments; `context` is what a parameter of type Request or Socket gets."""
        fixed, parameters, body, names, _ = self.bound
        arguments = fixed.copy()
        for name in names:
            arguments[name] = context
        if values:
            arguments.update(zip(self.names, values, strict=True))
        walk = Walk(self.most)
        for parameter in parameters:
            arguments[parameter.name] = parameter.read(_given(parameter, request, arguments), walk)
        if body is not None:
            arguments["body"] = body.read(request, walk)
        if walk.errors:
            raise Invalid(walk.errors, as_sent(request))
        return arguments


def declared(name: str, annotation: Any, default: Any, path_names: tuple[str, ...]) -> Parameter | None:
    """The path, query or header parameter that an annotation declares, or None for anything else."""
    if name in path_names:
        kind = None if annotation is str else shapes_of.type_info(annotation)
        return Parameter(name, "path", name, annotation, kind, _EMPTY)
    if get_origin(annotation) is not Annotated:
        return None
    bare, *extras = get_args(annotation)
    for extra in extras:
        if isinstance(extra, Query | Header):
            place = "query" if isinstance(extra, Query) else "header"
            wire_name = extra.name or (name if place == "query" else name.replace("_", "-"))
            rest = [other for other in extras if other is not extra]
            bare = Annotated[(bare, *rest)] if rest else bare
            kind = None if bare in (str, str | None) else shapes_of.type_info(bare)
            shown = not isinstance(extra, Header) or extra.shown
            return Parameter(name, place, wire_name, bare, kind, default, shown)
    return None


def _given(parameter: Parameter, request: Request, arguments: dict[str, Any]) -> str | None:
    if parameter.place == "query":
        return request.query.get(parameter.wire)
    if parameter.place == "header":
        return request.header(parameter.wire)
    return str(arguments[parameter.name])


def is_json(media: bytes) -> bool:
    kind = media.split(b";", 1)[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def as_sent(request: Request) -> Any:
    """The body for an error's `request_body`: parsed where it is JSON, else its text."""
    if not request.body:
        return None
    media = request.raw_headers.get(b"content-type")
    return parse(request.body) if media is None or is_json(media) else request.body.decode("utf-8", "replace")


def _limit_fields(annotation: Any) -> tuple[str, ...]:
    if not (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        return ()
    return tuple(field.name for field in fields(annotation) if field.type == Limit)


def nullable(struct: type[Embedded]) -> type[Embedded]:
    """A subclass that takes null for every field with a default and puts the default in its place.

    Clients send null for all that they leave out; without this each such body would take the slow path.
    """
    hints = get_type_hints(struct, include_extras=True)
    defaults = [field for field in fields(struct) if not field.required and field.default is not None]
    refusing = [field.name for field in fields(struct) if field.required and NoneType in get_args(hints[field.name])]
    if not defaults and not refusing:
        return struct
    own = getattr(struct, "__post_init__", None)
    named = [(field.name, field) for field in defaults]

    def fill(self: Embedded) -> None:
        for name in refusing:
            if getattr(self, name) is None:
                raise ValueError("null is as good as absent for a required parameter")
        for name, field in named:
            if getattr(self, name) is None:
                force_setattr(self, name, _default(field))
        if own is not None:
            own(self)

    subclass: type[Embedded] = msgspec.defstruct(  # type: ignore[assignment]
        struct.__name__,
        [(field.name, hints[field.name] | None, _shared(field)) for field in defaults],
        bases=(struct,),
        namespace={"__post_init__": fill},
        rename={field.name: field.encode_name for field in fields(struct)},
        kw_only=True,
    )
    return subclass


def _default(field: FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _shared(field: FieldInfo) -> Any:
    return (
        field.default
        if field.default_factory is msgspec.NODEFAULT
        else msgspec.field(default_factory=field.default_factory)
    )
