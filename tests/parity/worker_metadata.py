"""`python -m tests.parity.worker_metadata` asks the reference what it knows of workers, and writes what Lictor answers.

It is Prefect's, licensed under Apache-2.0, and the file says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx

from .servers import QUIETER, reference, reference_executable

FILE = Path(__file__).parents[2] / "src" / "lictor" / "data" / "worker_metadata.json"
ABOUT = (
    "What Prefect 3.9.1 knows of workers, as its server answers. "
    "Copyright Prefect Technologies, Inc., licensed under the Apache License, Version 2.0."
)


def main() -> int:
    with reference(reference_executable(), QUIETER) as url, httpx.Client(base_url=url, timeout=60) as client:
        workers = client.get("/collections/views/aggregate-worker-metadata").raise_for_status().json()
    FILE.write_text(text(workers), encoding="utf-8")
    sys.stderr.write(f"{sum(map(len, workers.values()))} types of workers in {FILE.name}\n")
    return 0


def text(workers: dict[str, dict[str, Any]]) -> str:
    """One line for each type, so that a new release of the reference makes a readable difference."""
    packages = ",\n".join(f"{json.dumps(package)}: {{\n{_lines(types)}\n}}" for package, types in workers.items())
    return f'{{"about": {json.dumps(ABOUT)},\n"workers": {{\n{packages}\n}}}}\n'


def _lines(types: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(type)}: {json.dumps(one, separators=(',', ':'))}" for type, one in types.items())


if __name__ == "__main__":
    sys.exit(main())
