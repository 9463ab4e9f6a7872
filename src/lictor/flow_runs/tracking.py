"""What a flow run keeps about its states: the columns that rules look at and change, and how each state moves them."""

from __future__ import annotations

from msgspec.structs import replace

from lictor.flow_runs.effects import MirrorToParentTask
from lictor.flow_runs.facts import FlowFacts
from lictor.flow_runs.types import FlowRunPolicy
from lictor.states import constructors
from lictor.states.decisions import Transition, rule
from lictor.states.tracking import COMMON_TRACKING
from lictor.states.types import RUNNING, TERMINAL, State, TrackedRun
from lictor.states.versions import at_least


class FlowRunSnapshot(TrackedRun):
    """The columns of a flow run that its rules look at and change, in the order in which a select gives them."""

    empirical_policy: FlowRunPolicy
    deployment_id: str | None
    parent_task_run_id: str | None
    infrastructure_pid: str | None


FlowTransition = Transition[FlowRunSnapshot, FlowFacts]

# Before it there were no pauses, so such a client does not expect the policy to speak of them.
PAUSES_SINCE = (0, 8, 4)


def knows_pauses(t: FlowTransition) -> bool:
    return t.api_version is None or at_least(t.api_version, PAUSES_SINCE)


@rule()
def name_flow_run(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """The state's details name its run, and the task run that stands for it in the parent run."""
    proposed.state_details.flow_run_id = t.run.id
    if t.run.parent_task_run_id is not None:
        proposed.state_details.task_run_id = t.run.parent_task_run_id


@rule(entering={RUNNING})
def count_run(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """run_count counts how often the run was RUNNING; going on after a pause does not count."""
    if not (t.run.empirical_policy.resuming and knows_pauses(t)):
        t.run.run_count += 1


@rule(entering={RUNNING, *TERMINAL})
def end_resuming(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """A run that is RUNNING or at its end is no longer resuming."""
    if t.run.empirical_policy.resuming and knows_pauses(t):
        t.run.empirical_policy = replace(t.run.empirical_policy, resuming=False)


@rule()
def mirror_to_parent_task(t: FlowTransition, initial: State | None, proposed: State) -> None:
    """The task run that stands for a subflow in its parent run enters the same state."""
    parent_id = t.run.parent_task_run_id
    if parent_id is not None:
        state = constructors.fresh_copy(proposed, now=t.now)
        state.state_details.child_flow_run_id = t.run.id
        t.effects.append(MirrorToParentTask(parent_id, state))


FLOW_TRACKING = (*COMMON_TRACKING, name_flow_run, count_run, end_resuming, mirror_to_parent_task)
