"""The little language of text searches: `word` or `"a phrase"`, `+required`, `-excluded` (or `!excluded`).

Words without a sign are alternatives. A sign counts only right before its word; a phrase that is not closed goes on to
the end. Matching is by substring, in whatever case, and is the caller's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TERM = re.compile(
    r"""(?P<sign>[-!+](?=\S))?        # a sign that stands right before something
        (?: "(?P<phrase>(?:\\.|[^"\\])*\\?)(?:"|$)
          | (?P<word>[^\s"]+) )""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r'\\(["\\])')
_LONE_SIGN = re.compile(r"[-!+](?=\s|$)")


class TextSearch(NamedTuple):
    """Lower-case terms: one of `any` (if there are some), all of `required`, none of `excluded`."""

    any: list[str]
    required: list[str]
    excluded: list[str]


def parse(query: str) -> TextSearch:
    found = TextSearch([], [], [])
    at = 0
    while at < len(query):
        if query[at].isspace() or _LONE_SIGN.match(query, at):
            at += 1
            continue
        match = _TERM.match(query, at)
        if match is None:
            at += 1
            continue
        at = match.end()
        term = match["word"] if match["word"] is not None else _ESCAPED.sub(r"\1", match["phrase"])
        if term.strip():
            _list_for(found, match["sign"]).append(term.lower())
    return found


def _list_for(search: TextSearch, sign: str | None) -> list[str]:
    if sign is None:
        return search.any
    return search.required if sign == "+" else search.excluded
