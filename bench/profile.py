"""Where the CPU goes while a load is on a running Lictor.

First the CPU of each thread, user and system, as the kernel counts it: SQLite, system calls and the waiting in them are
in there. Then what py-spy sees of the Python code: samples of whichever thread holds the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench import processes, report, servers
from bench.loads import Load

SECONDS = 8
SHOWN = 40


def run(load: Load, options: argparse.Namespace) -> int:
    """Profile `load` on SQLite and print the functions with most of the samples; the exit code."""
    sampler = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if sampler is None:
        report.say("profile needs py-spy: pip install py-spy")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server = servers.lictor(Path(directory))
        try:
            server.start()
            drive(server, load, options)  # warm up
            before = processes.thread_seconds(server.pid)
            units = drive(server, load, options)
            show_threads(before, processes.thread_seconds(server.pid), units)
            show(sample(sampler, server, load, options), Path.cwd())
        finally:
            server.stop()
    return 0


def drive(server: servers.Server, load: Load, options: argparse.Namespace) -> int:
    """Load for SECONDS; the number of units."""
    units, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        units += len(asyncio.run(load(server, options.units or 200, options.clients)).units)
    return units


def sample(sampler: str, server: servers.Server, load: Load, options: argparse.Namespace) -> list[str]:
    """Collapsed stacks, one a line: `frame;frame;… count`."""
    output = server.home / "stacks.txt"
    command = [sampler, "record", "--pid", str(server.pid), "--format", "raw", "--rate", "500", "--threads", "--gil"]
    command += ["--duration", str(SECONDS), "--output", str(output)]
    watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    drive(server, load, options)
    _, problem = watcher.communicate(timeout=60)
    if watcher.returncode:
        raise RuntimeError(f"py-spy: {problem.decode(errors='replace')}")
    return output.read_text().splitlines()


def show_threads(before: dict[int, tuple[float, float]], after: dict[int, tuple[float, float]], units: int) -> None:
    """Milliseconds of CPU that each thread took for one unit."""
    rows = []
    for thread, (user, system) in after.items():
        user_before, system_before = before.get(thread, (0.0, 0.0))
        spent = (user - user_before, system - system_before)
        rows.append({"thread": thread, "user_ms": spent[0] / units * 1000, "system_ms": spent[1] / units * 1000})
    rows.sort(key=lambda row: -row["user_ms"] - row["system_ms"])
    report.show(f"CPU of a unit by thread, {units} units", rows[:SHOWN])


def show(stacks: list[str], root: Path) -> None:
    """Tables by own time and by time with callees; a recursive function counts once per stack."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        stack, _, samples = line.rpartition(" ")
        names = [_without_line(frame) for frame in stack.split(";")]
        own[names[-1]] += int(samples)
        for name in set(names):
            whole[name] += int(samples)
    total = sum(own.values()) or 1
    for title, counter in (("own time", own), ("with callees", whole)):
        report.say(f"\n{title}, share of {total} samples")
        for name, count in counter.most_common(SHOWN):
            report.say(f"  {count / total * 100:5.1f}%  {name.replace(str(root) + '/', '')}")


def _without_line(frame: str) -> str:
    """`function (file.py:12)` without the line: one entry per function."""
    name, colon, line = frame.rpartition(":")
    return f"{name})" if colon and line.rstrip(")").isdigit() else frame
