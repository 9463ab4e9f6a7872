"""The tests that tests/README.md names are there."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent
NAMED = re.findall(r"`([a-z_0-9/]+\.py)(?:::(test_[a-z_0-9]+))?`", (FOLDER / "README.md").read_text())


def test_every_test_that_the_table_names_is_there() -> None:
    missing = [
        (file, name)
        for file, name in NAMED
        if not (FOLDER / file).exists() or f"def {name}" not in (FOLDER / file).read_text()
    ]
    assert len(NAMED) > 20
    assert not missing
