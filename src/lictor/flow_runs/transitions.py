"""Setting a flow run's state: one read, a decision, one guarded write, and what follows from it, in one transaction.

The decision itself (which rules, what they answer) is in `policies`; nothing is locked while it is made. The write is
guarded by the state that was read: who loses the race is run again by the database layer and decides on what is then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import singledispatch

from msgspec import Struct

from lictor import observed_states
from lictor.db import Tx
from lictor.events import store as events
from lictor.flow_runs import announcing, inputs, store
from lictor.flow_runs.effects import (
    DeleteInputs,
    KeepSlotUnrenewed,
    MirrorToParentTask,
    ReleaseSlot,
    RetryFailedTasks,
    StateEntered,
)
from lictor.flow_runs.facts import FlowFacts, NoLimits
from lictor.flow_runs.policies import flow_policy
from lictor.flow_runs.store import Subject
from lictor.kit import clock
from lictor.states.callers import SERVER, Caller
from lictor.states.decisions import DEFAULT_SETTINGS, Decision, Policy, RuleSettings, Transition, decide
from lictor.states.types import OrchestrationResult, State, StateCreate, from_create
from lictor.task_runs import transitions as task_transitions


class Orchestration(Struct, frozen=True):
    """What transitions go by: settings, and how they reach the deployments' concurrency limits."""

    settings: RuleSettings = DEFAULT_SETTINGS
    limits: Callable[[Tx], FlowFacts] = lambda _tx: NoLimits()


class Outcome(Struct):
    """The answer to a proposed state, and whether the run entered a new one."""

    result: OrchestrationResult
    new: bool


def set_state(
    tx: Tx,
    orchestration: Orchestration,
    run_id: str,
    wanted: StateCreate | State,
    *,
    force: bool = False,
    caller: Caller = SERVER,
    policy: Policy | None = None,
) -> Outcome:
    """Propose a state for a run. Raises ObjectNotFound for an unknown run."""
    subject = store.get_subject(tx, run_id)
    now = clock.now()
    proposed = from_create(wanted, now) if isinstance(wanted, StateCreate) else wanted
    facts = orchestration.limits(tx)
    transition = Transition(
        subject.run,
        subject.state,
        proposed,
        facts,
        now=now,
        api_version=caller.api_version,
        client_version=caller.client_version,
        settings=orchestration.settings,
    )
    decision = decide(policy or flow_policy(force), transition)
    _write(tx, subject, decision, now)
    for effect in decision.effects:
        carry_out(effect, tx, subject, facts)
    return Outcome(decision.result(), decision.new)


def _write(tx: Tx, subject: Subject, decision: Decision, now: datetime) -> None:
    seen = None if subject.state is None else subject.state.id
    state = decision.state if decision.new else None
    store.enter(tx, subject.run.id, seen, state, decision.changes(), now)
    if state is not None:
        store.insert_state(tx, subject.run.id, state)
        observed_states.note(tx, state.type, state.name, state.timestamp)


@singledispatch
def carry_out(effect: Struct, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    """Do what a decision asks for beside the state and the run, in the same transaction."""
    raise TypeError(f"no way to carry out {type(effect).__name__}")


@carry_out.register
def _(effect: StateEntered, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    run = subject.run
    events.emit(tx, announcing.state_event(run.id, run.run_count, subject.around, effect.initial, effect.state))


@carry_out.register
def _(effect: MirrorToParentTask, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    task_transitions.force_state(tx, effect.task_run_id, effect.state)


@carry_out.register
def _(effect: DeleteInputs, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    inputs.delete_keys(tx, subject.run.id, effect.keys)


@carry_out.register
def _(effect: RetryFailedTasks, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    task_transitions.retry_failed(tx, subject.run.id, effect.scheduled_time)


@carry_out.register
def _(effect: ReleaseSlot, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    facts.give_back(effect.deployment_id, effect.lease_id)


@carry_out.register
def _(effect: KeepSlotUnrenewed, tx: Tx, subject: Subject, facts: FlowFacts) -> None:
    facts.keep_unrenewed(effect.lease_id)
