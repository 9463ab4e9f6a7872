"""How followers read what was committed, in order, without missing or repeating any of it.

The event log and the logs are tables with a `position` that grows. A follower reads forward from the last position that
it has seen; a `Bell` wakes it when something was committed in this process, and it looks by itself now and then for
what other processes committed: a wake-up is only ever a hint.

Positions are given when rows are written and become visible when their transaction commits, so with several writers
(PostgreSQL) a row may appear *behind* one that was read already. `Positions` therefore remembers the gaps that it has
passed and asks for them again. A gap that stays empty for longer than any transaction of ours may last was rolled back,
and is forgotten. A long transaction elsewhere, such as a backup, holds nobody up.
"""

from lictor.feed.bell import Bell
from lictor.feed.positions import Positions

__all__ = ["Bell", "Positions"]
