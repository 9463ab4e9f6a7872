"""What holds for every run whatever is proposed to it, in whatever order, forced or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.states.world import Deployment, World

from lictor.flow_runs.effects import StateEntered
from lictor.flow_runs.types import FlowRunPolicy
from lictor.kit import clock
from lictor.states import constructors as make
from lictor.states.decisions import Decision
from lictor.states.types import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    PENDING,
    RUNNING,
    SCHEDULED,
    STATE_TYPES,
    TERMINAL,
    State,
    TrackedRun,
    persisted_result,
)
from lictor.task_runs.tracking import TaskRunPolicy

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [None, "Late", "AwaitingRetry", "Suspended", "Submitting", "Resuming", "Pending"]
DATA = [None, Raw(b"{}"), Raw(b'{"type":"unpersisted"}'), Raw(b'{"type":"result"}'), Raw(b"[1]")]

Proposal = dict[str, Any]

proposals = st.fixed_dictionaries(
    {
        "type": st.sampled_from(STATE_TYPES),
        "name": st.sampled_from(NAMES),
        "data": st.sampled_from(DATA),
        "force": st.sampled_from([False, False, True]),
        "wait": st.sampled_from([0, 0, 1, 5000]),
        "in_seconds": st.sampled_from([None, -100, 100]),
        "key": st.sampled_from([None, "a", "b"]),
        "transition": st.sampled_from([None, None, "x", "y"]),
        "reschedule": st.booleans(),
        "deferred": st.sampled_from([False, False, True]),
        "api_version": st.sampled_from([None, "0.8.2", "0.8.3", "0.8.4"]),
        "client_version": st.sampled_from([None, "3.0.3", "3.4.10", "3.9.1"]),
    }
)
lives = st.lists(proposals, min_size=1, max_size=8)


def proposed(proposal: Proposal, now: datetime) -> State:
    state = make.new(proposal["type"], proposal["name"], data=proposal["data"])
    details = state.state_details
    if proposal["in_seconds"] is not None or state.type == SCHEDULED:
        details.scheduled_time = now + timedelta(seconds=proposal["in_seconds"] or 0)
    if state.type == "PAUSED":
        details.pause_timeout, details.pause_key = details.scheduled_time, proposal["key"]
        details.pause_reschedule = proposal["reschedule"]
    details.transition_id = proposal["transition"]
    details.deferred = proposal["deferred"]
    return state


def hold(before: TrackedRun, initial: State | None, decision: Decision, forced: bool) -> None:
    """What is true after every decision about any run."""
    run, state = decision.run, decision.state
    assert run.run_count >= 0
    assert run.total_run_time >= 0
    assert (decision.status == "ACCEPT") <= decision.new
    if not decision.new:
        assert state == initial
        assert (run.state_type, run.state_name, run.state_timestamp) == (
            before.state_type,
            before.state_name,
            before.state_timestamp,
        )
        return
    assert state is not None
    assert (run.state_type, run.state_name, run.state_timestamp) == (state.type, state.name, state.timestamp)
    assert initial is None or state.timestamp > initial.timestamp
    assert (run.end_time is not None) == (state.type in TERMINAL)
    assert run.end_time is None or run.start_time is not None
    assert (run.next_scheduled_start_time is not None) == (state.type == SCHEDULED)
    assert before.expected_start_time in (None, run.expected_start_time)
    if not forced and initial is not None and initial.type == COMPLETED and persisted_result(initial.data):
        assert state.type in TERMINAL


def play(world: World, life: list[Proposal], run_id: str, is_flow: bool) -> None:
    moment = START
    clock.set_source(lambda: moment)
    for proposal in life:
        moment += timedelta(seconds=proposal["wait"])
        before, initial = world.runs[run_id], world.current(run_id)
        state, forced = proposed(proposal, moment), proposal["force"]
        if is_flow:
            decision = world.set_flow_state(
                run_id,
                state,
                forced,
                api_version=proposal["api_version"],
                client_version=proposal["client_version"],
            )
            hold_flow(world, before, initial, decision, forced)
        else:
            decision = world.set_task_state(run_id, state, forced)
            # A deferred task has its policy whether forced or not.
            forced = forced and not proposal["deferred"]
        hold(before, initial, decision, forced)


def hold_flow(world: World, before: TrackedRun, initial: State | None, decision: Decision, forced: bool) -> None:
    """What is true beside that of flow runs."""
    run, state = decision.run, decision.state
    assert before.run_count <= run.run_count <= before.run_count + 1
    told = [effect for effect in decision.effects if isinstance(effect, StateEntered)]
    assert told == ([StateEntered(initial, state)] if decision.new else [])  # type: ignore[arg-type]
    if decision.new and not forced and initial is not None:
        assert state is not None
        if initial.type == CANCELLING:
            assert state.type == CANCELLED
        if initial.type == RUNNING:
            assert state.type != PENDING
    if state is not None and state.type not in (PENDING, RUNNING, CANCELLING) and state.name != "AwaitingRetry":
        # No one else has a slot here, so whoever is done leaves none behind.
        assert not decision.new or world.leases == {}


@settings(max_examples=80, deadline=None)
@given(
    lives, st.sampled_from([None, 0, 2]), st.sampled_from([None, 0, 1, 5]), st.sampled_from(["ENQUEUE", "CANCEL_NEW"])
)
def test_flow_runs(life: list[Proposal], retries: int | None, limit: int | None, strategy: str) -> None:
    world = World()
    world.deployments["d"] = Deployment("d", limit, strategy)
    play(world, life, world.flow_run(FlowRunPolicy(retries=retries), "d").id, is_flow=True)


@settings(max_examples=50, deadline=None)
@given(lives, st.sampled_from([None, 0, 2]))
def test_flow_runs_without_deployment(life: list[Proposal], retries: int | None) -> None:
    world = World()
    play(world, life, world.flow_run(FlowRunPolicy(retries=retries)).id, is_flow=True)


@settings(max_examples=50, deadline=None)
@given(lives, st.sampled_from([None, 0, 2]))
def test_task_runs(life: list[Proposal], retries: int | None) -> None:
    world = World()
    play(world, life, world.task_run(TaskRunPolicy(retries=retries, retry_delay=[1, 2])).id, is_flow=False)


@settings(max_examples=30, deadline=None)
@given(lives)
def test_a_subflow_s_task_run_is_in_the_state_of_its_subflow(life: list[Proposal]) -> None:
    world = World()
    task = world.task_run()
    run = world.flow_run(parent_id=task.id)
    play(world, [{**proposal, "deferred": False} for proposal in life], run.id, is_flow=True)
    assert world.runs[task.id].state_type == world.runs[run.id].state_type
    assert world.runs[task.id].state_name == world.runs[run.id].state_name
