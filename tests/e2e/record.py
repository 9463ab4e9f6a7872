"""Records what the reference shows after each script, into `recorded/`.

    LICTOR_REFERENCE=/path/to/reference/bin/prefect python -m tests.e2e.record [script …]

LICTOR_REFERENCE is the `prefect` command of an environment with the reference's version; the scripts themselves run
with the SDK of this environment. `--api` records from a server that runs already.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.asking import ask

from . import scripts
from .collect import Collector
from .play import RECORDED, pretty
from .snapshot import snapshot

STILL_FOR = 6.0


@contextmanager
def reference(command: str) -> Iterator[str]:
    """The reference on a free port with an empty database; its API's URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        server = subprocess.Popen(
            [command, "server", "start", "--port", str(port)],
            env=os.environ | {"PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            api = f"http://127.0.0.1:{port}/api"
            until_healthy(api)
            yield api
        finally:
            server.terminate()
            server.wait(30)


def until_healthy(api: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ask.get(f"{api}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise TimeoutError(f"no healthy answer from {api}")


def record(script: str, api: str) -> None:
    with tempfile.TemporaryDirectory() as home, Collector(api, script) as collector:
        outcome = scripts.run(scripts.FOLDER / f"{script}.py", api, Path(home))
        if outcome.code != 0:
            raise RuntimeError(f"{script} ended with {outcome.code}:\n{outcome.stderr[-4000:]}")
        counts = collector.wait_until_quiet(STILL_FOR, 60)
        found = snapshot(collector.everything(), outcome, api, counts)
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{script}.json").write_text(pretty(found))
    sys.stdout.write(f"{script}: {counts}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.record", description=__doc__)
    parser.add_argument("scripts", nargs="*", default=list(scripts.NAMES), metavar="script")
    parser.add_argument("--api", help="record from this server instead of starting the reference")
    options = parser.parse_args()
    if options.api:
        for script in options.scripts:
            record(script, options.api)
        return
    with reference(os.environ["LICTOR_REFERENCE"]) as api:
        for script in options.scripts:
            record(script, api)


if __name__ == "__main__":
    main()
