"""Runs commands of the command line (JSON, a list of lists) in one process, since each start of it takes seconds.

Prints a line for each: its exit code and what it printed, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from prefect.cli import app


def run(words: list[str]) -> tuple[int, str]:
    printed = io.StringIO()
    code = 0
    sys.argv = ["prefect", *words]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            app()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, printed.getvalue()


if __name__ == "__main__":
    for words in json.loads(sys.argv[1]):
        print(json.dumps(run(words)), flush=True)
