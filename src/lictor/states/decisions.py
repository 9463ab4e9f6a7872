"""How it is decided what becomes of a proposed state.

A `Transition` is one run, the state it is in and the state that is proposed for it. A policy is a tuple of rules in
order. Each rule that governs the intended step (from one state type to another) is *entered*, in order: it may leave
the proposal alone, change it, replace it (`reject` with a state) or withdraw it (`reject`, `wait`, `abort`). As soon as
the proposal is no longer of the intended type, the rules that follow have nothing to say and are skipped; only those
marked `always` are entered whatever became of it. Then the policy's *tracking* brings the run's columns in line with
the state that is left, if one is. Last, the rules that were entered are *exited*, in reverse order.

A rule is a function of the transition, its initial and its proposed state (the last may be None where the rule is
entered `always`). It is a generator if it has something to do on exit, which stands after its `yield`. There
`transition.state` is the state the run will be in, and `transition.kept` tells whether the proposal is still of the
type that it had when this rule yielded: if so the rule's own work stands, if not a later rule decided otherwise and
the rule takes back what it did. A rule that returns before its `yield` has no exit.

Nothing is written while this happens. What a rule must know beyond the run, or must take (a slot), it asks of
`transition.facts`, which its caller implements inside the transaction; what is to be written beside the state and the
run (an event, a slot given back) it leaves in `transition.effects`, in the order in which it is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace

from lictor.kit import clock
from lictor.states.types import (
    ACCEPTED,
    STATE_TYPES,
    AbortDetails,
    OrchestrationResult,
    Outcome,
    RejectDetails,
    ResponseDetails,
    State,
    StateType,
    Status,
    TrackedRun,
    WaitDetails,
)

Run = TypeVar("Run", bound=TrackedRun)
Facts = TypeVar("Facts")

Exit = Generator[None, None, None]
Body = Callable[[Any, Any, Any], Exit | None]


class RuleSettings(Struct, frozen=True):
    """The settings that rules go by; seconds unless said otherwise."""

    deployment_lease_seconds: float = 300.0
    deployment_slot_wait_seconds: float = 30.0
    tag_slot_wait_seconds: float = 10.0
    max_cache_key_length: int = 2000


DEFAULT_SETTINGS = RuleSettings()


class Transition(Generic[Run, Facts]):
    """One decision in the making. Rules change `run`, and `proposed`, which is a copy of what was given.

    So a transaction body that runs twice may propose the same state again.
    """

    __slots__ = (
        "api_version",
        "client_version",
        "details",
        "effects",
        "facts",
        "initial",
        "intended",
        "kept",
        "now",
        "proposed",
        "run",
        "settings",
        "state",
        "status",
    )

    def __init__(
        self,
        run: Run,
        initial: State | None,
        proposed: State,
        facts: Facts,
        *,
        now: datetime | None = None,
        api_version: str | None = None,
        client_version: str | None = None,
        settings: RuleSettings = DEFAULT_SETTINGS,
    ) -> None:
        self.run = run
        self.initial = initial
        self.proposed: State | None = replace(proposed, state_details=replace(proposed.state_details))
        self.intended: StateType = proposed.type
        self.facts = facts
        self.now = now or clock.now()
        self.api_version = api_version
        self.client_version = client_version
        self.settings = settings
        self.status: Status = "ACCEPT"
        self.details: ResponseDetails = ACCEPTED
        self.effects: list[Struct] = []
        self.state: State | None = None
        self.kept = True

    def reject(self, state: State | None, reason: str) -> None:
        """Refuse the proposal: the run stays where it is, or goes to `state` instead."""
        self.proposed = state
        self.status = "REJECT"
        self.details = RejectDetails(reason)

    def wait(self, seconds: int, reason: str) -> None:
        """Refuse the proposal for now: the client is to come back after so many seconds."""
        self.proposed = None
        self.status = "WAIT"
        self.details = WaitDetails(seconds, reason)

    def abort(self, reason: str) -> None:
        """Refuse the proposal, and the client is to give up on the run."""
        self.proposed = None
        self.status = "ABORT"
        self.details = AbortDetails(reason)


class Rule(Struct, frozen=True):
    """A function and the steps it governs; None among `leaving` is a run without a state."""

    body: Body
    leaving: frozenset[StateType | None]
    entering: frozenset[StateType]
    always: bool = False

    @property
    def name(self) -> str:
        return self.body.__name__


ANY_LEAVING: frozenset[StateType | None] = frozenset((*STATE_TYPES, None))
ANY_ENTERING: frozenset[StateType] = frozenset(STATE_TYPES)


def rule(
    *,
    leaving: Iterable[StateType | None] = ANY_LEAVING,
    entering: Iterable[StateType] = ANY_ENTERING,
    always: bool = False,
) -> Callable[[Body], Rule]:
    """Make a rule of a function: `@rule(leaving={PAUSED})`."""
    return lambda body: Rule(body, frozenset(leaving), frozenset(entering), always)


Step = tuple[StateType | None, StateType]


class Policy:
    """Rules in order, and the tracking that follows them; for each step those that govern it are picked out once."""

    __slots__ = ("name", "rules", "rules_of", "tracking", "tracking_of")

    def __init__(self, name: str, rules: tuple[Rule, ...], tracking: tuple[Rule, ...]) -> None:
        self.name = name
        self.rules = rules
        self.tracking = tracking
        steps: list[Step] = [(leaving, entering) for leaving in (*STATE_TYPES, None) for entering in STATE_TYPES]
        self.rules_of = {step: tuple((r.body, r.always) for r in governing(rules, step)) for step in steps}
        self.tracking_of = {step: tuple(r.body for r in governing(tracking, step)) for step in steps}


def governing(rules: tuple[Rule, ...], step: Step) -> tuple[Rule, ...]:
    leaving, entering = step
    return tuple(rule for rule in rules if leaving in rule.leaving and entering in rule.entering)


class Decision(Struct):
    """What is to be done: insert `state` if it is `new`, write the run's `changes()`, then the effects in order.

    `state` is the run's state from now on (None: it has none still) and belongs in the answer. The run may have
    changes even if no new state is entered.
    """

    state: State | None
    new: bool
    status: Status
    details: ResponseDetails
    run: Any
    effects: list[Struct]
    before: tuple[Any, ...]

    def changes(self) -> dict[str, Any]:
        """The run's columns that differ from what they were, by name."""
        run = self.run
        columns = zip(run.__struct_fields__, astuple(run), self.before, strict=True)
        return {name: value for name, value, before in columns if value is not before and value != before}

    def result(self) -> OrchestrationResult:
        return OrchestrationResult(self.state, self.status, self.details)

    def outcome(self) -> Outcome:
        return Outcome(self.result(), self.new)


_DONE: Any = object()


def decide(policy: Policy, transition: Transition[Any, Any]) -> Decision:
    """Take a transition through a policy. Whatever a rule or the facts raise passes through: nothing was decided."""
    before = astuple(transition.run)
    initial, intended = transition.initial, transition.intended
    leaving = None if initial is None else initial.type
    exits = _enter(transition, policy.rules_of[leaving, intended], intended)
    proposed = transition.proposed
    entering = None if proposed is None else proposed.type
    if entering is not None:
        for track in policy.tracking_of[leaving, entering]:
            track(transition, initial, proposed)
    transition.state = initial if proposed is None else proposed
    for exit, expected in reversed(exits):
        transition.kept = expected is _DONE or expected == entering
        next(exit, None)
    return Decision(
        transition.state,
        proposed is not None,
        transition.status,
        transition.details,
        transition.run,
        transition.effects,
        before,
    )


def _enter(
    transition: Transition[Any, Any], rules: tuple[tuple[Body, bool], ...], intended: StateType
) -> list[tuple[Exit, Any]]:
    """Enter the rules in order; returns those that wait at their `yield`, with the type each expects on exit."""
    exits: list[tuple[Exit, Any]] = []
    initial = transition.initial
    for body, always in rules:
        proposed = transition.proposed
        if not always and (proposed is None or proposed.type != intended):
            continue
        exit = body(transition, initial, proposed)
        if exit is None or next(exit, _DONE) is _DONE:
            continue
        proposed = transition.proposed
        exits.append((exit, _DONE if always else None if proposed is None else proposed.type))
    return exits


def table(policy: Policy) -> str:
    """The policy as a Markdown table, in order: what is looked at, when, and what it is for."""
    lines = [f"### {policy.name}", "", "| rule | leaving | entering | what it does |", "|---|---|---|---|"]
    lines += [_row(rule) for rule in policy.rules]
    lines += [
        "",
        "Then, if a state is entered:",
        "",
        "| tracking | leaving | entering | what it does |",
        "|---|---|---|---|",
    ]
    lines += [_row(rule) for rule in policy.tracking]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    summary = " ".join((rule.body.__doc__ or "").split("\n\n")[0].split())
    name = rule.name + (" (always)" if rule.always else "")
    return f"| {name} | {_types(rule.leaving, ANY_LEAVING)} | {_types(rule.entering, ANY_ENTERING)} | {summary} |"


def _types(types: Iterable[StateType | None], all_types: Iterable[StateType | None]) -> str:
    """The types in their usual order; as what is left out, where that is shorter."""
    chosen, every = set(types), set(all_types)
    if chosen == every:
        return "any"
    left_out = every - chosen
    names = [type_ or "none" for type_ in (*STATE_TYPES, None) if type_ in (left_out if len(left_out) < 4 else chosen)]
    return ("any but " if len(left_out) < 4 else "") + ", ".join(names)
