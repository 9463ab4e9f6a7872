"""Which rules govern a flow run, in order."""

from __future__ import annotations

from lictor.flow_runs import catch_up, rules, slot_rules
from lictor.flow_runs.tracking import FLOW_TRACKING
from lictor.states.decisions import Policy
from lictor.states.rules import copy_scheduled_time, submit_once, wait_for_scheduled_time

CORE_FLOW = Policy(
    "CoreFlowPolicy",
    (
        slot_rules.keep_lease_id,
        rules.decide_once,
        rules.guard_terminal_states,
        rules.finish_cancelling,
        rules.cancel_without_infrastructure,
        submit_once,
        slot_rules.keep_slot_at_start,
        slot_rules.take_slot,
        slot_rules.keep_slots_of_old_clients,
        rules.late_once,
        rules.pause,
        rules.resume,
        copy_scheduled_time,
        wait_for_scheduled_time,
        rules.retry,
        rules.announce,
        slot_rules.give_slot_back,
    ),
    FLOW_TRACKING,
)

# For states that are set with force, and for the first state of a run.
MINIMAL_FLOW = Policy(
    "MinimalFlowPolicy",
    (
        slot_rules.keep_lease_id,
        rules.keep_result,
        rules.cancel_without_infrastructure,
        rules.announce,
        slot_rules.give_slot_back,
    ),
    FLOW_TRACKING,
)

# For the service that marks runs late.
MARK_LATE = Policy(
    "MarkLateRunsPolicy",
    (rules.late_once, slot_rules.cancel_instead_of_late, rules.announce),
    FLOW_TRACKING,
)

# For a run that may not begin any more, because newer ones were to.
SKIP = Policy("SkipOvertakenRunPolicy", (rules.decide_once, catch_up.skip, rules.announce), FLOW_TRACKING)


def flow_policy(force: bool, policy: Policy = CORE_FLOW) -> Policy:
    """The policy for a proposed state: the given one, or the minimal one with force."""
    return MINIMAL_FLOW if force else policy
