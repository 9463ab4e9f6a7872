"""The house rules that a program can check; what ruff, mypy and import-linter check is left to them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = sorted((ROOT / "src" / "lictor").rglob("*.py"))
TESTS = sorted(path for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py"))

LONGEST = 600
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# The clock is asked in one place; these ask the system.
CLOCK = re.compile(r"datetime\.(now|utcnow|today)\(|time\.time\(|time\.time_ns\(")


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", SOURCE + TESTS, ids=named(SOURCE + TESTS))
def test_no_file_is_longer_than_600_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", SOURCE, ids=named(SOURCE))
def test_nothing_is_left_unfinished(path: Path) -> None:
    assert UNFINISHED.findall(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCE, ids=named(SOURCE))
def test_imports_stand_at_the_top(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


@pytest.mark.parametrize("path", SOURCE, ids=named(SOURCE))
def test_the_time_comes_from_the_clock(path: Path) -> None:
    if path.name != "clock.py":
        assert CLOCK.findall(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCE, ids=named(SOURCE))
def test_types_are_prepared_one_at_a_time(path: Path) -> None:
    # Settings are read before there are threads.
    if path.name == "decoding.py" or path.parent.name == "settings":
        return
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    calls = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if prepares(call)] == []


def prepares(call: ast.Call) -> bool:
    """Whether msgspec may prepare a type in this call (see `kit.decoding`)."""
    match ast.unparse(call.func):
        case "msgspec.convert" | "msgspec.json.Decoder":
            return True
        case "msgspec.json.decode":
            return any(keyword.arg == "type" for keyword in call.keywords)
    return False


@pytest.mark.parametrize("path", SOURCE, ids=named(SOURCE))
def test_every_module_says_what_it_is(path: Path) -> None:
    if path.read_text().strip():
        assert ast.get_docstring(ast.parse(path.read_text())), "a module begins with a docstring"
