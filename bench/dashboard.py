"""The dashboard in a browser: `python -m bench.dashboard --reference PREFECT --runs 100 10000`.

Both servers serve the same files and hold the same runs. They are opened in turn in one headless Chromium: seconds from
the address until the rows of the runs page can be read, the server's CPU for that page view, and its CPU for a minute
in which a tab with the front page is open. Then, of Lictor alone, what a client waits for one `set_state` while
nobody and while somebody fetches the dashboard's files all the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.browser.chromium import Tab, chromium

from bench import report
from bench.servers import Server, reference, sqlite_url
from lictor.dashboard.finding import within

HEADERS = {"Content-Type": "application/json", "User-Agent": "prefect/3.9.1 (API 0.8.4)"}
VIEWS = 3
MINUTE = 60
STATES = 400


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--reference", type=Path, required=True, help="`prefect` command of an environment with it")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 10_000])
    options = parser.parse_args()
    files = next(options.reference.parents[1].glob("lib/python*/site-packages/prefect/server"))
    assert within(files, "") is not None
    report.say(json.dumps(report.machine()))
    for runs in options.runs:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, contextlib.ExitStack() as stack:
            home = Path(place)
            theirs = reference(options.reference, home / "reference")
            ours = lictor(home / "lictor", files)
            for server in (theirs, ours):
                fill(server, runs)
                stack.callback(server.stop)
                server.start()
            browser = stack.enter_context(chromium(home))
            tab = stack.enter_context(browser.tab())
            report.show(f"{runs} runs", [summary(server, seen) for server, seen in watched(tab, [theirs, ours], runs)])
            if runs == options.runs[0]:
                report.show("one set_state of Lictor", waits(ours))
    return 0


def lictor(home: Path, files: Path) -> Server:
    executable = str(Path(sys.executable).with_name("lictor"))
    command = [executable, "start", "--host", "{host}", "--port", "{port}", "--ui-dir", str(files)]
    return Server("lictor", [*command, "--database", "{database}"], home, sqlite_url(home))


def ask(server: Server, path: str, body: Any) -> Any:
    """As the SDK does: again after 503, which the reference answers while it is busy with its start."""
    for attempt in range(10):
        connection = HTTPConnection(server.host, server.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/api/{path}", json.dumps(body), HEADERS)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 503:
            break
        time.sleep(0.2 * 2**attempt)
    assert answer.status < 300, f"{path} {answer.status} {content!r}"
    return json.loads(content)


def one_run(server: Server) -> str:
    """A run from its creation to its end, through the API."""
    flow = ask(server, "flows/", {"name": "bench"})
    made = ask(server, "flow_runs/", {"flow_id": flow["id"], "name": "first", "state": {"type": "PENDING"}})
    for state in ("RUNNING", "COMPLETED"):
        ask(server, f"flow_runs/{made['id']}/set_state", {"state": {"type": state}})
    return str(made["id"])


def fill(server: Server, runs: int) -> None:
    """One run goes through the API; the others are copies of its rows, a minute apart, in the stopped server's file."""
    server.start()
    try:
        run = one_run(server)
    finally:
        server.stop()
    with contextlib.closing(sqlite3.connect(server.home / "server.db")) as file, file:
        file.row_factory = sqlite3.Row
        original = dict(file.execute("select * from flow_run where id = ?", (run,)).fetchone())
        state = dict(file.execute("select * from flow_run_state where id = ?", (original["state_id"],)).fetchone())
        for number in range(runs - 1):
            key, state_key = str(uuid.uuid4()), str(uuid.uuid4())
            earlier = timedelta(seconds=30 + number * 7)
            insert(
                file, "flow_run", moved(original, earlier) | {"id": key, "name": f"run-{number}", "state_id": state_key}
            )
            insert(file, "flow_run_state", moved(state, earlier) | {"id": state_key, "flow_run_id": key})


def moved(row: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """The row with all its instants earlier, written as they were."""
    instants = {name: value for name, value in row.items() if is_instant(value)}
    return row | {name: earlier(value, by) for name, value in instants.items()}


def is_instant(value: object) -> bool:
    return isinstance(value, str) and value[:2] == "20" and value[4:5] == "-" and value[13:14] == ":"


def earlier(value: str, by: timedelta) -> str:
    moment = datetime.fromisoformat(value.removesuffix("Z")) - by
    return moment.isoformat(value[10], "microseconds") + ("Z" if value.endswith("Z") else "")


def insert(file: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    file.execute(f"insert into {table} ({','.join(row)}) values ({','.join('?' * len(row))})", tuple(row.values()))


def watched(tab: Tab, servers: list[Server], runs: int) -> list[tuple[Server, dict[str, list[float]]]]:
    """Seconds until rows are shown, CPU of a page view, CPU of a minute, in turn; the first view of each only warms."""
    seen: list[tuple[Server, dict[str, list[float]]]] = [
        (server, {"rows": [], "view": [], "minute": []}) for server in servers
    ]
    for turn in range(VIEWS + 1):
        for server, figures in seen:
            before, begun = server.cpu_seconds(), time.monotonic()
            tab.goto(f"http://{server.host}:{server.port}/v2/runs")
            tab.until(lambda: "run-0" in tab.text, "no rows are shown", within=300)
            rows = time.monotonic() - begun
            tab.settles()
            if turn:
                figures["rows"].append(rows)
                figures["view"].append(server.cpu_seconds() - before)
            tab.goto("about:blank")
    for server, figures in seen:
        tab.goto(f"http://{server.host}:{server.port}/v2/dashboard")
        tab.sees("Flow Runs")
        tab.settles()
        before = server.cpu_seconds()
        tab.run(f"new Promise(done => setTimeout(done, {MINUTE // 4 * 1000}))")
        for _ in range(3):
            tab.run(f"new Promise(done => setTimeout(done, {MINUTE // 4 * 1000}))")
        figures["minute"].append(server.cpu_seconds() - before)
        tab.goto("about:blank")
    return seen


def summary(server: Server, figures: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "server": server.name,
        "rows_shown_s": statistics.median(figures["rows"]),
        "rows_min_s": min(figures["rows"]),
        "rows_max_s": max(figures["rows"]),
        "view_cpu_ms": statistics.median(figures["view"]) * 1000,
        "minute_cpu_ms": figures["minute"][0] * 1000,
    }


def waits(server: Server) -> list[dict[str, Any]]:
    """Milliseconds of a set_state, in turn without and with somebody who fetches files."""
    run = one_run(server)
    quiet: list[float] = []
    busy: list[float] = []
    for _ in range(2):
        quiet += set_states(server, run)
        with fetching(server):
            busy += set_states(server, run)
    return [{"meanwhile": name, **quantiles(each)} for name, each in (("nothing", quiet), ("files are fetched", busy))]


def set_states(server: Server, run: str) -> list[float]:
    connection = HTTPConnection(server.host, server.port, timeout=60)
    taken = []
    with contextlib.closing(connection):
        for number in range(STATES // 2):
            body = json.dumps({"state": {"type": "RUNNING", "name": f"R{number % 2}"}, "force": True})
            begun = time.perf_counter()
            connection.request("POST", f"/api/flow_runs/{run}/set_state", body, HEADERS)
            connection.getresponse().read()
            taken.append((time.perf_counter() - begun) * 1000)
    return taken


def quantiles(taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)], "max_ms": ordered[-1]}


FETCH = """
import re, sys
from http.client import HTTPConnection
link = HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
def get(path):
    link.request("GET", path, headers={"Accept": "text/html,*/*", "Accept-Encoding": "gzip"})
    return link.getresponse().read()
link.request("GET", "/v2/dashboard", headers={"Accept": "text/html"})
paths = re.findall(r'(?:src|href)="(/[^"]+)"', link.getresponse().read().decode())
print(len(paths), flush=True)
while True:
    for path in paths:
        get(path)
"""


@contextlib.contextmanager
def fetching(server: Server) -> Iterator[None]:
    """Somebody in a process of his own loads all files of the first page, again and again."""
    command = [sys.executable, "-c", FETCH, server.host, str(server.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
    try:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
