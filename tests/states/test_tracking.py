"""The columns that a run keeps about its states, through the lives that runs have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.states.world import World

from lictor.flow_runs.effects import MirrorToParentTask
from lictor.kit import clock
from lictor.states import constructors as make
from lictor.states.types import State

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


@pytest.fixture
def time() -> Clock:
    source = Clock()
    clock.set_source(source)
    return source


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_life(time: Clock) -> None:
    world = World()
    id = world.flow_run().id
    world.set_flow_state(id, make.scheduled(after(10)), force=True)
    run = world.runs[id]
    assert (run.state_type, run.state_name, run.state_timestamp) == ("SCHEDULED", "Scheduled", START)
    assert run.expected_start_time == run.next_scheduled_start_time == after(10)
    time.wait(11)
    world.set_flow_state(id, make.pending())
    assert world.runs[id].next_scheduled_start_time is None
    time.wait(1)
    world.set_flow_state(id, make.running())
    assert (world.runs[id].run_count, world.runs[id].start_time) == (1, after(12))
    time.wait(2.5)
    world.set_flow_state(id, make.completed())
    run = world.runs[id]
    assert (run.end_time, run.total_run_time, run.start_time) == (after(14.5), 2.5, after(12))
    assert run.expected_start_time == after(10)


def test_a_run_that_never_ran_started_when_it_ended(time: Clock) -> None:
    world = World()
    id = world.flow_run().id
    world.set_flow_state(id, make.pending(), force=True)
    time.wait(3)
    world.set_flow_state(id, make.crashed())
    assert world.runs[id].start_time == world.runs[id].end_time == after(3)
    assert world.runs[id].expected_start_time == START


def test_leaving_the_end_clears_it_and_another_end_keeps_the_first(time: Clock) -> None:
    world = World()
    id = world.flow_run().id
    world.set_flow_state(id, make.running(), force=True)
    time.wait(1)
    world.set_flow_state(id, make.failed(), force=True)
    time.wait(1)
    world.set_flow_state(id, make.cancelled(), force=True)
    assert world.runs[id].end_time == after(1)
    world.set_flow_state(id, make.running(), force=True)
    assert world.runs[id].end_time is None
    assert world.runs[id].run_count == 2


def test_states_of_one_instant_are_a_microsecond_apart(time: Clock) -> None:
    world = World()
    id = world.flow_run().id
    for state in (make.pending(), make.running(), make.completed()):
        world.set_flow_state(id, state, force=True)
    assert [state.timestamp for state in world.history[id]] == [START + timedelta(microseconds=n) for n in range(3)]


def test_a_clock_a_little_behind_does_not_turn_states_round_but_one_set_back_is_believed(time: Clock) -> None:
    world = World()
    id = world.flow_run().id
    world.set_flow_state(id, make.pending(), force=True)
    time.wait(-0.5)
    world.set_flow_state(id, make.running(), force=True)
    assert world.history[id][-1].timestamp == START + timedelta(microseconds=1)
    time.wait(-3600)
    world.set_flow_state(id, make.running(), force=True)
    assert world.history[id][-1].timestamp == after(-3600.5)


def test_details_name_the_run_and_a_subflow_s_state_is_mirrored(time: Clock) -> None:
    world = World()
    parent = world.flow_run()
    task = world.task_run(flow_run_id=parent.id)
    child = world.flow_run(parent_id=task.id)
    proposed: State = make.running()
    decision = world.set_flow_state(child.id, proposed, force=True)
    assert decision.state is not None
    details = decision.state.state_details
    assert (details.flow_run_id, details.task_run_id, details.child_flow_run_id) == (child.id, task.id, None)
    assert isinstance(decision.effects[0], MirrorToParentTask)
    mirrored = world.history[task.id][-1]
    assert mirrored.id != decision.state.id
    assert mirrored.state_details.child_flow_run_id == child.id
    assert mirrored.state_details.task_run_id == task.id
    assert mirrored.state_details.flow_run_id == parent.id
    assert world.runs[task.id].run_count == 1
