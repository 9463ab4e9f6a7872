"""`lictor ui fetch`: the dashboards out of the reference's wheel, into the directory of the data.

The wheel comes by the user's own pip, with the index, proxy and certificates that are configured there; pip checks it
against the hash that the index tells. Each file that is taken out is then checked against the wheel's RECORD.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lictor.dashboard.finding import FETCHED, within
from lictor.kit.errors import LictorError

ROOTS = ("prefect/server/ui/", "prefect/server/ui-v2/")
SECONDS = 600

BROKEN = re.compile(r"connection broken by '(?:.*>: )?(.+?)'?\)?': /")
VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")


class CannotFetch(LictorError):
    """Why there is no dashboard now, and what to do about it."""


def fetch(home: Path, version: str) -> Path:
    """Download the wheel of that version and take the dashboards out of it; the directory that they are in."""
    with tempfile.TemporaryDirectory(prefix="lictor-ui-") as place:
        command = [*_pip(), "download", "--no-deps", "--only-binary=:all:", "--dest", place, f"prefect=={version}"]
        try:
            done = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise CannotFetch(f"pip did not come to an end within {SECONDS} s\n{elsewhere(version)}") from None
        if done.returncode:
            raise CannotFetch(f"pip could not download prefect {version}:\n{_told(done.stderr)}\n{elsewhere(version)}")
        return unpack(home, next(Path(place).glob("*.whl")))


def unpack(home: Path, wheel: Path) -> Path:
    """The dashboards out of a wheel that is there already."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            version, hashes = _record(archive)
            target = home / FETCHED / version
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".coming-") as place:
                new = Path(place, version)
                _take_out(archive, hashes, new)
                if within(new, "") is None:
                    raise CannotFetch(f"{wheel.name} holds no dashboard")
                _replace(target, new, Path(place, "old"))
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise CannotFetch(f"{wheel} cannot be unpacked: {error}") from None
    return target


def elsewhere(version: str) -> str:
    return (
        "Without a way to the package index, run this where there is one:\n"
        f"  pip download --no-deps prefect=={version}\n"
        f"and then here:\n  lictor ui fetch --wheel prefect-{version}-py3-none-any.whl"
    )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "tool", "run", "pip"]
    raise CannotFetch(f"there is no pip for {sys.executable}: `{sys.executable} -m ensurepip` puts one there")


def _told(output: str) -> str:
    """What pip said went wrong, without its advice. That an index was out of reach it says in a warning alone; the
    error is then that there is no such version."""
    broken = BROKEN.search(output)
    if broken is not None:
        return f"  the package index cannot be reached: {broken[1]}"
    lines = [line.strip() for line in output.splitlines() if line.startswith(("ERROR", "error"))]
    return "\n".join(f"  {VERSIONS.sub(_newest, line)}" for line in lines or output.strip().splitlines()[-3:])


def _newest(versions: re.Match[str]) -> str:
    found = [version for version in versions[1].split(", ") if "dev" not in version]
    return f"(the newest there: {', '.join(found[-5:])})"


def _record(archive: zipfile.ZipFile) -> tuple[str, Mapping[str, str]]:
    """The version of `prefect` that a wheel is of, and the hash of each of its files."""
    record = next((name for name in archive.namelist() if name.endswith(".dist-info/RECORD")), "")
    name, _, version = record.split("/")[0].removesuffix(".dist-info").partition("-")
    if name != "prefect" or not version[:1].isdigit():
        raise CannotFetch(f"{archive.filename} is no wheel of prefect")
    lines = (line.rsplit(",", 2) for line in archive.read(record).decode().splitlines())
    return version, {parts[0].strip('"'): parts[1] for parts in lines if len(parts) == 3}


def _take_out(archive: zipfile.ZipFile, hashes: Mapping[str, str], place: Path) -> None:
    for name in archive.namelist():
        inner = _place_of(name)
        if inner is None:
            continue
        content = archive.read(name)
        coded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        if hashes.get(name) != f"sha256={coded}":
            raise CannotFetch(f"{archive.filename} is damaged: {name} is not what its RECORD says")
        path = place / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _place_of(name: str) -> str | None:
    """Where a member of the wheel goes; None for what stays in it. The licence comes along."""
    if name.endswith("/") or ".." in PurePosixPath(name).parts:
        return None
    if ".dist-info/" in name and name.endswith("/LICENSE"):
        return "LICENSE"
    return name.removeprefix("prefect/server/") if name.startswith(ROOTS) else None


def _replace(target: Path, new: Path, old: Path) -> None:
    """By renaming, so that a server never finds half of it."""
    if target.exists():
        target.rename(old)
    new.rename(target)
