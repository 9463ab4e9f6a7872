"""Triggers as clients send them: on events that come or stay away, and on other triggers that fire together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal
from uuid import UUID

from msgspec import Struct, field

from lictor.kit import ids
from lictor.web import coercion
from lictor.web.shapes import Checked, Checks, Choice, FieldError, Seconds

REACTIVE = "Reactive"
PROACTIVE = "Proactive"
SHORTEST_PROACTIVE = 10.0
NO_PERIOD = "`within` should be a valid timedelta"

Labels = dict[str, str | list[str]]
"""Which resources are meant: each label must have one of its values; `*` stands for anything, a leading `!` negates."""


def _new_id() -> UUID:
    return UUID(ids.new())


class Trigger(Choice):
    """What an automation waits for."""

    id: UUID

    def all(self) -> Iterator[Trigger]:
        """This trigger and those within it."""
        yield self

    @classmethod
    def members(cls) -> list[type[Any]]:
        return [EventTrigger, CompoundTrigger, SequenceTrigger]


def check_posture(posture: Any) -> None:
    if posture not in (REACTIVE, PROACTIVE):
        expected = "Posture.Reactive or Posture.Proactive"
        raise FieldError(f"Input should be {expected}", type="literal_error", ctx={"expected": expected})


def check_within(seconds: float | None) -> None:
    if seconds is None:
        raise ValueError(NO_PERIOD)
    if seconds < 0:
        bound = "0 seconds"
        words = f"Input should be greater than or equal to {bound}"
        raise FieldError(words, type="greater_than_equal", ctx={"ge": bound})


class EventTrigger(Trigger, Checked, Struct, kw_only=True):
    """Fires when `threshold` expected events came `within` so many seconds (Reactive), or did not (Proactive)."""

    wire_label: ClassVar[str] = "EventTrigger"
    checks: ClassVar[Checks] = {"posture": check_posture, "within": check_within}

    type: Literal["event"] = "event"
    id: UUID = field(default_factory=_new_id)
    match: Labels = {}
    match_related: Labels | list[Labels] = {}
    after: set[str] = set()
    expect: set[str] = set()
    for_each: set[str] = set()
    posture: Any
    threshold: int = 1
    within: Seconds | None = 0.0

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        self.within = period(self.posture, self.seconds)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        within, posture = given.get("within", 0.0), given.get("posture")
        if within is None:
            raise ValueError(NO_PERIOD)
        try:
            given = {**given, "within": coercion.seconds(within)} if "within" in given else given
        except coercion.Bad:
            return given
        return {**given, "within": period(posture, given.get("within", 0.0))} if posture == PROACTIVE else given

    @property
    def seconds(self) -> float:
        return self.within or 0.0

    @property
    def related(self) -> list[Labels]:
        """What related resources must match: each of these, some related resource."""
        return self.match_related if isinstance(self.match_related, list) else [self.match_related]


def period(posture: Any, within: float) -> float:
    """How long a trigger waits; raises ValueError where that is too short for one that is proactive."""
    if posture != PROACTIVE:
        return within
    if within and within < SHORTEST_PROACTIVE:
        raise ValueError("`within` for Proactive triggers must be greater than or equal to 10 seconds")
    return within or SHORTEST_PROACTIVE


class Composite:
    """A trigger that fires when those within it have fired."""

    __slots__ = ()
    id: UUID
    triggers: list[Trigger]
    within: float | None

    def all(self) -> Iterator[Trigger]:
        yield self  # type: ignore[misc]
        for trigger in self.triggers:
            yield from trigger.all()

    @property
    def needed(self) -> int:
        """How many of the triggers within must have fired."""
        return len(self.triggers)


class CompoundTrigger(Composite, Trigger, Struct, kw_only=True):
    wire_label: ClassVar[str] = (
        "function-after[validate_require(), function-after[validate_require(), CompoundTrigger]]"
    )
    type: Literal["compound"] = "compound"
    id: UUID = field(default_factory=_new_id)
    triggers: list[Trigger]
    within: Seconds | None
    require: int | Literal["any", "all"]

    def __post_init__(self) -> None:
        if isinstance(self.require, int) and self.require < 1:
            raise ValueError("require must be at least 1")
        if isinstance(self.require, int) and self.require > len(self.triggers):
            raise ValueError("require must be less than or equal to the number of triggers")

    @property
    def needed(self) -> int:
        match self.require:
            case "any":
                return 1
            case "all":
                return len(self.triggers)
            case _:
                return self.require


class SequenceTrigger(Composite, Trigger, Struct, kw_only=True):
    wire_label: ClassVar[str] = "SequenceTrigger"
    type: Literal["sequence"] = "sequence"
    id: UUID = field(default_factory=_new_id)
    triggers: list[Trigger]
    within: Seconds | None
