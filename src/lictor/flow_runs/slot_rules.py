"""The rules that hold a deployment's runs to its concurrency limit.

A run takes a slot when it becomes PENDING, so that no infrastructure is started for one that may not run, and gives it
back when it is no longer PENDING, RUNNING or CANCELLING. The slot is a lease that its client renews; the lease's id
travels in the state's details from state to state. A run whose lease ran out while it was PENDING takes a slot anew
when it starts, if one is left.
"""

from __future__ import annotations

from datetime import timedelta

from lictor.flow_runs.effects import KeepSlotUnrenewed, ReleaseSlot
from lictor.flow_runs.facts import DeploymentLimit
from lictor.flow_runs.tracking import FlowTransition
from lictor.states import constructors
from lictor.states.decisions import Exit, rule
from lictor.states.types import CANCELLING, PENDING, RUNNING, SCHEDULED, STATE_TYPES, State, StateType
from lictor.states.versions import at_least

# Their workers took the slots themselves.
WORKERS_THAT_TAKE_SLOTS = frozenset({"3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3"})
CLIENTS_RENEW_SINCE = (3, 4, 11)

HOLDS_SLOT: frozenset[StateType | None] = frozenset({PENDING, RUNNING, CANCELLING})
LIMIT_REACHED = "Deployment concurrency limit reached."


@rule(always=True)
def keep_lease_id(t: FlowTransition, initial: State | None, proposed: State | None) -> None:
    """The id of the lease that a run holds goes from state to state; workers send null for it."""
    if initial is None or proposed is None:
        return
    lease_id = initial.state_details.deployment_concurrency_lease_id
    if lease_id is not None and proposed.state_details.deployment_concurrency_lease_id is None:
        proposed.state_details.deployment_concurrency_lease_id = lease_id


@rule(leaving={*STATE_TYPES, None} - HOLDS_SLOT, entering={PENDING})
def take_slot(t: FlowTransition, initial: State | None, proposed: State) -> Exit:
    """A run becomes PENDING only with a slot of its deployment; without one it waits, or is cancelled.

    With the slot its wait is over, also where it was put off for longer.
    """
    deployment_id = t.run.deployment_id
    if not deployment_id or t.client_version in WORKERS_THAT_TAKE_SLOTS:
        return
    limit = t.facts.deployment_limit(deployment_id)
    if limit is None:
        t.abort("Deployment not found.")
        return
    if limit.limit_id is None:
        return
    if limit.limit == 0:
        t.abort("The deployment concurrency limit is 0. The flow will deadlock if submitted again.")
        return
    lease_id = t.facts.acquire_slot(limit.limit_id, _grace(t, limit), t.run.id)
    if lease_id is None:
        _turn_away(t, limit)
        return
    proposed.state_details.deployment_concurrency_lease_id = lease_id
    if initial is not None and initial.name == "AwaitingConcurrencySlot":
        proposed.state_details.scheduled_time = t.now
    yield
    if not t.kept:
        t.facts.release_slot(lease_id)


def _turn_away(t: FlowTransition, limit: DeploymentLimit) -> None:
    if limit.strategy == "CANCEL_NEW":
        state = constructors.cancelled(message=LIMIT_REACHED, now=t.now)
    else:
        at = t.now + timedelta(seconds=t.settings.deployment_slot_wait_seconds)
        state = constructors.awaiting_concurrency_slot(at, now=t.now)
    t.reject(state, LIMIT_REACHED)


def _grace(t: FlowTransition, limit: DeploymentLimit) -> float:
    return t.settings.deployment_lease_seconds if limit.grace_seconds is None else limit.grace_seconds


@rule(leaving={PENDING}, entering={RUNNING})
def keep_slot_at_start(t: FlowTransition, initial: State, proposed: State) -> Exit:
    """A run starts with the slot that it took; if its lease ran out meanwhile it needs a new one, or is cancelled."""
    lease_id = initial.state_details.deployment_concurrency_lease_id
    proposed.state_details.deployment_concurrency_lease_id = lease_id
    if lease_id is None or t.run.deployment_id is None or not _client_renews(t):
        return
    limit = t.facts.deployment_limit(t.run.deployment_id)
    if limit is None or limit.limit_id is None or t.facts.renew_slot(lease_id, _grace(t, limit)):
        return
    new_id = t.facts.acquire_slot(limit.limit_id, _grace(t, limit), t.run.id)
    if new_id is None:
        # Its infrastructure stands already, so it cannot wait for a slot.
        message = "Deployment concurrency slot lost during provisioning - no slots available to continue execution"
        state = constructors.cancelled(message=message, now=t.now)
        t.reject(state, "Deployment concurrency limit reached after lease expiry.")
        return
    proposed.state_details.deployment_concurrency_lease_id = new_id
    yield
    if not t.kept:
        t.facts.release_slot(new_id)


def _client_renews(t: FlowTransition) -> bool:
    return t.client_version is not None and at_least(t.client_version, CLIENTS_RENEW_SINCE)


@rule(leaving={PENDING}, entering={RUNNING, CANCELLING})
def keep_slots_of_old_clients(t: FlowTransition, initial: State, proposed: State) -> Exit:
    """A client that is too old to renew its lease keeps its slot without, until its run is over."""
    yield
    lease_id = initial.state_details.deployment_concurrency_lease_id
    if t.kept and lease_id is not None and not _client_renews(t):
        t.effects.append(KeepSlotUnrenewed(lease_id))


@rule(leaving={SCHEDULED}, entering={SCHEDULED})
def cancel_instead_of_late(t: FlowTransition, initial: State, proposed: State) -> None:
    """A run that would be late is cancelled where its deployment cancels what comes while all slots are taken."""
    if proposed.name != "Late" or not t.run.deployment_id:
        return
    limit = t.facts.deployment_limit(t.run.deployment_id)
    if limit is None or limit.limit_id is None or limit.strategy != "CANCEL_NEW":
        return
    if limit.active_slots >= limit.limit:
        reason = "Deployment concurrency limit is full and uses the CANCEL_NEW strategy."
        t.reject(constructors.cancelled(message=LIMIT_REACHED, now=t.now), reason)


@rule(leaving=HOLDS_SLOT, always=True)
def give_slot_back(t: FlowTransition, initial: State, proposed: State | None) -> Exit:
    """A run that is no longer PENDING, RUNNING or CANCELLING gives its slot back, unless it retries in its process."""
    yield
    entered = t.proposed
    if entered is None or entered.type in HOLDS_SLOT or not t.run.deployment_id:
        return
    # The server's own AwaitingRetry is the answer to a failure and leaves the process waiting; one that a client
    # proposed (at SIGTERM) ends it.
    if entered.type == SCHEDULED and entered.name == "AwaitingRetry" and t.status == "REJECT":
        return
    lease_id = initial.state_details.deployment_concurrency_lease_id
    t.effects.append(ReleaseSlot(t.run.deployment_id, lease_id))
