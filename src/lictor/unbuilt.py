"""What of the API is not built yet. Each line answers 501 with its name until a concept declares the operation;
then the line goes (a test insists), so this page only shrinks.

A line: method, path, name, success code, body (R required, O optional, - none), then query (?) and header (^)
parameters, with ! where they are required. A websocket has only path and name.
"""

from __future__ import annotations

from lictor.web.routing import WEBSOCKET, Declared, Router

_BODIES = {"-": "", "O": "optional", "R": "required"}
_PLACES = {"?": "query", "^": "header"}


def router() -> Router:
    """All operations of this page, declared as not built."""
    found = Router()
    for line in OPERATIONS.split("\n"):
        declare(found, line.split())
    return found


def declare(router: Router, words: list[str]) -> None:
    match words:
        case [method, path, name] if method == WEBSOCKET:
            router.unbuilt(WEBSOCKET, path, name, 101)
        case [method, path, name, status, body, *parameters]:
            router.unbuilt(method, path, name, int(status), _BODIES[body], map(parameter, parameters))


def parameter(word: str) -> Declared:
    return Declared(_PLACES[word[0]], word[1:].rstrip("!"), word.endswith("!"))


OPERATIONS = """
"""
