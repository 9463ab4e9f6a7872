"""The route table: what a concept declares, and the tree in which a request's path is looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_CONVERTERS = {None, "str", "uuid"}

WEBSOCKET = "WEBSOCKET"


class Route(NamedTuple):
    """One operation."""

    method: str
    path: str
    name: str
    call: Callable[..., Any]
    status: int = 200
    also: tuple[int, ...] = ()
    tag: str | None = None
    hidden: bool = False
    media: str = "application/json"

    @property
    def template(self) -> str:
        """The path as OpenAPI has it, without converters."""
        return _PARAMETER.sub(r"{\1}", self.path)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this operation, whatever its path parameters are called."""
        return self.method, _PARAMETER.sub(lambda found: "{uuid}" if found[2] == "uuid" else "{}", self.path)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(found[1] for found in _PARAMETER.finditer(self.path))


class Router:
    """The operations below one prefix; a concept has one in its `routes`."""

    def __init__(self, prefix: str = "", tag: str | None = None) -> None:
        self.prefix = prefix
        self.tag = tag
        self.routes: list[Route] = []

    def get(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.route("DELETE", path, **options)

    def websocket(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        return self.route(WEBSOCKET, path, name=name, status=101, hidden=True)

    def route(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        also: tuple[int, ...] = (),
        name: str | None = None,
        hidden: bool = False,
        media: str = "application/json",
    ) -> Callable[[F], F]:
        """Declares the function below as an operation; `status` is its success code, `also` further ones.

        `media` is the type of what it answers, for the OpenAPI document.
        """

        def declare(call: F) -> F:
            told = name or call.__name__
            self.routes.append(
                Route(method, self.prefix + path, told, call, status, also, self.tag, hidden, media=media)
            )
            return call

        return declare


def table(routers: Iterable[Router]) -> list[Route]:
    """Every operation. ValueError when two are the same."""
    routes: dict[tuple[str, str], Route] = {}
    for route in (route for router in routers for route in router.routes):
        if route.key in routes:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        routes[route.key] = route
    return list(routes.values())


class Node(Generic[T]):
    """One segment of the tree; `leaves` are the operations whose path ends here, by method."""

    __slots__ = ("any", "leaves", "static", "uuid")

    def __init__(self) -> None:
        self.static: dict[str, Node[T]] = {}
        self.uuid: Node[T] | None = None
        self.any: Node[T] | None = None
        self.leaves: dict[str, T] = {}

    def child(self, segment: str) -> Node[T]:
        """The node for one segment of a declared path, made when it is not there."""
        found = _PARAMETER.fullmatch(segment)
        if not found:
            return self.static.setdefault(segment, Node())
        if found[2] not in _CONVERTERS:
            raise ValueError(f"there is no path converter {found[2]!r}")
        if found[2] == "uuid":
            self.uuid = self.uuid or Node()
            return self.uuid
        self.any = self.any or Node()
        return self.any


class Tree(Generic[T]):
    """Finds an operation by path and method: fixed segments go before ids, ids before names."""

    def __init__(self) -> None:
        self.root: Node[T] = Node()
        self.fixed: dict[str, dict[str, T]] = {}

    def add(self, method: str, path: str, leaf: T) -> None:
        node = self.root
        for segment in path.split("/"):
            node = node.child(segment)
        node.leaves[method] = leaf
        if "{" not in path:
            self.fixed[path] = node.leaves

    def find(self, path: str, method: str) -> tuple[T | None, list[str], set[str]]:
        """The operation, its path parameters' values, and (when there is none) the methods that the path has."""
        leaves = self.fixed.get(path)
        if leaves is not None and method in leaves:
            return leaves[method], [], set()
        values: list[str] = []
        methods: set[str] = set()
        found = self._walk(self.root, path.split("/"), 0, method, values, methods)
        return found, values, methods

    def _walk(
        self, node: Node[T], segments: list[str], place: int, method: str, values: list[str], methods: set[str]
    ) -> T | None:
        if place == len(segments):
            methods.update(node.leaves)
            return node.leaves.get(method)
        segment = segments[place]
        child = node.static.get(segment)
        if child is not None:
            found = self._walk(child, segments, place + 1, method, values, methods)
            if found is not None:
                return found
        for child, value in _parameters(node, segment):
            values.append(value)
            found = self._walk(child, segments, place + 1, method, values, methods)
            if found is not None:
                return found
            values.pop()
        return None


def _parameters(node: Node[T], segment: str) -> Iterable[tuple[Node[T], str]]:
    if node.uuid is not None and (id := canonical(segment)):
        yield node.uuid, id
    if node.any is not None and segment:
        yield node.any, segment


def canonical(text: str) -> str | None:
    """A UUID as lower-case text with dashes, or None; the dashes may be missing, as the reference has it."""
    text = text.lower()
    if not _UUID.fullmatch(text):
        return None
    if len(text) == 36:
        return text
    bare = text.replace("-", "")
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
