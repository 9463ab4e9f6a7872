"""How followers read what was committed, in order, without missing or repeating any of it.

The event log and the logs are tables with a `position` that grows. A follower reads forward from the last position that
it has seen, and looks again when it is woken, and by itself now and then: a wake-up is only ever a hint.

Who writes such a table says so (`tx.tell(topic)`), and once that is committed the topic's bell rings (`Bells`) for
coroutines that wait and for services to be nudged. On PostgreSQL `Notices` carries topics to the other processes on the
same database, from a thread and a connection of its own, after the commit: a notification within the transaction would
make all transactions that notify commit one by one. Processes on one SQLite file find each other's rows by looking.

Positions are given when rows are written and become visible when their transaction commits, so with several writers
(PostgreSQL) a row may appear *behind* one that was read already. `Positions` therefore remembers the gaps that it has
passed and asks for them again. A gap that stays empty for longer than any transaction of ours may last was rolled back,
and is forgotten. A long transaction elsewhere, such as a backup, holds nobody up.
"""

from lictor.feed.bell import Bell
from lictor.feed.bells import Bells
from lictor.feed.notices import Notices
from lictor.feed.positions import Positions

__all__ = ["Bell", "Bells", "Notices", "Positions"]
