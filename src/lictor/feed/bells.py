"""One bell for each topic that commits tell of."""

from __future__ import annotations

from lictor.db import Database
from lictor.feed.bell import Bell


class Bells:
    """The bells of a process; they ring after its own commits, and for what `Notices` hears of others'."""

    def __init__(self, db: Database) -> None:
        self._bells: dict[str, Bell] = {}
        db.listen(self.ring)

    def of(self, topic: str) -> Bell:
        return self._bells.setdefault(topic, Bell())

    def ring(self, topic: str) -> None:
        """From any thread; a topic without a bell has nobody who waits."""
        bell = self._bells.get(topic)
        if bell is not None:
            bell.ring()

    def ring_all(self) -> None:
        for topic in list(self._bells):
            self.ring(topic)
