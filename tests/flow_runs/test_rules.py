"""Each rule about flow runs: what it refuses, what it lets pass, what it leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import Raw
from tests.states.world import World

from lictor.flow_runs.effects import DeleteInputs, RetryFailedTasks, StateEntered
from lictor.flow_runs.policies import MARK_LATE
from lictor.flow_runs.types import FlowRunPolicy
from lictor.kit import clock
from lictor.states import constructors as make
from lictor.states.decisions import Decision
from lictor.states.types import STATE_TYPES, State, StateType

RESULT = Raw(b'{"type":"result"}')
HOUR = timedelta(hours=1)


def in_state(world: World, *states: State, policy: FlowRunPolicy | None = None, deployment: bool = False) -> str:
    id = world.flow_run(policy, "deployment" if deployment else None).id
    for state in states:
        world.set_flow_state(id, state, force=True)
    return id


def answered(decision: Decision) -> tuple[str, str | None, str | None]:
    """Status, reason, and the type of the state that is entered."""
    reason = getattr(decision.details, "reason", None)
    return decision.status, reason, decision.state.type if decision.new and decision.state else None


def identified(state: State, transition_id: str) -> State:
    state.state_details.transition_id = transition_id
    return state


@pytest.mark.parametrize(("second", "status"), [("a", "REJECT"), ("b", "ACCEPT")])
def test_decide_once(second: str, status: str) -> None:
    world = World()
    id = in_state(world, make.pending(), identified(make.running(), "a"))
    decision = world.set_flow_state(id, identified(make.completed(), second))
    assert decision.status == status
    if status == "REJECT":
        assert answered(decision) == ("REJECT", "This run has already made this state transition.", None)
        assert decision.state == world.current(id)
        assert decision.changes() == {}


LOST = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."
ENDED = "Run is already in terminal state COMPLETED."


@pytest.mark.parametrize(
    ("data", "proposed", "answer"),
    [
        (None, make.running, ("ACCEPT", None, "RUNNING")),
        (b"{}", make.running, ("ACCEPT", None, "RUNNING")),
        (b'"text"', make.running, ("ACCEPT", None, "RUNNING")),
        (b'{"type":"result"}', make.running, ("REJECT", "Run is already COMPLETED.", None)),
        (b'{"type":"result"}', make.pending, ("REJECT", "Run is already COMPLETED.", None)),
        (b'{"type":"result"}', make.completed, ("REJECT", LOST, None)),
        (b'{"type":"result"}', lambda: make.completed(data=RESULT), ("ACCEPT", None, "COMPLETED")),
        (b'{"type":"result"}', make.failed, ("ACCEPT", None, "FAILED")),
        (b'{"type":"result"}', make.crashed, ("ABORT", ENDED, None)),
        (None, make.cancelling, ("ABORT", ENDED, None)),
        (None, make.paused, ("ABORT", ENDED, None)),
        (None, make.scheduled, ("ABORT", "Cannot reschedule a run without an associated deployment.", None)),
    ],
)
def test_guard_terminal_states(data: bytes | None, proposed: Any, answer: tuple[Any, ...]) -> None:
    world = World()
    id = in_state(world, make.running(), make.completed(data=None if data is None else Raw(data)))
    assert answered(world.set_flow_state(id, proposed())) == answer


@pytest.mark.parametrize(
    ("proposed", "api_version", "policy"),
    [
        (make.scheduled, None, (set(), False, "reschedule")),
        (make.running, "0.8.4", (set(), False, None)),
        (make.running, "0.8.3", ({"k"}, True, "in_process")),
        (make.completed, "0.8.4", ({"k"}, False, "in_process")),
    ],
)
def test_what_is_run_again_starts_anew(proposed: Any, api_version: str | None, policy: tuple[Any, ...]) -> None:
    world = World()
    before = FlowRunPolicy(pause_keys={"k"}, resuming=True, retry_type="in_process")
    id = in_state(world, make.failed(), deployment=True)
    world.runs[id].empirical_policy = before  # type: ignore[attr-defined]
    run = world.set_flow_state(id, proposed(), api_version=api_version).run
    after = run.empirical_policy
    assert (after.pause_keys, after.resuming, after.retry_type) == policy


def test_keep_result_also_with_force() -> None:
    world = World()
    id = in_state(world, make.running(), make.completed(data=RESULT))
    assert answered(world.set_flow_state(id, make.completed(), force=True)) == ("REJECT", LOST, None)
    assert world.set_flow_state(id, make.failed(), force=True).status == "ACCEPT"


@pytest.mark.parametrize("type_", STATE_TYPES)
def test_finish_cancelling(type_: StateType) -> None:
    world = World()
    id = in_state(world, make.running(), make.cancelling())
    refused = "Cannot transition flows that are cancelling to a state other than Cancelled."
    expected = ("ACCEPT", None, "CANCELLED") if type_ == "CANCELLED" else ("REJECT", refused, None)
    assert answered(world.set_flow_state(id, make.new(type_))) == expected


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("initial", "pid", "answer"),
    [
        (make.scheduled, None, ("REJECT", "Scheduled flow run has no infrastructure to terminate.", "CANCELLED")),
        (make.scheduled, "pid", ("ACCEPT", None, "CANCELLING")),
        (make.resuming, "pid", ("REJECT", "Scheduled flow run has no infrastructure to terminate.", "CANCELLED")),
        (make.suspended, "pid", ("REJECT", "Suspended flow run has no infrastructure to terminate.", "CANCELLED")),
        (make.paused, None, ("ACCEPT", None, "CANCELLING")),
    ],
)
def test_cancel_without_infrastructure(initial: Any, pid: str | None, answer: tuple[Any, ...], force: bool) -> None:
    world = World()
    id = in_state(world, make.running(), initial(), deployment=True)
    world.runs[id].infrastructure_pid = pid  # type: ignore[attr-defined]
    assert answered(world.set_flow_state(id, make.cancelling(), force=force)) == answer


@pytest.mark.parametrize(
    ("initial", "name", "status"),
    [
        (make.pending(), "Submitting", "ACCEPT"),
        (make.pending("Submitting"), "InfrastructurePending", "ACCEPT"),
        (make.pending("Submitting"), "Submitting", "ABORT"),
        (make.pending("Submitting"), "Pending", "ABORT"),
        (make.pending(), "Pending", "ABORT"),
        (make.running(), "Submitting", "ABORT"),
        (make.cancelled(), "Pending", "ABORT"),
        (make.failed(), "Pending", "ACCEPT"),
    ],
)
def test_submit_once(initial: State, name: str, status: str) -> None:
    world = World()
    at = clock.now() - HOUR
    initial.state_details.scheduled_time = at
    id = in_state(world, initial)
    decision = world.set_flow_state(id, make.pending(name))
    assert decision.status == status
    if status == "ABORT":
        reason = f"This run is in a {initial.type} state and cannot transition to a PENDING state."
        assert answered(decision) == ("ABORT", reason, None)
    elif initial.type == "PENDING":
        assert decision.state is not None
        assert decision.state.state_details.scheduled_time == at


@pytest.mark.parametrize(
    ("initial", "answer"),
    [
        (make.scheduled(), ("ACCEPT", None, "SCHEDULED")),
        (make.late(clock.now()), ("REJECT", "This flow run is already marked late.", None)),
        (make.pending(), ("REJECT", "Only scheduled flows can be marked late.", None)),
        (make.running(), ("REJECT", "Only scheduled flows can be marked late.", None)),
    ],
)
def test_late_once(initial: State, answer: tuple[Any, ...]) -> None:
    world = World()
    id = in_state(world, initial)
    decision = world.set_flow_state(id, make.late(clock.now()), policy=MARK_LATE)
    assert answered(decision) == answer
    assert len(decision.effects) == (1 if decision.new else 0)


@pytest.mark.parametrize(
    ("initial", "proposed", "deployment", "parent", "answer"),
    [
        (make.running, make.paused, False, None, ("ACCEPT", None, "PAUSED")),
        (make.running, lambda: make.paused(key="k"), False, None, ("REJECT", "This pause has already fired.", None)),
        (make.running, lambda: make.suspended(key="k"), True, None,
         ("REJECT", "This suspend has already fired.", None)),
        (make.running, make.suspended, True, None, ("ACCEPT", None, "PAUSED")),
        (make.running, make.suspended, True, "task", ("ABORT", "Cannot suspend subflows.", None)),
        (make.running, make.suspended, False, None, ("ABORT", "Cannot suspend flows without a deployment.", None)),
        (make.pending, make.paused, True, None,
         ("REJECT", "Cannot pause flows that are not currently running.", None)),
        (None, make.paused, True, None, ("ABORT", "Cannot pause flows with no state.", None)),
        (None, make.suspended, True, None, ("ABORT", "Cannot suspend flows with no state.", None)),
    ],
)  # fmt: skip
def test_pause(initial: Any, proposed: Any, deployment: bool, parent: str | None, answer: tuple[Any, ...]) -> None:
    world = World()
    policy = FlowRunPolicy(pause_keys={"k"})
    run = world.flow_run(policy, "deployment" if deployment else None)
    if initial is not None:
        world.set_flow_state(run.id, initial(), force=True)
    world.runs[run.id].parent_task_run_id = parent  # type: ignore[attr-defined]
    if parent is not None:
        world.runs[parent], world.history[parent] = world.task_run(), []
    assert answered(world.set_flow_state(run.id, proposed())) == answer


def test_a_pause_is_remembered_and_its_earlier_answers_are_deleted() -> None:
    world = World()
    id = in_state(world, make.running())
    proposed = make.paused(key="second")
    proposed.state_details.run_input_keyset = {"response": "r-1", "schema": "s-1"}
    decision = world.set_flow_state(id, proposed)
    assert decision.run.empirical_policy.pause_keys == {"second"}
    assert decision.effects[-1] == DeleteInputs(("r-1", "s-1"))
    world.set_flow_state(id, make.running())
    world.set_flow_state(id, make.paused())
    assert len(world.runs[id].empirical_policy.pause_keys) == 2  # type: ignore[attr-defined]


def test_resume_is_counted_once_and_ends() -> None:
    world = World()
    id = in_state(world, make.running(), make.suspended(), deployment=True)
    scheduled = world.set_flow_state(id, make.resuming())
    assert scheduled.run.empirical_policy.resuming
    world.set_flow_state(id, make.running(), force=True)
    run: Any = world.runs[id]
    assert (run.run_count, run.empirical_policy.resuming) == (1, False)


@pytest.mark.parametrize("type_", STATE_TYPES)
def test_resume_after_its_time(type_: StateType) -> None:
    world = World()
    id = in_state(world, make.running(), make.paused(timeout=clock.now() - HOUR))
    status, reason, entered = answered(world.set_flow_state(id, make.new(type_)))
    if type_ == "CANCELLING":
        assert (status, entered) == ("ACCEPT", "CANCELLING")
    elif type_ == "PENDING":
        refused = "This run cannot transition to the StateType.PENDING state from the StateType.PAUSED state."
        assert (status, reason, entered) == ("REJECT", refused, None)
    elif type_ == "PAUSED":
        assert (status, entered) == ("REJECT", None)
    else:
        expired = "The flow run pause has timed out and can no longer resume."
        assert (status, reason, entered) == ("REJECT", expired, "FAILED")
        assert world.history[id][-1].message == f"The flow was {type_.lower()} and never resumed."


def test_a_refused_resume_still_marks_the_run_as_resuming() -> None:
    world = World()
    id = in_state(world, make.running(), make.paused())
    decision = world.set_flow_state(id, make.pending())
    assert not decision.new
    assert list(decision.changes()) == ["empirical_policy"]
    assert decision.run.empirical_policy.resuming


def test_a_suspended_run_without_deployment_cannot_go_on() -> None:
    world = World()
    id = in_state(world, make.running(), make.suspended())
    reason = "Cannot reschedule a resuming flow run without a deployment."
    assert answered(world.set_flow_state(id, make.resuming())) == ("REJECT", reason, None)


@pytest.mark.parametrize(("api_version", "anew"), [("0.8.4", True), ("0.8.3", False), (None, True)])
def test_a_run_that_waited_in_its_process_starts_anew_when_scheduled(api_version: str | None, anew: bool) -> None:
    world = World()
    id = in_state(world, make.running(), policy=FlowRunPolicy(pause_keys={"k"}), deployment=True)
    world.set_flow_state(id, make.paused())
    policy = world.set_flow_state(id, make.scheduled(), api_version=api_version).run.empirical_policy
    assert (policy.resuming, policy.retry_type) == ((False, "reschedule") if anew else (True, None))
    assert bool(policy.pause_keys) is not anew


@pytest.mark.parametrize(
    ("initial", "delta", "status"),
    [(make.scheduled, 2, "WAIT"), (make.scheduled, -2, "ACCEPT"), (None, 2, "WAIT"), (None, 0, "ACCEPT")],
)
def test_wait_for_scheduled_time(initial: Any, delta: int, status: str) -> None:
    world = World()
    at = clock.now() + delta * HOUR
    states = [make.scheduled(at)] if initial else [make.scheduled(at), make.pending()]
    id = world.flow_run().id
    world.set_flow_state(id, states[0], force=True)
    for state in states[1:]:
        assert world.set_flow_state(id, state).status == "ACCEPT"
    decision = world.set_flow_state(id, make.running())
    assert decision.status == status
    if status == "WAIT":
        assert 7190 <= decision.details.delay_seconds <= 7200  # type: ignore[union-attr]
        assert decision.effects == []


@pytest.mark.parametrize(
    ("retries", "runs", "retried"), [(None, 1, False), (0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True)]
)
def test_retry(retries: int | None, runs: int, retried: bool) -> None:
    world = World()
    policy = FlowRunPolicy(retries=retries, retry_delay=60, pause_keys={"k"}, retry_type="in_process")
    id = in_state(world, *[make.running() for _ in range(runs)], policy=policy)
    decision = world.set_flow_state(id, make.failed(message="it broke", data=RESULT))
    after = decision.run.empirical_policy
    if not retried:
        assert answered(decision) == ("ACCEPT", None, "FAILED")
        assert (after.retry_type, after.pause_keys) == (None, {"k"})
        return
    assert answered(decision) == ("REJECT", "Retrying", "SCHEDULED")
    state = decision.state
    assert state is not None
    assert (state.name, state.message, state.data) == ("AwaitingRetry", "it broke", RESULT)
    assert state.state_details.scheduled_time is not None
    assert (
        timedelta(0) <= clock.now() + timedelta(seconds=60) - state.state_details.scheduled_time < timedelta(seconds=5)
    )
    assert (after.retry_type, after.pause_keys, after.resuming) == ("in_process", set(), False)
    assert decision.run.next_scheduled_start_time == state.state_details.scheduled_time


@pytest.mark.parametrize(
    ("api_version", "restarts"), [("0.8.2", True), ("0.8.3", False), ("0.8.4", False), (None, False)]
)
def test_older_clients_have_their_failed_tasks_restarted(api_version: str | None, restarts: bool) -> None:
    world = World()
    id = in_state(world, make.running(), policy=FlowRunPolicy(retries=1))
    task = world.task_run(flow_run_id=id)
    for state in (make.running(), make.failed()):
        world.set_task_state(task.id, state, force=True)
    decision = world.set_flow_state(id, make.failed(), api_version=api_version)
    assert any(isinstance(effect, RetryFailedTasks) for effect in decision.effects) is restarts
    assert world.runs[task.id].state_name == ("AwaitingRetry" if restarts else "Failed")
    assert world.runs[task.id].run_count == (0 if restarts else 1)


def test_every_state_that_is_entered_is_told() -> None:
    world = World()
    id = in_state(world, make.scheduled())
    initial = world.current(id)
    decision = world.set_flow_state(id, make.cancelling())
    assert decision.status == "REJECT"
    assert decision.effects == [StateEntered(initial, decision.state)]  # type: ignore[arg-type]
    assert world.set_flow_state(id, make.crashed()).effects == []
