"""What the kernel knows of a process and all of its descendants: CPU seconds and resident bytes."""

from __future__ import annotations

import os
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and its living descendants; empty when it is gone."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            parents[int(entry)] = int(stat[1])
    found = [root] if root in parents else []
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree. A child that ended counts through the parent that waited for it."""
    stats = [_stat(pid) for pid in tree(root)]
    return sum(sum(int(value) for value in stat[11:15]) for stat in stats if stat) * TICK


def exact_seconds(root: int) -> float:
    """The same to the microsecond, of the threads that still live."""
    return sum(_scheduled(pid) for pid in tree(root)) / 1e9


def thread_seconds(pid: int) -> dict[int, tuple[float, float]]:
    """User and system time of each living thread of one process, by thread id."""
    stats = {int(thread): _stat(f"{pid}/task/{thread}") for thread in os.listdir(f"/proc/{pid}/task")}
    return {thread: (int(stat[11]) * TICK, int(stat[12]) * TICK) for thread, stat in stats.items() if stat}


def resident_bytes(root: int) -> int:
    """Resident memory of the tree; pages shared between its processes count once per process."""
    return sum(_resident(pid) for pid in tree(root))


def _scheduled(pid: int) -> int:
    """Nanoseconds on a processor."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(path.read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stat(path: int | str) -> list[str]:
    """The fields of a stat file below /proc after the command name, which may contain spaces itself."""
    try:
        text = Path(f"/proc/{path}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()
