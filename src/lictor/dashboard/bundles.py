"""The files of one dashboard: listed once, read when they are asked for, compressed once and kept so.

Reading, filling in and compressing take a while, so whoever calls `Bundle.content` is on a thread of its own. Only what
compresses well is kept, and only compressed; a client that cannot have it so gets the file read anew.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from lictor.web.asgi import compress

PLACEHOLDER = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"

INDEX = "index.html"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}

# What is packed already gains nothing by it.
PACKED = frozenset({".png", ".jpg", ".gif", ".woff", ".woff2"})

LEVEL = 6


class Content(NamedTuple):
    """One file as it is sent."""

    body: bytes
    gzipped: bool
    type: str
    tag: str
    immutable: bool


class File(NamedTuple):
    path: Path
    size: int
    modified: int

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def type(self) -> str:
        return TYPES.get(self.suffix, "application/octet-stream")


class Bundle:
    """The files of one dashboard below `directory`, by their path in it."""

    def __init__(self, directory: Path) -> None:
        self._files = dict(_listed(directory))
        # By the base in them, or None: most files have none.
        self._packed: dict[tuple[str, str | None], bytes] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def content(self, name: str, base: str, *, gzipped: bool) -> Content:
        """The file with the base (`/prefect`, or nothing) where it belongs. KeyError when there is no such file.

        A name is only looked up, never made into a path: there is no way out of the directory.
        """
        file = self._files[name]
        packed = gzipped and file.suffix not in PACKED
        body = self._compressed(name, base, file) if packed else _filled_in(file, base)
        return Content(body, packed, file.type, _tag(file, base, packed), name.startswith("assets/"))

    def _compressed(self, name: str, base: str, file: File) -> bytes:
        found = self._packed.get((name, None)) or self._packed.get((name, base))
        if found is None:
            raw = file.path.read_bytes()
            found = compress(raw.replace(PLACEHOLDER, base.encode()), LEVEL)
            self._packed[name, base if PLACEHOLDER in raw else None] = found
        return found


def _listed(directory: Path) -> list[tuple[str, File]]:
    found = []
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            about = path.stat()
            found.append((path.relative_to(directory).as_posix(), File(path, about.st_size, about.st_mtime_ns)))
    return found


def _filled_in(file: File, base: str) -> bytes:
    return file.path.read_bytes().replace(PLACEHOLDER, base.encode())


def _tag(file: File, base: str, packed: bool) -> str:
    """An ETag: another for each form that the file is sent in."""
    form = f"{file.size} {file.modified} {base} {packed}"
    return f'"{hashlib.sha256(form.encode()).hexdigest()[:20]}"'
