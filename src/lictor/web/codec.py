"""The one JSON codec of the wire: instants as ISO 8601 with `Z`, ids as text, stored JSON copied as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lictor.kit import decoding
from lictor.web.shapes import Choice


def decode_hook(kind: type, value: Any) -> Any:
    """Called by msgspec for types that it does not know: a `Choice` picks its member."""
    if issubclass(kind, Choice):
        return choose(kind, value)
    raise NotImplementedError(f"{kind.__name__} cannot be read from JSON")


def choose(kind: type[Choice], value: Any) -> Any:
    """The member of the choice whose shape fits `value` and knows most of its keys; ValueError when none fits."""
    given = set(value) if isinstance(value, dict) else set()
    for member in sorted(
        kind.members(), key=lambda each: -len(given & set(each.__struct_encode_fields__)) if given else 0
    ):
        try:
            return decoding.convert(value, member, hook=decode_hook)
        except msgspec.ValidationError:
            continue
    raise ValueError(f"Input should be one of {', '.join(m.__name__ for m in kind.members())}")


def decoder(kind: Any) -> Callable[[Any], Any]:
    """A strict decoder of `kind`."""
    return decoding.decoder(kind, hook=decode_hook)


encode = msgspec.json.Encoder().encode
