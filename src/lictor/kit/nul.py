"""The character U+0000 in JSON: PostgreSQL has none, neither in texts nor where it looks into JSON."""

import re

# A backslash that is itself escaped escapes nothing.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def without(text: bytes) -> bytes:
    """JSON without NUL characters."""
    return _NUL.sub(rb"\1", text) if b"\\u0000" in text else text
