"""JSON decoders that are made while the server runs.

msgspec prepares a type when something is first decoded into it, and another thread that decodes into the same type
meanwhile sees it half prepared: it follows a null pointer, and the process is gone. So types are prepared one at a
time, and always here; decoders made while modules are loaded need no such care. `tests/architecture` holds that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")
Hook = Callable[[type, Any], Any]

_one_at_a_time = threading.Lock()


@lru_cache(maxsize=1024)
def decoder(kind: Any, *, strict: bool = True, hook: Hook | None = None) -> Callable[[Any], Any]:
    """What makes a `kind` of JSON. It raises msgspec.DecodeError, of which ValidationError is one."""
    with _one_at_a_time:
        return msgspec.json.Decoder[Any](kind, strict=strict, dec_hook=hook).decode


def decode(text: bytes | str | msgspec.Raw, kind: type[T], *, strict: bool = True) -> T:
    """A `kind` of JSON."""
    made: T = decoder(cast(Hashable, kind), strict=strict)(text)
    return made


def convert(value: Any, kind: type[T], *, strict: bool = True, hook: Hook | None = None) -> T:
    """A `kind` of what was JSON and was decoded to dicts and lists."""
    decoder(cast(Hashable, kind), strict=strict, hook=hook)
    return msgspec.convert(value, kind, strict=strict, dec_hook=hook)
