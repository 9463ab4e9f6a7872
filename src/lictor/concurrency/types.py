"""Concurrency limits and leases: rows, and what goes over the wire."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from lictor.web import DEFAULT_LIMIT, Embedded, Limit, Offset

TAG = "tag:"

Name = Annotated[str, Meta(pattern="^[^/%&><]+$")]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Names = Annotated[list[str], Meta(min_length=1)]
LeaseSeconds = Annotated[float, Meta(ge=60, le=86400)]
Mode = Literal["concurrency", "rate_limit"]
HolderType = Literal["flow_run", "task_run", "deployment"]


class LimitRow(Struct):
    """A limit as it is stored; `leased` are the slots of its live leases, `standing` those of all that are there.

    `active_slots` and `denied_slots` are as they were at `updated`: fractions of slots that decay are kept.
    """

    id: str
    created: datetime
    updated: datetime
    name: str
    active: bool
    limit: int
    active_slots: float
    denied_slots: float
    slot_decay_per_second: float
    avg_slot_occupancy_seconds: float
    leased: int
    standing: int

    @property
    def decays(self) -> bool:
        return self.slot_decay_per_second > 0

    def taken(self, now: datetime) -> int:
        """How many slots are taken; a slot that has decayed in part is taken still."""
        return whole(self.unheld(now)) + (0 if self.decays else self.leased)

    def unheld(self, now: datetime) -> float:
        """What is left by now of the slots that are counted in the row."""
        return decayed(self.active_slots, self.slot_decay_per_second, (now - self.updated).total_seconds())


def decayed(slots: float, per_second: float, seconds: float) -> float:
    return max(0.0, slots - per_second * max(seconds, 0.0))


def whole(slots: float) -> int:
    # What is left of a whole slot after adding and taking away fractions may be a little more than nothing.
    return math.ceil(slots - 1e-6)


class ConcurrencyLimitV2(Struct):
    """What a new limit is answered with."""

    id: str
    created: datetime
    updated: datetime
    active: bool
    name: str
    limit: int
    active_slots: int
    denied_slots: int
    slot_decay_per_second: float
    avg_slot_occupancy_seconds: float


class GlobalConcurrencyLimitResponse(Struct):
    id: str
    created: datetime
    updated: datetime
    active: bool
    name: str
    limit: int
    active_slots: int
    slot_decay_per_second: float


class MinimalConcurrencyLimitResponse(Struct):
    id: str
    name: str
    limit: int


class ConcurrencyLimitWithLeaseResponse(Struct):
    lease_id: str
    limits: list[MinimalConcurrencyLimitResponse]


class ConcurrencyLimitV2Create(Struct, forbid_unknown_fields=True, kw_only=True):
    active: bool = True
    name: Name
    limit: Count
    active_slots: Count = 0
    denied_slots: Count = 0
    slot_decay_per_second: Annotated[float, Meta(ge=0)] = 0.0


class ConcurrencyLimitV2Update(Struct, forbid_unknown_fields=True):
    """Absent: as it was. Nulls pass as input and then conflict with the table, as in the reference."""

    active: bool | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    limit: Count | UnsetType | None = UNSET
    active_slots: Count | UnsetType | None = UNSET
    denied_slots: Count | UnsetType | None = UNSET
    slot_decay_per_second: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET


class ConcurrencyLeaseHolder(Struct, forbid_unknown_fields=True):
    type: HolderType
    id: UUID


# In each body the fields stand as in the reference, whose order of errors that is.
class LimitPage(Embedded):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class Increment(Embedded):
    slots: Positive
    names: Names
    mode: Mode = "concurrency"
    create_if_missing: bool | None = None


class IncrementWithLease(Embedded):
    slots: Positive
    names: Names
    mode: Mode = "concurrency"
    lease_duration: LeaseSeconds = 300.0
    holder: ConcurrencyLeaseHolder | None = None


class Decrement(Embedded):
    slots: Positive
    names: Names
    occupancy_seconds: Annotated[float, Meta(gt=0)] | None = None
    create_if_missing: bool | None = None


class DecrementWithLease(Embedded):
    lease_id: UUID


class Renewal(Embedded):
    lease_duration: LeaseSeconds = 300.0
