"""Setting a task run's state through the API: one read, a decision, one guarded write, in one transaction.

Task runs of flows decide for themselves and tell of it by events (see `recorder`); here come those of background tasks,
of subflows, and whatever a client forces.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from lictor import observed_states, tallies
from lictor.db import Tx
from lictor.kit import clock, ids
from lictor.states import constructors
from lictor.states.callers import SERVER, Caller
from lictor.states.decisions import DEFAULT_SETTINGS, Decision, RuleSettings, decide
from lictor.states.types import TERMINAL, Outcome, State, StateCreate, from_create
from lictor.task_runs import delivery, store
from lictor.task_runs.effects import CacheState, Enqueue, ReleaseTagSlots, TaskEffect
from lictor.task_runs.facts import EnclosingFlowRun, NoTagLimits, TagLimits
from lictor.task_runs.policies import task_policy
from lictor.task_runs.store import Subject
from lictor.task_runs.tracking import TaskTransition


class TaskOrchestration(Struct, frozen=True):
    """What transitions go by: settings, and how they reach the tags' concurrency limits."""

    settings: RuleSettings = DEFAULT_SETTINGS
    limits: Callable[[Tx], TagLimits] = lambda _tx: NoTagLimits()


DEFAULT = TaskOrchestration()


class Facts:
    """What rules about task runs ask, answered in the decision's transaction."""

    def __init__(self, tx: Tx, limits: TagLimits) -> None:
        self._tx = tx
        self.tag_limits = limits.tag_limits
        self.acquire_tag_slots = limits.acquire_tag_slots
        self.release_tag_slots = limits.release_tag_slots
        self.give_back = limits.give_back
        self.forget = limits.forget

    def flow_run(self, flow_run_id: str) -> EnclosingFlowRun | None:
        return self._tx.one(store.FLOW_RUN, id=flow_run_id)

    def cached_state(self, key: str, now: datetime) -> State | None:
        return self._tx.one(store.CACHED, key=key, now=now)


def set_state(
    tx: Tx,
    orchestration: TaskOrchestration,
    run_id: str,
    wanted: StateCreate | State,
    *,
    force: bool = False,
    caller: Caller = SERVER,
) -> Outcome:
    """Propose a state for a task run. Raises ObjectNotFound for an unknown run."""
    return set_state_of(tx, orchestration, store.get_subject(tx, run_id), wanted, force=force, caller=caller)


def delete(tx: Tx, orchestration: TaskOrchestration, run_id: str) -> None:
    """Delete a task run, which gives back what it holds. Raises NotFound."""
    orchestration.limits(tx).forget([run_id])
    store.delete(tx, run_id, clock.now())


def force_state(tx: Tx, run_id: str, state: State) -> None:
    """Mirror a subflow's state on the task run that stands for it; one that is gone is left alone."""
    subject = store.find_subject(tx, run_id)
    if subject is not None:
        set_state_of(tx, DEFAULT, subject, state, force=True)


def retry_failed(tx: Tx, flow_run_id: str, scheduled_time: datetime) -> None:
    """Set every FAILED task run of the flow run to AwaitingRetry, as if it had never run."""
    for run_id in tx.all(store.FAILED, flow_run_id=flow_run_id):
        force_state(tx, run_id, constructors.awaiting_retry(scheduled_time))
        store.update(tx, run_id, {"run_count": 0}, clock.now())


def set_state_of(
    tx: Tx,
    orchestration: TaskOrchestration,
    subject: Subject,
    wanted: StateCreate | State,
    *,
    force: bool = False,
    caller: Caller = SERVER,
) -> Outcome:
    """The same for a run that was read in this transaction."""
    now = clock.now()
    facts = Facts(tx, orchestration.limits(tx))
    decision = decide_state(subject, wanted, facts, orchestration, force=force, caller=caller, now=now)
    state = decision.state if decision.new else None
    seen = None if subject.state is None else subject.state.id
    store.enter(tx, subject.run.id, seen, state, decision.changes(), now)
    if state is not None:
        if state.type in TERMINAL or (subject.state is not None and subject.state.type in TERMINAL):
            tallies.touch_task(tx, subject.run.expected_start_time)
        write_state(tx, subject.run.id, state)
    for effect in decision.effects:
        carry_out(tx, effect, subject, facts, now)
    return decision.outcome()


def decide_state(
    subject: Subject,
    wanted: StateCreate | State,
    facts: Facts,
    orchestration: TaskOrchestration,
    *,
    force: bool,
    caller: Caller,
    now: datetime,
) -> Decision:
    proposed = from_create(wanted, now) if isinstance(wanted, StateCreate) else wanted
    transition = TaskTransition(
        subject.run,
        subject.state,
        proposed,
        facts,
        now=now,
        api_version=caller.api_version,
        client_version=caller.client_version,
        settings=orchestration.settings,
    )
    return decide(task_policy(proposed, force), transition)


def write_state(tx: Tx, run_id: str, state: State) -> None:
    store.insert_state(tx, run_id, state)
    observed_states.note(tx, state.type, state.name, state.timestamp)


def carry_out(tx: Tx, effect: TaskEffect | Struct, subject: Subject, facts: Facts, now: datetime) -> None:
    """Do what a decision asks for beside the state and the run, in the same transaction."""
    match effect:
        case CacheState():
            params = {"key": effect.key, "expiration": effect.expiration, "state_id": effect.state_id}
            tx.put(store.CACHE, id=ids.new(), now=now, **params)
        case ReleaseTagSlots():
            facts.give_back(effect.tags, subject.run.id)
        case Enqueue():
            delivery.enqueue(tx, subject.run.id, effect.retry, now)
        case _:
            raise TypeError(f"no way to carry out {type(effect).__name__}")
