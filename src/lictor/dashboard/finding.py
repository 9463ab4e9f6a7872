"""Where the dashboards' files are: a directory that was named, an installed `prefect`, or what was fetched."""

from __future__ import annotations

import re
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal, NamedTuple

from lictor.settings import Settings, UnusableSetting

Version = Literal["v1", "v2"]

# What the directories are called: in the wheel of the reference, in a directory that it filled, and after its build.
NAMES: dict[Version, tuple[str, ...]] = {"v1": ("ui", "v1", "ui_build"), "v2": ("ui-v2", "v2", "ui_v2_build")}

FETCHED = "dashboard"


class Found(NamedTuple):
    """The directories of the bundles that there are, and where they come from, for people."""

    bundles: dict[Version, Path]
    source: str


def find(settings: Settings) -> Found | None:
    """None when there is none. UnusableSetting when a directory was named and holds none."""
    named = settings.ui.static_directory
    if named is not None:
        directory = Path(named).expanduser()
        found = within(directory, f"in {directory}")
        if found is None:
            raise UnusableSetting(
                f"PREFECT_UI_STATIC_DIRECTORY (or --ui-dir): {directory} holds no dashboard, neither ui nor ui-v2"
            )
        return found
    return _installed() or _fetched(settings.lictor.home / FETCHED)


def within(directory: Path, source: str) -> Found | None:
    """The bundles in a directory: in one of each that the `NAMES` have, or itself one."""
    bundles: dict[Version, Path] = {}
    for version, names in NAMES.items():
        path = next((directory / name for name in names if (directory / name / "index.html").is_file()), None)
        if path is not None:
            bundles[version] = path
    if not bundles and (directory / "index.html").is_file():
        bundles["v1"] = directory
    return Found(bundles, source) if bundles else None


def _installed() -> Found | None:
    """In the reference's package if it is installed beside us. It is located, never imported."""
    spec = PathFinder.find_spec("prefect")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        package = Path(place)
        found = within(package / "server", f"of the installed prefect{_version_beside(package)}")
        if found is not None:
            return found
    return None


def _version_beside(package: Path) -> str:
    names = (found.name for found in package.parent.glob("prefect-*.dist-info"))
    return next((" " + name.removeprefix("prefect-").removesuffix(".dist-info") for name in names), "")


def _fetched(directory: Path) -> Found | None:
    """The newest of those that `lictor ui fetch` has put there."""
    for place in sorted(directory.glob("*"), key=lambda path: version_key(path.name), reverse=True):
        found = within(place, f"of prefect {place.name}")
        if found is not None and place.name[0].isdigit():
            return found
    return None


def version_key(name: str) -> list[int]:
    """Orders versions by their numbers, 3.10 after 3.9."""
    return [int(number) for number in re.findall(r"\d+", name)]
