"""How large the parameters of a run or of a deployment may be."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from lictor.kit.errors import Invalid
from lictor.web import Request
from lictor.web.endpoint import as_sent

# How much longer what is measured may be than what came: `,1e15` is measured as `,1000000000000000.0`.
MOST_GROWTH = 4


def check_size(parameters: Mapping[str, Raw], most: int, request: Request) -> None:
    """Raises the reference's 422 for parameters of more than `most` bytes; 0 means no limit.

    They are measured as the reference measures them, without spaces and with `\\u` for all that is not ASCII.
    """
    if most <= 0 or len(request.body) * MOST_GROWTH <= most:
        return
    given = {name: msgspec.json.decode(value) for name, value in parameters.items()}
    size = len(json.dumps(given, separators=(",", ":")))
    if size <= most:
        return
    words = f"Flow run parameters must be less than {most:,} bytes when serialized (got {size:,} bytes)."
    error = {
        "type": "value_error",
        "loc": ["body", "parameters"],
        "msg": f"Value error, {words}",
        "input": given,
        "ctx": {"error": {}},
    }
    raise Invalid([error], as_sent(request))
