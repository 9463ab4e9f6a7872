"""How a policy is walked: skipping, exits in reverse order, what stands and what is taken back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from tests.states.world import World

from lictor.flow_runs.facts import NoLimits
from lictor.flow_runs.policies import CORE_FLOW, MARK_LATE, MINIMAL_FLOW
from lictor.states import constructors as make
from lictor.states.decisions import Decision, Exit, Policy, Rule, Transition, decide, rule, table
from lictor.states.types import (
    CANCELLED,
    CRASHED,
    FAILED,
    PENDING,
    RUNNING,
    SCHEDULED,
    STATE_TYPES,
    AbortDetails,
    RejectDetails,
    State,
    TrackedRun,
    WaitDetails,
)
from lictor.task_runs.policies import BACKGROUND_TASK, CORE_TASK, MINIMAL_TASK


def noting(notes: list[str], name: str, act: str | None = None, always: bool = False, **step: Any) -> Rule:
    """A rule that notes when it is entered and how it is exited, and acts in between."""

    @rule(always=always, **step)
    def noted(t: Transition[Any, Any], initial: State | None, proposed: State | None) -> Exit:
        notes.append(f"{name} in")
        if act == "replace":
            t.reject(make.cancelled(), "replaced")
        elif act == "replace alike":
            t.reject(make.running("Other"), "replaced")
        elif act is not None:
            {
                "reject": lambda: t.reject(None, "no"),
                "wait": lambda: t.wait(5, "later"),
                "abort": lambda: t.abort("end"),
            }[act]()
        yield
        notes.append(f"{name} {'kept' if t.kept else 'undone'}")

    return noted


def decided(rules: Iterable[Rule], initial: State | None = None, tracking: tuple[Rule, ...] = ()) -> Decision:
    run = TrackedRun("run", None, None, None, 0, None, None, None, None, 0.0)
    return decide(Policy("p", tuple(rules), tracking), Transition(run, initial or make.pending(), make.running(), None))


def test_rules_are_exited_in_reverse_order() -> None:
    notes: list[str] = []
    decision = decided([noting(notes, "a"), noting(notes, "b")])
    assert notes == ["a in", "b in", "b kept", "a kept"]
    assert (decision.status, decision.new) == ("ACCEPT", True)


def test_only_rules_of_the_intended_step_are_entered() -> None:
    notes: list[str] = []
    decided(
        [
            noting(notes, "from", leaving={SCHEDULED}),
            noting(notes, "to", entering={CRASHED}),
            noting(notes, "both", leaving={PENDING}, entering={RUNNING, CRASHED}),
        ]
    )
    assert notes == ["both in", "both kept"]


@pytest.mark.parametrize(
    ("act", "status", "details"),
    [
        ("reject", "REJECT", RejectDetails("no")),
        ("replace", "REJECT", RejectDetails("replaced")),
        ("wait", "WAIT", WaitDetails(5, "later")),
        ("abort", "ABORT", AbortDetails("end")),
    ],
)
def test_a_changed_type_skips_what_follows_and_undoes_what_was(act: str, status: str, details: Any) -> None:
    notes: list[str] = []
    decision = decided([noting(notes, "before"), noting(notes, "acts", act), noting(notes, "after")])
    # The rule that acted does not undo itself.
    assert notes == ["before in", "acts in", "acts kept", "before undone"]
    assert (decision.status, decision.details, decision.new) == (status, details, act == "replace")


def test_a_replacement_of_the_same_type_changes_nothing_for_others() -> None:
    notes: list[str] = []
    decision = decided([noting(notes, "before"), noting(notes, "acts", "replace alike"), noting(notes, "after")])
    assert notes == ["before in", "acts in", "after in", "after kept", "acts kept", "before kept"]
    assert decision.state is not None
    assert (decision.status, decision.state.name) == ("REJECT", "Other")


def test_always_is_entered_and_exited_whatever_happens() -> None:
    notes: list[str] = []
    decided([noting(notes, "acts", "abort"), noting(notes, "always", always=True)])
    assert notes == ["acts in", "always in", "always kept", "acts kept"]


def test_a_rule_that_returns_early_has_no_exit() -> None:
    notes: list[str] = []

    @rule()
    def early(t: Transition[Any, Any], initial: State | None, proposed: State) -> Exit:
        if proposed.type == RUNNING:
            return
        yield
        notes.append("exit")

    decided([early])
    assert notes == []


def test_tracking_follows_the_state_that_is_entered() -> None:
    seen: list[str] = []

    @rule(entering={CANCELLED})
    def on_cancelled(t: Transition[Any, Any], initial: State | None, proposed: State) -> None:
        seen.append(proposed.type)

    decided([noting([], "acts", "replace")], tracking=(on_cancelled,))
    decided([], tracking=(on_cancelled,))
    decided([noting([], "acts", "abort")], tracking=(on_cancelled,))
    assert seen == [CANCELLED]


def test_without_a_new_state_the_run_keeps_the_one_it_has() -> None:
    initial = make.pending()
    decision = decided([noting([], "acts", "abort")], initial)
    assert decision.state is initial
    assert not decision.new
    assert decision.changes() == {}


def test_what_is_proposed_can_be_proposed_again() -> None:
    proposed = make.scheduled()
    written = msgspec.json.encode(proposed)
    run = World().flow_run(deployment_id="d")
    run.state_timestamp = proposed.timestamp
    decision = decide(MINIMAL_FLOW, Transition(run, None, proposed, NoLimits()))
    assert decision.state != proposed
    assert msgspec.json.encode(proposed) == written


def test_what_a_rule_raises_passes_through() -> None:
    @rule()
    def broken(t: Transition[Any, Any], initial: State | None, proposed: State) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decided([broken])


def test_changes_tell_the_columns_that_differ() -> None:
    @rule()
    def count(t: Transition[Any, Any], initial: State | None, proposed: State) -> None:
        t.run.run_count += 1

    assert decided([count]).changes() == {"run_count": 1}


ALL = (CORE_FLOW, MINIMAL_FLOW, MARK_LATE, CORE_TASK, MINIMAL_TASK, BACKGROUND_TASK)


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.name)
def test_policies_say_what_each_rule_is_for(policy: Policy) -> None:
    for each in (*policy.rules, *policy.tracking):
        assert each.body.__doc__, each.name
        assert f"| {each.name}" in table(policy)


def test_table_names_what_is_shorter() -> None:
    printed = table(CORE_FLOW)
    assert "| finish_cancelling | CANCELLING | any but CANCELLED |" in printed
    assert "| retry | RUNNING | FAILED |" in printed
    assert "| keep_lease_id (always) | any | any |" in printed


def test_every_step_has_its_rules_in_order() -> None:
    for policy in ALL:
        bodies = [each.body for each in policy.rules]
        for leaving in (*STATE_TYPES, None):
            for entering in STATE_TYPES:
                places = [bodies.index(body) for body, _ in policy.rules_of[leaving, entering]]
                assert places == sorted(places)


def test_core_flow_policy_has_the_reference_s_order() -> None:
    steps = {(PENDING, RUNNING): 7, (RUNNING, FAILED): 5, (None, SCHEDULED): 4}
    for step, count in steps.items():
        assert len(CORE_FLOW.rules_of[step]) == count
    assert [body.__name__ for body, _ in CORE_FLOW.rules_of[RUNNING, FAILED]] == [
        "keep_lease_id",
        "decide_once",
        "retry",
        "announce",
        "give_slot_back",
    ]
