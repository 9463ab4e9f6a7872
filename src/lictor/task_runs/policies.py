"""Which rules govern a task run, in order."""

from __future__ import annotations

from lictor.states.decisions import Policy
from lictor.states.rules import copy_scheduled_time, submit_once, wait_for_scheduled_time
from lictor.states.types import State
from lictor.task_runs import rules
from lictor.task_runs.tracking import TASK_TRACKING

CORE_TASK = Policy(
    "CoreTaskPolicy",
    (
        rules.use_cached_state,
        rules.guard_terminal_states,
        rules.run_inside_running_flow,
        rules.take_tag_slots,
        copy_scheduled_time,
        wait_for_scheduled_time,
        rules.retry,
        rules.name_reruns,
        rules.note_flow_run_count,
        rules.cache_state,
        rules.give_tag_slots_back,
    ),
    TASK_TRACKING,
)

# For states that are set with force, and for the first state of a run.
MINIMAL_TASK = Policy("MinimalTaskPolicy", (rules.give_tag_slots_back,), TASK_TRACKING)

# For tasks that are run apart from a flow, by whoever asks for them.
BACKGROUND_TASK = Policy(
    "BackgroundTaskPolicy",
    (
        submit_once,
        rules.use_cached_state,
        rules.guard_terminal_states,
        copy_scheduled_time,
        rules.copy_parameters_id,
        wait_for_scheduled_time,
        rules.retry,
        rules.name_reruns,
        rules.note_flow_run_count,
        rules.cache_state,
        rules.give_tag_slots_back,
        rules.enqueue_deferred,
    ),
    TASK_TRACKING,
)


def task_policy(proposed: State, force: bool) -> Policy:
    """The policy for a proposed state: a deferred task has its own whether forced or not."""
    if proposed.state_details.deferred:
        return BACKGROUND_TASK
    return MINIMAL_TASK if force else CORE_TASK
