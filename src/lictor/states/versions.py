"""Is the client, or the API that it speaks, at least of some version?"""

from __future__ import annotations

import re
from functools import lru_cache

# Versions are compared to thresholds that are plain releases, so of a pre-release it is enough to know that it is one.
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)[._-]?(a|b|rc|alpha|beta|c|pre|preview|dev)?", re.IGNORECASE)


@lru_cache(maxsize=256)
def at_least(version: str, threshold: tuple[int, ...]) -> bool:
    """Whether `version` ("3.4.11", "3.5.0.dev2+g0af") is `threshold` or later; text that is no version never is."""
    match = _VERSION.match(version.strip())
    if match is None:
        return False
    release = tuple(int(part) for part in match[1].split("."))
    release += (0,) * (len(threshold) - len(release))
    if match[2] and release[: len(threshold)] == threshold and not any(release[len(threshold) :]):
        return False
    return release >= threshold
