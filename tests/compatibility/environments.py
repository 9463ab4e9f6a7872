"""Virtual environments with one release of the SDK each, made once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# The newest patch release of each minor.
RELEASES = ("3.9.1", "3.8.8", "3.7.8", "3.6.29", "3.5.0", "3.4.25", "3.3.7", "3.2.15", "3.1.15", "3.0.11")
# What the older ones need without saying so (importlib_metadata came along with other libraries until lately), or in
# an older version than they say: pkg_resources of setuptools, and pydantic.
BESIDE = ("setuptools<81", "importlib-metadata")
BESIDE_3_0 = (*BESIDE, "pydantic<2.10")


def folder() -> Path:
    """`LICTOR_SDKS`, else a folder among the temporary files."""
    return Path(os.environ.get("LICTOR_SDKS", Path(tempfile.gettempdir()) / "lictor-sdks"))


def environment(release: str) -> Path | None:
    """The folder of the environment with this release; None if it does not install."""
    place = folder() / release
    if (place / "bin" / "prefect").exists():
        return place
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    # Releases pin a certifi that not every mirror carries; any certifi will do.
    override = folder() / "override.txt"
    override.write_text("certifi\n", encoding="utf-8")
    command = [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), "--override", str(override)]
    beside = BESIDE_3_0 if release.startswith("3.0.") else BESIDE
    done = subprocess.run([*command, f"prefect=={release}", *beside], check=False)
    return place if done.returncode == 0 else None
