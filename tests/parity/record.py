"""Recording: `python -m tests.parity.record [group…]` asks the reference and writes recorded/<group>.json.

With `--url http://…/api` a reference that runs already is used (for groups without settings of their own).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import httpx

from . import matrix, recording
from .scenario import GROUPS, Group, load, play
from .servers import reference, reference_executable


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    names = options.groups or [*GROUPS, *matrix.GROUPS]
    servers: dict[str, httpx.Client] = {}
    with ExitStack() as stack:
        for name in names:
            group = matrix.GROUPS[name] if name in matrix.GROUPS else load(name)
            key = repr(sorted(group.env.items()))
            if key not in servers:
                servers[key] = _client(stack, group.env, options)
            recorded = _matrix(servers[key], name) if name in matrix.GROUPS else _group(servers[key], group)
            recording.write(name, recorded)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.record", description=__doc__)
    parser.add_argument("groups", nargs="*")
    parser.add_argument("--url")
    parser.add_argument("--reference", help="the reference's executable; else LICTOR_REFERENCE, else one is installed")
    return parser.parse_args(arguments)


def _client(stack: ExitStack, env: dict[str, str], options: argparse.Namespace) -> httpx.Client:
    if options.url and not env:
        url = options.url
    else:
        url = stack.enter_context(reference(options.reference or reference_executable(), env))
    return stack.enter_context(httpx.Client(base_url=url, timeout=60, transport=Patient()))


class Patient(httpx.HTTPTransport):
    """Asks again when the reference answers 503: its SQLite is busy with itself now and then."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for pause in (0.1, 0.3, 1.0, 3.0):
            response = super().handle_request(request)
            if response.status_code != 503:
                return response
            response.read()
            time.sleep(pause)
        return super().handle_request(request)


def _group(client: httpx.Client, group: Group) -> dict[str, Any]:
    recorded = {}
    for one in group.scenarios:
        steps, broken = play(client, one)
        if broken:
            raise SystemExit(f"{group.name}/{one.name}: {broken}\n{recording.pretty(steps[-3:])}")
        recorded[one.name] = steps
    _say(f"{group.name}: {len(recorded)} scenarios, {sum(map(len, recorded.values()))} steps")
    return recorded


def _matrix(client: httpx.Client, name: str) -> dict[str, str]:
    recorded = {}
    for case in matrix.GROUPS[name].cases:
        recorded[case.name] = matrix.answer(client, case)
        if len(recorded) % 200 == 0:
            _say(f"{name}: {len(recorded)} of {len(matrix.GROUPS[name].cases)}")
    _say(f"{name}: {len(recorded)} transitions")
    return recorded


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
