"""The recorded files: pretty, stable JSON, one per group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"
WIDTH = 118


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def exists(name: str) -> bool:
    return (FOLDER / f"{name}.json").exists()


def write(name: str, value: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(pretty(value) + "\n", encoding="utf-8")


def pretty(value: Any, indent: int = 0) -> str:
    """JSON in which everything that fits on one line stands on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list):
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        lines = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {pretty(item, indent + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{' ' * indent}}}"
    lines = [pad + pretty(item, indent + 1) for item in value]
    return "[\n" + ",\n".join(lines) + f"\n{' ' * indent}]"
