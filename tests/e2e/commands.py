"""Runs `prefect` commands one after the other in one process: to import the command takes longer than to run it.

python commands.py RESULTS COMMAND…, each command one argument. RESULTS gets [exit code, output] of each, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
from pathlib import Path

from prefect.cli import app


def run(command: str) -> tuple[int, str]:
    heard = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        try:
            sys.argv = ["prefect", *shlex.split(command)]
            app()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code, heard.getvalue()


if __name__ == "__main__":
    _, results, *commands = sys.argv
    Path(results).write_text(json.dumps([run(command) for command in commands]))
