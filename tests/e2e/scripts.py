"""Runs a flow script as its user would: a Python process of its own, with PREFECT_API_URL and a fresh PREFECT_HOME."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "flows"
NAMES = ("caching", "cancels", "crashes", "endings", "fanout", "messages", "pauses", "subflows", "tasks")
LIMIT_SECONDS = 120


@dataclass
class Outcome:
    """What a process left behind besides its runs."""

    code: int
    stdout: str
    stderr: str
    home: Path


def run(path: Path, api: str, home: Path, limit: float = LIMIT_SECONDS, arguments: Sequence[str] = ()) -> Outcome:
    """Runs one script against the API under `api`, with `home` as its PREFECT_HOME."""
    process = subprocess.Popen(
        [sys.executable, str(path), *arguments],
        env=environment(api, home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        # SIGABRT makes the interpreter say where each thread is (PYTHONFAULTHANDLER): what it hangs on.
        process.send_signal(signal.SIGABRT)
        stdout, stderr = process.communicate()
        stderr += f"\nnot done after {limit:g} s\n"
    return Outcome(process.returncode, stdout, stderr, home)


def environment(api: str, home: Path) -> dict[str, str]:
    """This process's environment without its Prefect settings: a user's machine on the first day.

    There the SDK is compiled; where a process may not keep what it compiles, each one spends ten seconds on it anew.
    """
    left_out = ("PREFECT_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONWARNINGS": "ignore",
    }
