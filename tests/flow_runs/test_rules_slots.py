"""Deployments' concurrency limits: who takes a slot, who keeps it, who gives it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.states.world import Deployment, World

from lictor.flow_runs.effects import KeepSlotUnrenewed, ReleaseSlot
from lictor.flow_runs.facts import DeploymentLimit, NoLimits
from lictor.flow_runs.policies import CORE_FLOW, MARK_LATE
from lictor.flow_runs.types import FlowRunPolicy
from lictor.kit import clock
from lictor.states import constructors as make
from lictor.states.decisions import Decision, RuleSettings, Transition, decide
from lictor.states.types import State

HOUR = timedelta(hours=1)
NEW_CLIENT = "3.9.1"


def a_world(limit: int | None = 1, strategy: str = "ENQUEUE") -> World:
    world = World()
    world.deployments["d"] = Deployment("d", limit, strategy)
    return world


def in_state(world: World, *states: State, **policy: Any) -> str:
    id = world.flow_run(FlowRunPolicy(**policy), "d").id
    for state in states:
        world.set_flow_state(id, state, force=True)
    return id


def lease_of(decision: Decision) -> str | None:
    assert decision.state is not None
    return decision.state.state_details.deployment_concurrency_lease_id


def test_a_slot_is_taken_kept_and_given_back() -> None:
    world = a_world()
    id = in_state(world, make.scheduled())
    lease = lease_of(world.set_flow_state(id, make.pending()))
    assert list(world.leases) == [lease]
    for state in (make.pending("Submitting"), make.running(), make.cancelling()):
        decision = world.set_flow_state(id, state, client_version=NEW_CLIENT)
        assert (decision.status, lease_of(decision)) == ("ACCEPT", lease)
        assert list(world.leases) == [lease]
    ended = world.set_flow_state(id, make.cancelled(), client_version=NEW_CLIENT)
    assert ended.effects[0] == ReleaseSlot("d", lease)
    assert world.leases == {}


@pytest.mark.parametrize(
    ("strategy", "state"),
    [("ENQUEUE", ("SCHEDULED", "AwaitingConcurrencySlot")), ("CANCEL_NEW", ("CANCELLED", "Cancelled"))],
)
def test_without_a_slot(strategy: str, state: tuple[str, str]) -> None:
    world = a_world(strategy=strategy)
    world.set_flow_state(in_state(world, make.scheduled()), make.pending())
    second = in_state(world, make.scheduled())
    decision = world.set_flow_state(second, make.pending())
    assert decision.state is not None
    assert (decision.status, decision.details.reason) == (  # type: ignore[union-attr]
        "REJECT",
        "Deployment concurrency limit reached.",
    )
    assert (decision.state.type, decision.state.name) == state
    if strategy == "ENQUEUE":
        at = decision.state.state_details.scheduled_time
        assert at is not None
        assert timedelta(seconds=25) < at - clock.now() <= timedelta(seconds=30)


@pytest.mark.parametrize(
    ("deployments", "status", "reason"),
    [
        ({}, "ABORT", "Deployment not found."),
        ({"d": 0}, "ABORT", "The deployment concurrency limit is 0. The flow will deadlock if submitted again."),
        ({"d": None}, "ACCEPT", None),
    ],
)
def test_no_limit_to_take_a_slot_of(deployments: dict[str, int | None], status: str, reason: str | None) -> None:
    world = World()
    for name, limit in deployments.items():
        world.deployments[name] = Deployment(name, limit, "ENQUEUE")
    decision = world.set_flow_state(in_state(world, make.scheduled()), make.pending())
    assert (decision.status, getattr(decision.details, "reason", None)) == (status, reason)
    assert world.leases == {}


@pytest.mark.parametrize(("version", "takes"), [("3.0.0", False), ("3.0.3", False), ("3.0.4", True), (None, True)])
def test_the_first_workers_take_slots_themselves(version: str | None, takes: bool) -> None:
    world = a_world()
    decision = world.set_flow_state(in_state(world, make.scheduled()), make.pending(), client_version=version)
    assert bool(lease_of(decision)) is bool(world.leases) is takes


def test_a_slot_that_was_taken_in_vain_is_given_back() -> None:
    world = a_world()
    id = in_state(world, make.running(), make.paused())
    decision = world.set_flow_state(id, make.pending())
    assert decision.status == "REJECT"
    assert world.leases == {}
    assert lease_of(decision) is None


@pytest.mark.parametrize(("taken", "status"), [(False, "ACCEPT"), (True, "REJECT")])
def test_a_lease_that_ran_out_before_the_start(taken: bool, status: str) -> None:
    world = a_world()
    id = in_state(world, make.scheduled())
    first = lease_of(world.set_flow_state(id, make.pending()))
    world.leases.clear()
    if taken:
        world.set_flow_state(in_state(world, make.scheduled()), make.pending())
    decision = world.set_flow_state(id, make.running(), client_version=NEW_CLIENT)
    assert decision.status == status
    assert decision.state is not None
    if taken:
        assert decision.state.type == "CANCELLED"
        assert decision.state.message == (
            "Deployment concurrency slot lost during provisioning - no slots available to continue execution"
        )
        assert decision.details.reason == (  # type: ignore[union-attr]
            "Deployment concurrency limit reached after lease expiry."
        )
    else:
        assert lease_of(decision) in world.leases
        assert lease_of(decision) != first


def test_a_new_lease_is_given_back_if_the_run_has_to_wait() -> None:
    world = a_world()
    id = in_state(world, make.scheduled(clock.now() + HOUR))
    world.set_flow_state(id, make.pending())
    world.leases.clear()
    assert world.set_flow_state(id, make.running(), client_version=NEW_CLIENT).status == "WAIT"
    assert world.leases == {}


@pytest.mark.parametrize(
    ("version", "unrenewed"),
    [(None, True), ("3.4.10", True), ("3.4.11rc1", True), ("3.4.11", False), (NEW_CLIENT, False)],
)
def test_old_clients_keep_their_slot_without_renewing(version: str | None, unrenewed: bool) -> None:
    world = a_world()
    id = in_state(world, make.scheduled())
    lease = lease_of(world.set_flow_state(id, make.pending()))
    assert lease is not None
    decision = world.set_flow_state(id, make.running(), client_version=version)
    assert (KeepSlotUnrenewed(lease) in decision.effects) is unrenewed
    assert lease_of(decision) == lease


def test_a_retry_in_the_process_keeps_its_slot_but_a_reschedule_does_not() -> None:
    world = a_world()
    id = in_state(world, make.scheduled(), retries=1)
    lease = lease_of(world.set_flow_state(id, make.pending()))
    world.set_flow_state(id, make.running(), client_version=NEW_CLIENT)
    retrying = world.set_flow_state(id, make.failed(), client_version=NEW_CLIENT)
    assert lease_of(retrying) == lease
    assert list(world.leases) == [lease]
    world.set_flow_state(id, make.running(), client_version=NEW_CLIENT)
    world.set_flow_state(id, make.awaiting_retry(clock.now()), client_version=NEW_CLIENT)
    assert world.leases == {}


@pytest.mark.parametrize(
    ("limit", "strategy", "name", "entered"),
    [
        (1, "CANCEL_NEW", "Late", "CANCELLED"),
        (2, "CANCEL_NEW", "Late", "SCHEDULED"),
        (1, "ENQUEUE", "Late", "SCHEDULED"),
        (None, "CANCEL_NEW", "Late", "SCHEDULED"),
        (1, "CANCEL_NEW", "Scheduled", "SCHEDULED"),
    ],
)
def test_cancel_instead_of_late(limit: int | None, strategy: str, name: str, entered: str) -> None:
    world = a_world(limit, strategy)
    world.set_flow_state(in_state(world, make.scheduled()), make.pending())
    id = in_state(world, make.scheduled())
    decision = world.set_flow_state(id, make.scheduled(clock.now(), name), policy=MARK_LATE)
    assert decision.state is not None
    assert decision.state.type == entered
    if entered == "CANCELLED":
        reason = "Deployment concurrency limit is full and uses the CANCEL_NEW strategy."
        assert decision.details.reason == reason  # type: ignore[union-attr]


class Asked(NoLimits):
    """One limit; notes for how long slots are taken and renewed."""

    def __init__(self, grace: float | None) -> None:
        self.limit = DeploymentLimit("l", 1, grace_seconds=grace)
        self.seconds: list[float] = []

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        return self.limit

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str | None) -> str | None:
        self.seconds.append(seconds)
        return "lease"

    def renew_slot(self, lease_id: str, seconds: float) -> bool:
        self.seconds.append(seconds)
        return True


@pytest.mark.parametrize(("grace", "seconds"), [(None, 77.0), (120.0, 120.0)])
def test_a_slot_waits_for_its_run_as_long_as_the_deployment_says(grace: float | None, seconds: float) -> None:
    facts = Asked(grace)
    run = World().flow_run(deployment_id="d")
    settings = RuleSettings(deployment_lease_seconds=77.0)
    pending = decide(CORE_FLOW, Transition(run, None, make.pending(), facts, settings=settings)).state
    decide(CORE_FLOW, Transition(run, pending, make.running(), facts, client_version=NEW_CLIENT, settings=settings))
    assert facts.seconds == [seconds, seconds]


def test_the_common_transition_asks_nothing() -> None:
    class Nothing:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    run = World().flow_run(deployment_id="d")
    state = make.pending()
    for proposed in (make.running(), make.completed()):
        state = decide(CORE_FLOW, Transition(run, state, proposed, Nothing())).state  # type: ignore[assignment]
    assert state.type == "COMPLETED"


def test_where_there_are_no_limits() -> None:
    none = NoLimits()
    assert none.deployment_limit("d") == DeploymentLimit()
    assert none.acquire_slot("l", 1.0, None) is None
    assert not none.renew_slot("l", 1.0)
    none.release_slot("l")
    none.give_back("d", None)
    none.keep_unrenewed("l")
