"""The rules about the states of flow runs; those about deployments' concurrency limits are in `slot_rules`.

Each says in its first sentence what it holds to be true; `policies` puts them in order. What they answer, word for
word, is what the reference answers.
"""

from __future__ import annotations

from msgspec.structs import replace

from lictor.flow_runs.effects import DeleteInputs, RetryFailedTasks, StateEntered
from lictor.flow_runs.tracking import FlowTransition, knows_pauses
from lictor.kit import ids, times
from lictor.states import constructors
from lictor.states.decisions import Exit, rule
from lictor.states.types import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    RUNNING,
    SCHEDULED,
    STATE_TYPES,
    TERMINAL,
    State,
    persisted_result,
)
from lictor.states.versions import at_least

# Before it a retry of the flow did not restart its failed tasks, so the server has to.
CLIENT_RETRIES_TASKS_SINCE = (0, 8, 3)

RESULT_WOULD_BE_LOST = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."


@rule()
def decide_once(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """A proposal that was accepted already, by its transition_id, is answered with the state that it led to."""
    wanted = proposed.state_details.transition_id
    if wanted is not None and initial is not None and wanted == initial.state_details.transition_id:
        t.reject(None, "This run has already made this state transition.")


@rule(leaving=TERMINAL)
def guard_terminal_states(t: FlowTransition, initial: State, proposed: State) -> Exit:
    """A run that has ended stays so, unless it is run again; one with a kept result is not run again.

    What is run again starts without the pauses and retries of the attempt before.
    """
    if _refused_at_the_end(t, initial, proposed):
        return
    before = t.run.empirical_policy
    if proposed.type not in TERMINAL and knows_pauses(t):
        retry_type = "reschedule" if proposed.type == SCHEDULED else None
        t.run.empirical_policy = replace(before, resuming=False, pause_keys=set(), retry_type=retry_type)
    yield
    if not t.kept:
        t.run.empirical_policy = before


def _refused_at_the_end(t: FlowTransition, initial: State, proposed: State) -> bool:
    has_result = initial.type == COMPLETED and bool(persisted_result(initial.data))
    if proposed.type in (CANCELLING, PAUSED, CRASHED):
        t.abort(f"Run is already in terminal state {initial.type}.")
    elif has_result and proposed.type not in TERMINAL:
        t.reject(None, "Run is already COMPLETED.")
    elif has_result and proposed.type == COMPLETED and persisted_result(proposed.data) is None:
        t.reject(None, RESULT_WOULD_BE_LOST)
    elif proposed.type == SCHEDULED and not t.run.deployment_id:
        t.abort("Cannot reschedule a run without an associated deployment.")
    else:
        return False
    return True


@rule(leaving={COMPLETED}, entering={COMPLETED})
def keep_result(t: FlowTransition, initial: State, proposed: State) -> None:
    """A COMPLETED state with a kept result is not replaced by one without."""
    if persisted_result(initial.data) and persisted_result(proposed.data) is None:
        t.reject(None, RESULT_WOULD_BE_LOST)


@rule(leaving={CANCELLING}, entering=set(STATE_TYPES) - {CANCELLED})
def finish_cancelling(t: FlowTransition, initial: State, proposed: State) -> None:
    """A run that is CANCELLING can only become CANCELLED."""
    t.reject(None, "Cannot transition flows that are cancelling to a state other than Cancelled.")


@rule(leaving={SCHEDULED, PAUSED}, entering={CANCELLING})
def cancel_without_infrastructure(t: FlowTransition, initial: State, proposed: State) -> None:
    """A run that has nothing running, scheduled or suspended, is CANCELLED at once: no one else would do it."""
    if (initial.type == SCHEDULED and not t.run.infrastructure_pid) or initial.name == "Resuming":
        state = constructors.cancelled(now=t.now)
        t.reject(state, "Scheduled flow run has no infrastructure to terminate.")
    elif initial.type == PAUSED and initial.state_details.pause_reschedule:
        state = constructors.cancelled(now=t.now)
        t.reject(state, "Suspended flow run has no infrastructure to terminate.")


@rule(entering={SCHEDULED})
def late_once(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """Only a SCHEDULED run can be late, and it is marked so once."""
    if proposed.name != "Late" or initial is None:
        return
    if initial.type != SCHEDULED:
        t.reject(None, "Only scheduled flows can be marked late.")
    elif initial.name == "Late":
        t.reject(None, "This flow run is already marked late.")


@rule(entering={PAUSED})
def pause(t: FlowTransition, initial: State | None, proposed: State) -> Exit:
    """A RUNNING run pauses once for each pause_key, and is suspended only if its deployment can start it again."""
    wanted = proposed.state_details.pause_key
    key = ids.new4() if wanted is None else wanted
    if _refused_to_pause(t, initial, proposed, key):
        return
    yield
    if not t.kept:
        return
    policy = t.run.empirical_policy
    t.run.empirical_policy = replace(policy, pause_keys={*(policy.pause_keys or ()), key})
    keyset = proposed.state_details.run_input_keyset
    if keyset:
        t.effects.append(DeleteInputs(tuple(keyset.values())))


def _refused_to_pause(t: FlowTransition, initial: State | None, proposed: State, key: str) -> bool:
    verb = "suspend" if proposed.name == "Suspended" else "pause"
    if initial is None:
        t.abort(f"Cannot {verb} flows with no state.")
    elif initial.type != RUNNING:
        t.reject(None, f"Cannot {verb} flows that are not currently running.")
    elif key in (t.run.empirical_policy.pause_keys or ()):
        t.reject(None, f"This {verb} has already fired.")
    elif not proposed.state_details.pause_reschedule:
        return False
    elif t.run.parent_task_run_id:
        t.abort(f"Cannot {verb} subflows.")
    elif t.run.deployment_id is None:
        t.abort(f"Cannot {verb} flows without a deployment.")
    else:
        return False
    return True


@rule(leaving={PAUSED})
def resume(t: FlowTransition, initial: State, proposed: State) -> Exit:
    """A paused run goes on, is cancelled or ends; after its timeout it fails instead.

    The run is marked as resuming even where the proposal was refused, as the reference does. Only when a run that was
    waiting in its process is scheduled anew does it start from the beginning, with all pauses before it.
    """
    _refuse_to_resume(t, initial, proposed)
    yield
    if not t.kept:
        return
    policy = t.run.empirical_policy
    anew = not initial.state_details.pause_reschedule and t.state is not None and t.state.type == SCHEDULED
    if anew and knows_pauses(t):
        t.run.empirical_policy = replace(policy, resuming=False, pause_keys=set(), retry_type="reschedule")
    else:
        t.run.empirical_policy = replace(policy, resuming=True)


def _refuse_to_resume(t: FlowTransition, initial: State, proposed: State) -> None:
    suspended = initial.state_details.pause_reschedule
    timeout = initial.state_details.pause_timeout
    name = proposed.name.lower()
    if proposed.type not in (RUNNING, SCHEDULED, CANCELLING) and proposed.type not in TERMINAL:
        # The reference prints its enumeration's members here, and so do we.
        t.reject(
            None,
            f"This run cannot transition to the StateType.{proposed.type} state"
            f" from the StateType.{initial.type} state.",
        )
    elif suspended and not t.run.deployment_id:
        t.reject(None, f"Cannot reschedule a {name} flow run without a deployment.")
    elif proposed.type != CANCELLING and timeout is not None and timeout < t.now:
        verb = "suspend" if proposed.name == "Suspended" else "pause"
        state = constructors.failed(message=f"The flow was {name} and never resumed.", now=t.now)
        t.reject(state, f"The flow run {verb} has timed out and can no longer resume.")


@rule(leaving={RUNNING}, entering={FAILED})
def retry(t: FlowTransition, initial: State, proposed: State) -> None:
    """A run that fails awaits a retry in its process as long as it has retries left; it keeps its slot meanwhile."""
    policy = t.run.empirical_policy
    if policy.retries is None or t.run.run_count > policy.retries:
        # The end of these retries; what comes now, from the dashboard say, is another kind.
        t.run.empirical_policy = replace(policy, retry_type=None)
        return
    at = times.later(t.now, policy.retry_delay or 0)
    if t.api_version is not None and not at_least(t.api_version, CLIENT_RETRIES_TASKS_SINCE):
        t.effects.append(RetryFailedTasks(at))
    if knows_pauses(t):
        t.run.empirical_policy = replace(policy, resuming=False, pause_keys=set(), retry_type="in_process")
    state = constructors.awaiting_retry(at, message=proposed.message, data=proposed.data, now=t.now)
    lease_id = initial.state_details.deployment_concurrency_lease_id
    state.state_details.deployment_concurrency_lease_id = lease_id
    t.reject(state, "Retrying")


@rule(always=True)
def announce(t: FlowTransition, initial: State | None, proposed: State | None) -> Exit:
    """Every state that is entered is told in an event, also one that took the place of the proposed."""
    yield
    if t.proposed is not None:
        t.effects.append(StateEntered(initial, t.proposed))
