"""Calls of a client's methods, each noted by its name, and its answer held against the method's annotation."""

from __future__ import annotations

import functools
import inspect
import operator
import traceback
import types
import typing
from collections.abc import Awaitable, Callable
from typing import Any, ForwardRef, Union, get_args, get_origin

import httpx
from prefect.client.schemas import objects, responses
from prefect.events.schemas import automations
from prefect.exceptions import ObjectNotFound

# The SDK imports most of its annotations' names only for type checkers: these are the modules that it takes them from.
NAMES: dict[str, Any] = {**vars(objects), **vars(responses), **vars(automations), "Response": httpx.Response}

# What is public and no call to the API.
LEFT_OUT = {
    "api_url": "a property: the address that the client was made with",
    "loop": "an attribute of the asynchronous client: its event loop",
}


async def status(refused: Awaitable[Any]) -> int:
    """The status of a refusal: some methods raise it as it comes, some as the SDK's own exception."""
    try:
        await refused
    except httpx.HTTPStatusError as refusal:
        return refusal.response.status_code
    except ObjectNotFound as refusal:
        return int(refusal.http_exc.response.status_code)
    return 200


class Calls:
    """Stands for a client of either kind: `await api.read_flow(id)` calls its `read_flow` and checks the answer."""

    def __init__(self, client: Any, kind: str) -> None:
        self._client = client
        self.kind = kind
        self.called: set[str] = set()
        self.problems: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.called.add(name)
            value = method(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            self._check(name, value)
            return value

        return call

    def _check(self, name: str, value: Any) -> None:
        function = getattr(type(self._client), name)
        annotation = inspect.signature(function).return_annotation
        expected = resolved(annotation, NAMES | inspect.unwrap(function).__globals__)
        if not matches(value, expected):
            self.problems.append(f"{name} returned {value!r:.300}, not {annotation}")

    async def play(self, part: Callable[[Calls], Awaitable[None]]) -> None:
        """Plays one part; if it breaks off, says so, and lets the others be played."""
        try:
            await part(self)
        except Exception:
            self.problems.append(f"{part.__name__}: {traceback.format_exc()}")

    def report(self) -> dict[str, list[str]]:
        client = type(self._client)
        public = {name for name in dir(client) if not name.startswith("_")} - LEFT_OUT.keys()
        return {"methods": sorted(public), "called": sorted(self.called), "problems": self.problems}


def resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """The type that an annotation means: the SDK writes them as strings, often in quotes once more."""
    while isinstance(annotation, str | ForwardRef):
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = eval(text, dict(names))  # the SDK's own annotations
    parts = tuple(resolved(part, names) for part in get_args(annotation))
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return functools.reduce(operator.or_, parts)
    return origin[parts] if origin in (list, dict) else annotation


def matches(value: Any, expected: Any) -> bool:
    """Whether a value is of a type, and its items of the types of the items."""
    origin, parts = get_origin(expected), get_args(expected)
    if expected is Any or isinstance(expected, typing.TypeVar):
        return True
    if origin in (Union, types.UnionType):
        return any(matches(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(matches(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(matches(k, parts[0]) and matches(v, parts[1]) for k, v in value.items())
    if expected is None or expected is type(None):
        return value is None
    generic = getattr(expected, "__pydantic_generic_metadata__", {}).get("origin")
    return isinstance(value, generic or expected)
