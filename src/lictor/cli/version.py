"""`lictor version`."""

from __future__ import annotations

import argparse
import platform

from lictor import __version__
from lictor.settings import Settings


def version(settings: Settings, options: argparse.Namespace) -> int:
    print(f"lictor {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
    return 0
