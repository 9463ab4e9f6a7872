"""Plans of lists that stand in a table of cases: what is asked, and the index that it must be read by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.architecture.test_plans import explained

from lictor.db import Database, Tx

Read = Callable[[Tx], object]


def complaints(db: Database, cases: Mapping[str, tuple[Read, str]], scan: str) -> str:
    """What is not read by its index (a regular expression), or scans a table as `scan` tells, with its plan."""

    def look(tx: Tx) -> list[str]:
        plans = {name: explained(tx, read) for name, (read, _) in cases.items()}
        return [
            f"{name}: not by {index}\n{plans[name]}"
            for name, (_, index) in cases.items()
            if not re.search(index, plans[name]) or re.search(scan, plans[name], re.MULTILINE)
        ]

    return "\n\n".join(db.read_now(look))
