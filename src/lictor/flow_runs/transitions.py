"""Setting a flow run's state: one read, a decision, one guarded write, and what follows from it, in one transaction.

The decision itself (which rules, what they answer) is in `policies`; nothing is locked while it is made. The write is
guarded by the state that was read: who loses the race is run again by the database layer and decides on what is then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from lictor import observed_states, tallies
from lictor.db import Tx
from lictor.events import store as events
from lictor.flow_runs import announcing, catch_up, children, inputs, store
from lictor.flow_runs.catch_up import CatchUp
from lictor.flow_runs.effects import (
    DeleteInputs,
    FlowEffect,
    KeepSlotUnrenewed,
    MirrorToParentTask,
    ReleaseSlot,
    RetryFailedTasks,
    StateEntered,
)
from lictor.flow_runs.facts import FlowFacts, NoLimits
from lictor.flow_runs.policies import SKIP, flow_policy
from lictor.flow_runs.store import Subject
from lictor.kit import clock
from lictor.states.callers import SERVER, Caller
from lictor.states.decisions import DEFAULT_SETTINGS, Decision, Policy, RuleSettings, Transition, decide
from lictor.states.types import CANCELLED, CANCELLING, TERMINAL, Outcome, State, StateCreate, from_create
from lictor.task_runs import transitions as task_transitions


class Orchestration(Struct, frozen=True):
    """What transitions go by: settings, how they reach the deployments' concurrency limits, and which of the runs that
    piled up may start."""

    settings: RuleSettings = DEFAULT_SETTINGS
    limits: Callable[[Tx], FlowFacts] = lambda _tx: NoLimits()
    catch_up: CatchUp = CatchUp()


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
    return set_state_of(tx, orchestration, subject, wanted, force=force, caller=caller, policy=policy)


def set_state_of(
    tx: Tx,
    orchestration: Orchestration,
    subject: Subject,
    wanted: StateCreate | State,
    *,
    force: bool = False,
    caller: Caller = SERVER,
    policy: Policy | None = None,
) -> Outcome:
    """The same for a run that was read in this transaction."""
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
    decision = decide(policy or _policy(tx, orchestration, subject, proposed, force), transition)
    _write(tx, subject, decision, now)
    for effect in decision.effects:
        carry_out(tx, effect, subject, facts)
    if decision.new and subject.run.state_type in (CANCELLING, CANCELLED):
        _cancel_children(tx, orchestration, subject.run.id)
    return decision.outcome()


def _policy(tx: Tx, orchestration: Orchestration, subject: Subject, proposed: State, force: bool) -> Policy:
    overtaken = not force and catch_up.is_overtaken(tx, orchestration.catch_up, subject, proposed.type)
    return SKIP if overtaken else flow_policy(force)


def _write(tx: Tx, subject: Subject, decision: Decision, now: datetime) -> None:
    seen = None if subject.state is None else subject.state.id
    state = decision.state if decision.new else None
    store.enter(tx, subject.run.id, seen, state, decision.changes(), now)
    if state is not None:
        if state.type in TERMINAL or (subject.state is not None and subject.state.type in TERMINAL):
            tallies.touch(tx, subject.run.expected_start_time)
        observed_states.note(tx, state.type, state.name, state.timestamp)


def _cancel_children(tx: Tx, orchestration: Orchestration, run_id: str) -> None:
    """The subflows of a run that is being cancelled are, too, in the same transaction: so many of them at least.

    The service that looks for what is left over finds the rest.
    """
    for child in children.of_cancelled_run(tx, run_id):
        subject = store.find_subject(tx, child.id)
        if subject is not None:
            set_state_of(tx, orchestration, subject, child.cancelled(), force=True)


def carry_out(tx: Tx, effect: FlowEffect | Struct, subject: Subject, facts: FlowFacts) -> None:
    """Do what a decision asks for beside the state and the run, in the same transaction."""
    run = subject.run
    match effect:
        case StateEntered(initial, state):
            event = announcing.state_event(run.id, run.run_count, subject.around, initial, state)
            events.emit(tx, event, announcing.related(subject.around))
        case MirrorToParentTask(task_run_id, state):
            task_transitions.force_state(tx, task_run_id, state)
        case DeleteInputs(keys):
            inputs.delete_keys(tx, run.id, keys)
        case RetryFailedTasks(scheduled_time):
            task_transitions.retry_failed(tx, run.id, scheduled_time)
        case ReleaseSlot(deployment_id, lease_id):
            facts.give_back(deployment_id, lease_id)
        case KeepSlotUnrenewed(lease_id):
            facts.keep_unrenewed(lease_id)
        case _:
            raise TypeError(f"no way to carry out {type(effect).__name__}")
