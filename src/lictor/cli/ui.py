"""`lictor ui fetch`: a dashboard where none is installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from lictor.admin import VERSION
from lictor.cli.database import make_home
from lictor.dashboard import fetching
from lictor.settings import Settings


def fetch(settings: Settings, options: argparse.Namespace) -> int:
    home = settings.lictor.home
    make_home(home)
    if options.wheel is not None:
        place = fetching.unpack(home, Path(options.wheel))
    else:
        place = fetching.fetch(home, options.version or VERSION)
    print(f"The dashboard of prefect {place.name} is in {place}. Servers that start from now on find it.")
    return 0
