"""What a decision about a task run asks to be done in its transaction, after the state and the run are written."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class CacheState(Struct, frozen=True):
    """Insert a cache entry: until `expiration` (None: for good) the key stands for this state."""

    key: str
    expiration: datetime | None
    state_id: str


class ReleaseTagSlots(Struct, frozen=True):
    """Give back every slot that the task run holds of the limits of its tags."""

    tags: tuple[str, ...]


class Enqueue(Struct, frozen=True):
    """Offer the deferred task run to whoever runs tasks of its key; a retry comes before what is new."""

    retry: bool


TaskEffect = CacheState | ReleaseTagSlots | Enqueue
