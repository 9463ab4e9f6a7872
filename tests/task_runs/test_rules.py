"""Each rule about task runs: what it refuses, what it lets pass, what it leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import Raw
from tests.states.world import World

from lictor.kit import clock
from lictor.kit.errors import FieldError, ObjectNotFound
from lictor.states import constructors as make
from lictor.states.decisions import Decision
from lictor.states.types import State
from lictor.task_runs.effects import CacheState, Enqueue, ReleaseTagSlots
from lictor.task_runs.facts import NoTagLimits, TagLimit
from lictor.task_runs.policies import BACKGROUND_TASK, CORE_TASK, MINIMAL_TASK, task_policy
from lictor.task_runs.tracking import TaskRunPolicy

RESULT = Raw(b'{"type":"result"}')
HOUR = timedelta(hours=1)
FLOW_MUST_RUN = "The enclosing flow must be running to begin task execution."


def in_state(world: World, *states: State, tags: list[str] | None = None, flow: bool = False, **policy: Any) -> str:
    flow_run_id = None
    if flow:
        flow_run_id = world.flow_run().id
        world.set_flow_state(flow_run_id, make.running(), force=True)
    id = world.task_run(TaskRunPolicy(**policy), flow_run_id, tags).id
    for state in states:
        world.set_task_state(id, state, force=True)
    return id


def answered(decision: Decision) -> tuple[str, str | None, str | None]:
    reason = getattr(decision.details, "reason", None)
    return decision.status, reason, decision.state.name if decision.new and decision.state else None


def with_details(state: State, **details: Any) -> State:
    for name, value in details.items():
        setattr(state.state_details, name, value)
    return state


def test_policies() -> None:
    deferred = with_details(make.pending(), deferred=True)
    assert task_policy(deferred, force=True) is task_policy(deferred, force=False) is BACKGROUND_TASK
    assert task_policy(make.pending(), force=True) is MINIMAL_TASK
    assert task_policy(make.pending(), force=False) is CORE_TASK


@pytest.mark.parametrize(
    ("expiration", "refresh", "cached"),
    [(None, None, True), (HOUR, None, True), (-HOUR, None, False), (None, True, False)],
)
def test_cache(expiration: timedelta | None, refresh: bool | None, cached: bool) -> None:
    world = World()
    at = None if expiration is None else clock.now() + expiration
    first = in_state(world, make.running())
    done = with_details(make.completed(data=RESULT), cache_key="key", cache_expiration=at)
    decision = world.set_task_state(first, done)
    assert decision.state is not None
    assert decision.effects == [CacheState("key", at, decision.state.id)]
    second = in_state(world, make.pending())
    answer = world.set_task_state(second, with_details(make.running(), cache_key="key", refresh_cache=refresh))
    if not cached:
        assert answered(answer) == ("ACCEPT", None, "Running")
        return
    assert answered(answer) == ("REJECT", "Retrieved state from cache", "Cached")
    assert answer.state is not None
    assert (answer.state.type, answer.state.data) == ("COMPLETED", RESULT)
    assert answer.state.id != decision.state.id
    assert answer.state.state_details.task_run_id == second
    assert answer.run.end_time == answer.state.timestamp


def test_a_cache_key_that_is_too_long_is_complained_of_but_used() -> None:
    world = World()
    id = in_state(world, make.running())
    key = "k" * 2001
    decision = world.set_task_state(id, with_details(make.completed(), cache_key=key))
    reason = "Cache key exceeded maximum allowed length of 2000 characters."
    assert answered(decision) == ("REJECT", reason, "Completed")
    assert decision.effects == [CacheState(key, None, decision.state.id)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "proposed", "answer"),
    [
        (None, make.running, ("ACCEPT", None, "Running")),
        (None, make.crashed, ("ABORT", "Run is already COMPLETED.", None)),
        (None, make.paused, ("ABORT", "Run is already COMPLETED.", None)),
        (None, make.cancelling, ("ABORT", "Run is already COMPLETED.", None)),
        (RESULT, make.running, ("REJECT", "This run is already completed.", None)),
        (RESULT, make.completed, ("REJECT", "This run is already completed.", None)),
        (RESULT, make.failed, ("REJECT", "This run is already completed.", None)),
    ],
)
def test_guard_terminal_states(data: Raw | None, proposed: Any, answer: tuple[Any, ...]) -> None:
    world = World()
    id = in_state(world, make.running(), make.completed(data=data))
    assert answered(world.set_task_state(id, proposed())) == answer


def test_what_is_run_again_has_all_its_retries() -> None:
    world = World()
    id = in_state(world, make.running(), make.failed(), flow=True)
    assert world.runs[id].run_count == 1
    assert world.set_task_state(id, make.running()).run.run_count == 1
    world.set_task_state(id, make.failed(), force=True)
    # Unless it does not come to that.
    flow_run_id = world.runs[id].flow_run_id  # type: ignore[attr-defined]
    world.set_flow_state(flow_run_id, make.completed(), force=True)
    assert world.set_task_state(id, make.running()).status == "ABORT"
    assert world.runs[id].run_count == 1


def test_a_task_of_a_flow_that_retries_is_retrying() -> None:
    world = World()
    id = in_state(world, flow=True)
    flow_run_id = world.runs[id].flow_run_id  # type: ignore[attr-defined]
    assert world.set_task_state(id, make.running()).run.flow_run_run_count == 1
    world.set_task_state(id, make.failed())
    world.set_flow_state(flow_run_id, make.running(), force=True)
    decision = world.set_task_state(id, make.running())
    assert answered(decision) == ("ACCEPT", None, "Retrying")
    assert decision.run.flow_run_run_count == 2


@pytest.mark.parametrize(
    ("flow_state", "answer"),
    [
        (make.running(), ("ACCEPT", None, "Running")),
        (make.pending(), ("ABORT", FLOW_MUST_RUN, None)),
        (make.cancelling(), ("ABORT", FLOW_MUST_RUN, None)),
        (None, ("ABORT", FLOW_MUST_RUN, None)),
    ],
)
def test_run_inside_running_flow(flow_state: State | None, answer: tuple[Any, ...]) -> None:
    world = World()
    flow_run = world.flow_run()
    if flow_state is not None:
        world.set_flow_state(flow_run.id, flow_state, force=True)
    id = world.task_run(flow_run_id=flow_run.id).id
    assert answered(world.set_task_state(id, make.running())) == answer


def test_a_task_of_a_paused_flow_is_paused_as_long() -> None:
    world = World()
    flow_run = world.flow_run()
    at = clock.now() + HOUR
    world.set_flow_state(flow_run.id, make.running(), force=True)
    world.set_flow_state(flow_run.id, make.suspended(timeout=at), force=True)
    id = world.task_run(flow_run_id=flow_run.id).id
    decision = world.set_task_state(id, make.running())
    reason = f"The flow is paused, new tasks can execute after resuming flow run: {flow_run.id}."
    assert answered(decision) == ("REJECT", reason, "NotReady")
    assert decision.state is not None
    assert (decision.state.type, decision.state.state_details.pause_timeout) == ("PAUSED", at)
    assert decision.state.state_details.pause_reschedule


def test_a_task_whose_flow_run_is_gone() -> None:
    world = World()
    id = world.task_run(flow_run_id="gone").id
    with pytest.raises(ObjectNotFound, match="this flow run might have been deleted"):
        world.set_task_state(id, make.running())


def limited(world: World, **limits: int) -> None:
    for tag, limit in limits.items():
        world.tags[tag] = TagLimit(f"id of {tag}", tag, limit, 0, average_seconds=4.0)


def test_tag_slots_are_taken_together_and_given_back() -> None:
    world = World()
    limited(world, a=1, b=2)
    id = in_state(world, make.pending(), tags=["a", "b", "free"])
    assert world.set_task_state(id, make.running()).status == "ACCEPT"
    assert list(world.leases.values()) == [["id of a", "id of b", id]]
    other = in_state(world, make.pending(), tags=["a", "b"])
    decision = world.set_task_state(other, make.running())
    assert (decision.status, decision.details.reason) == (  # type: ignore[union-attr]
        "WAIT",
        "Concurrency limit reached for tags: a, b",
    )
    assert 3 <= decision.details.delay_seconds <= 5  # type: ignore[union-attr]
    assert world.set_task_state(id, make.cancelling()).effects == []
    assert world.set_task_state(id, make.cancelled()).effects == [ReleaseTagSlots(("a", "b", "free"))]
    assert world.set_task_state(other, make.running()).status == "ACCEPT"


def test_a_limit_of_zero_would_wait_for_ever() -> None:
    world = World()
    limited(world, a=1, b=0)
    id = in_state(world, make.pending(), tags=["a", "b"])
    reason = 'The concurrency limit on tag "b" is 0 and will deadlock if the task tries to run again.'
    assert answered(world.set_task_state(id, make.running())) == ("ABORT", reason, None)
    assert world.leases == {}


def test_tag_slots_taken_in_vain_are_given_back() -> None:
    world = World()
    limited(world, a=1)
    id = in_state(world, make.scheduled(clock.now() + HOUR), tags=["a"])
    assert world.set_task_state(id, make.running()).status == "WAIT"
    assert world.leases == {}


def test_with_force_tag_limits_do_not_count_but_slots_are_given_back() -> None:
    world = World()
    limited(world, a=0)
    id = in_state(world, make.pending(), tags=["a"])
    assert world.set_task_state(id, make.running(), force=True).status == "ACCEPT"
    assert world.set_task_state(id, make.failed(), force=True).effects == [ReleaseTagSlots(("a",))]


@pytest.mark.parametrize(
    ("policy", "runs", "seconds"),
    [
        ({"retries": 2}, 1, 0),
        ({"retries": 2, "retry_delay": 60}, 2, 60),
        ({"retries": 2, "retry_delay": [30, 90.5]}, 1, 30),
        ({"retries": 2, "retry_delay": [30, 90.5]}, 2, 90.5),
        ({"retries": 3, "retry_delay": [30, 90.5]}, 3, 90.5),
        ({"retries": 1, "retry_delay": []}, 1, 0),
        ({"max_retries": 1, "retry_delay_seconds": 1.5}, 1, 1.5),
        ({"retries": 1}, 2, None),
        ({"retries": 0}, 1, None),
        ({}, 1, None),
    ],
)
def test_retry(policy: dict[str, Any], runs: int, seconds: float | None) -> None:
    world = World()
    id = in_state(world, *[make.running() for _ in range(runs)], **policy)
    decision = world.set_task_state(id, make.failed(message="it broke", data=RESULT))
    if seconds is None:
        assert answered(decision) == ("ACCEPT", None, "Failed")
        return
    assert answered(decision) == ("REJECT", "Retrying", "AwaitingRetry")
    assert decision.state is not None
    assert (decision.state.message, decision.state.data) == ("it broke", RESULT)
    assert decision.state.state_details.scheduled_time == decision.state.timestamp + timedelta(seconds=seconds)


@pytest.mark.parametrize("wrong", [{"retry_delay": [1] * 51}, {"retry_jitter_factor": -0.1}])
def test_a_policy_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        TaskRunPolicy(**wrong)
    assert TaskRunPolicy(retry_delay=[1] * 50, retry_jitter_factor=0.0).retries is None


@pytest.mark.parametrize(("retriable", "status"), [(False, "ACCEPT"), (None, "REJECT"), (True, "REJECT")])
def test_a_client_may_say_that_it_is_not_retriable(retriable: bool | None, status: str) -> None:
    world = World()
    id = in_state(world, make.running(), retries=1)
    assert world.set_task_state(id, with_details(make.failed(), retriable=retriable)).status == status


def test_retries_are_spread() -> None:
    waits = set()
    for _ in range(5):
        world = World()
        id = in_state(world, make.running(), retries=1, retry_delay=100, retry_jitter_factor=0.5)
        state = world.set_task_state(id, make.failed()).state
        assert state is not None
        assert state.state_details.scheduled_time is not None
        waits.add((state.state_details.scheduled_time - state.timestamp).total_seconds())
    assert len(waits) == 5
    assert all(50 <= wait <= 150 for wait in waits)


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ((make.pending(),), "Running"),
        ((make.running(), make.awaiting_retry(clock.now())), "Retrying"),
        ((make.running(), make.pending()), "Rerunning"),
        ((make.running(),), "Rerunning"),
        ((), "Running"),
    ],
)
def test_name_reruns(states: tuple[State, ...], name: str) -> None:
    world = World()
    assert answered(world.set_task_state(in_state(world, *states), make.running())) == ("ACCEPT", None, name)


def deferred(state: State, **details: Any) -> State:
    return with_details(state, deferred=True, **details)


def test_a_deferred_task_is_enqueued_when_scheduled() -> None:
    world = World()
    id = world.task_run().id
    assert world.set_task_state(id, deferred(make.scheduled()), force=True).effects == [Enqueue(retry=False)]
    assert world.set_task_state(id, deferred(make.awaiting_retry(clock.now()))).effects == [Enqueue(retry=True)]
    assert world.set_task_state(id, make.scheduled()).effects == []
    assert world.set_task_state(id, deferred(make.pending())).effects == []


def test_a_deferred_task_keeps_its_parameters_and_is_submitted_once() -> None:
    world = World()
    id = world.task_run().id
    at = clock.now() - HOUR
    world.set_task_state(id, deferred(make.scheduled(at), task_parameters_id="p"))
    pending = world.set_task_state(id, deferred(make.pending())).state
    assert pending is not None
    assert (pending.state_details.task_parameters_id, pending.state_details.scheduled_time) == ("p", at)
    assert answered(world.set_task_state(id, deferred(make.pending())))[0] == "ABORT"
    running = world.set_task_state(id, deferred(make.running())).state
    assert running is not None
    assert running.state_details.task_parameters_id == "p"


def test_where_no_tag_has_a_limit() -> None:
    none = NoTagLimits()
    assert none.tag_limits(["a"]) == []
    assert none.acquire_tag_slots([], "t") is None
    none.release_tag_slots("l")
