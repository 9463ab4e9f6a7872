"""A server of runs in a dict: what the decisions are carried out on where a test needs more than one of them.

It answers the few requests that the transition matrix sends, so that the matrix is played on the rules alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from datetime import datetime
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Raw, Struct

from lictor.flow_runs.effects import MirrorToParentTask, ReleaseSlot, RetryFailedTasks
from lictor.flow_runs.facts import DeploymentLimit
from lictor.flow_runs.policies import CORE_FLOW, flow_policy
from lictor.flow_runs.tracking import FlowRunSnapshot
from lictor.flow_runs.types import FlowRunPolicy
from lictor.kit import clock, ids
from lictor.states import constructors
from lictor.states.decisions import Decision, Policy, Transition, decide
from lictor.states.types import (
    FAILED,
    OrchestrationResult,
    State,
    StateCreate,
    TrackedRun,
    from_create,
    persisted_result,
)
from lictor.task_runs.effects import CacheState, Enqueue, ReleaseTagSlots
from lictor.task_runs.facts import EnclosingFlowRun, TagLimit
from lictor.task_runs.policies import task_policy
from lictor.task_runs.tracking import TaskRunPolicy, TaskRunSnapshot, TaskTransition

R = TypeVar("R", bound=TrackedRun)


class Deployment(Struct):
    id: str
    limit: int | None
    strategy: str


class World:
    """Runs, their histories and the slots they hold; it is also the facts that rules ask for."""

    def __init__(self) -> None:
        self.runs: dict[str, TrackedRun] = {}
        self.history: dict[str, list[State]] = {}
        self.deployments: dict[str, Deployment] = {}
        self.leases: dict[str, list[str]] = {}
        self.tags: dict[str, TagLimit] = {}
        self.cache: dict[str, tuple[datetime | None, State]] = {}
        self.effects: list[Struct] = []

    # --- runs

    def flow_run(
        self, policy: FlowRunPolicy | None = None, deployment_id: str | None = None, parent_id: str | None = None
    ) -> FlowRunSnapshot:
        made = FlowRunSnapshot(
            ids.new(), None, None, None, 0, None, None, None, None, 0.0,
            policy or FlowRunPolicy(), deployment_id, parent_id, None,
        )  # fmt: skip
        return self._keep(made)

    def task_run(
        self, policy: TaskRunPolicy | None = None, flow_run_id: str | None = None, tags: list[str] | None = None
    ) -> TaskRunSnapshot:
        made = TaskRunSnapshot(
            ids.new(), None, None, None, 0, None, None, None, None, 0.0,
            policy or TaskRunPolicy(), flow_run_id, 0, tags or [],
        )  # fmt: skip
        return self._keep(made)

    def _keep(self, run: R) -> R:
        self.runs[run.id] = run
        self.history[run.id] = []
        return run

    def current(self, id: str) -> State | None:
        """The last state as it would be read back: what says that there is no result is not stored."""
        if not self.history[id]:
            return None
        state = msgspec.structs.replace(self.history[id][-1])
        if state.data is not None and bytes(state.data).startswith(b"{") and persisted_result(state.data) is None:
            state.data = None
        return state

    # --- decisions

    def set_flow_state(
        self, id: str, state: State, force: bool = False, policy: Policy = CORE_FLOW, **versions: str | None
    ) -> Decision:
        run = copy(self.runs[id])
        transition: Any = Transition(run, self.current(id), state, FlowSide(self), **versions)
        return self._carry_out(decide(flow_policy(force, policy), transition))

    def set_task_state(self, id: str, state: State, force: bool = False) -> Decision:
        run = copy(self.runs[id])
        assert isinstance(run, TaskRunSnapshot)
        transition = TaskTransition(run, self.current(id), state, TaskSide(self))
        return self._carry_out(decide(task_policy(state, force), transition))

    def _carry_out(self, decision: Decision) -> Decision:
        run = decision.run
        self.runs[run.id] = run
        if decision.new:
            self.history[run.id].append(copy(decision.state))
        self.effects += decision.effects
        for effect in decision.effects:
            match effect:
                case MirrorToParentTask():
                    self.set_task_state(effect.task_run_id, effect.state, force=True)
                case RetryFailedTasks():
                    self._retry_failed_tasks(run.id, effect.scheduled_time)
                case ReleaseSlot():
                    self._release(effect)
                case CacheState():
                    state = next(s for s in self.history[run.id] if s.id == effect.state_id)
                    self.cache[effect.key] = (effect.expiration, state)
                case ReleaseTagSlots() | Enqueue():
                    self.leases = {id: held for id, held in self.leases.items() if run.id not in held}
        return decision

    def _release(self, effect: ReleaseSlot) -> None:
        # As the reference, which counts: a run that holds no lease gives back another's slot.
        others = [id for id, held in self.leases.items() if effect.deployment_id in held]
        for lease_id in [effect.lease_id] if effect.lease_id else others[:1]:
            self.leases.pop(lease_id, None)

    def _retry_failed_tasks(self, flow_run_id: str, at: datetime) -> None:
        for run in list(self.runs.values()):
            if isinstance(run, TaskRunSnapshot) and run.flow_run_id == flow_run_id and run.state_type == FAILED:
                self.set_task_state(run.id, constructors.awaiting_retry(at), force=True).run.run_count = 0


class FlowSide(Struct):
    """`FlowFacts` of a world."""

    world: World

    def deployment_limit(self, deployment_id: str) -> DeploymentLimit | None:
        deployment = self.world.deployments.get(deployment_id)
        if deployment is None:
            return None
        if deployment.limit is None:
            return DeploymentLimit()
        taken = sum(deployment_id in held for held in self.world.leases.values())
        return DeploymentLimit(deployment_id, deployment.limit, taken, deployment.strategy)  # type: ignore[arg-type]

    def acquire_slot(self, limit_id: str, seconds: float, flow_run_id: str) -> str | None:
        limit = self.deployment_limit(limit_id)
        assert limit is not None
        if limit.active_slots >= limit.limit:
            return None
        lease_id = ids.new4()
        self.world.leases[lease_id] = [limit_id]
        return lease_id

    def renew_slot(self, lease_id: str, seconds: float) -> bool:
        return lease_id in self.world.leases

    def release_slot(self, lease_id: str) -> None:
        del self.world.leases[lease_id]


class TaskSide(Struct):
    """`TaskFacts` of a world."""

    world: World

    def flow_run(self, flow_run_id: str) -> EnclosingFlowRun | None:
        run = self.world.runs.get(flow_run_id)
        if run is None:
            return None
        state = self.world.current(flow_run_id)
        return EnclosingFlowRun(flow_run_id, run.run_count, run.state_type, state and state.state_details)

    def cached_state(self, key: str, now: datetime) -> State | None:
        expiration, state = self.world.cache.get(key, (None, None))
        return state if expiration is None or expiration > now else None

    def tag_limits(self, tags: list[str]) -> list[TagLimit]:
        return [limit for tag, limit in self.world.tags.items() if tag in tags]

    def acquire_tag_slots(self, limit_ids: list[str], task_run_id: str) -> str | None:
        for limit in self.world.tags.values():
            taken = sum(limit.id in held for held in self.world.leases.values())
            if limit.id in limit_ids and taken >= limit.limit:
                return None
        lease_id = ids.new4()
        self.world.leases[lease_id] = [*limit_ids, task_run_id]
        return lease_id

    def release_tag_slots(self, lease_id: str) -> None:
        del self.world.leases[lease_id]


# --- over HTTP, for the matrix


class SetState(Struct):
    state: StateCreate
    force: bool = False


class RunBody(Struct):
    state: StateCreate = msgspec.field(default_factory=lambda: StateCreate("SCHEDULED"))
    empirical_policy: Raw = Raw(b"{}")
    flow_run_id: str | None = None


class DeploymentBody(Struct):
    name: str
    concurrency_limit: int | None = None
    concurrency_options: dict[str, Any] = {}


CLIENT_VERSION = re.compile(r"prefect/(\d+\.\d+\.\d+\S*) \(API \S+\)")


def client() -> httpx.Client:
    """A client of a new world."""
    return httpx.Client(transport=httpx.MockTransport(_Server(World())), base_url="http://world/api")


class _Server:
    def __init__(self, world: World) -> None:
        self.world = world
        self.names: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api").strip("/")
        for pattern, handler in ROUTES:
            if (match := re.fullmatch(pattern, f"{request.method} {path}")) is not None:
                status, value = handler(self, request, *match.groups())
                content = msgspec.json.encode(value)
                return httpx.Response(status, content=content, headers={"content-type": "application/json"})
        raise AssertionError(f"{request.method} {path} is not played")

    def flow(self, request: httpx.Request) -> tuple[int, Any]:
        return 201, {"id": ids.new()}

    def deployment(self, request: httpx.Request) -> tuple[int, Any]:
        body = msgspec.json.decode(request.content, type=DeploymentBody)
        id = self.names.setdefault(body.name, ids.new())
        strategy = body.concurrency_options.get("collision_strategy", "ENQUEUE")
        self.world.deployments[id] = Deployment(id, body.concurrency_limit, strategy)
        return 201, {"id": id}

    def create_flow_run(self, request: httpx.Request, deployment_id: str | None = None) -> tuple[int, Any]:
        body = msgspec.json.decode(request.content, type=RunBody)
        policy = msgspec.json.decode(body.empirical_policy, type=FlowRunPolicy)
        run = self.world.flow_run(policy, deployment_id)
        self.world.set_flow_state(run.id, from_create(body.state), force=True)
        return 201, {"id": run.id}

    def create_task_run(self, request: httpx.Request) -> tuple[int, Any]:
        body = msgspec.json.decode(request.content, type=RunBody)
        policy = msgspec.json.decode(body.empirical_policy, type=TaskRunPolicy)
        run = self.world.task_run(policy, body.flow_run_id)
        self.world.set_task_state(run.id, from_create(body.state), force=True)
        return 201, {"id": run.id}

    def set_flow_state(self, request: httpx.Request, id: str) -> tuple[int, OrchestrationResult]:
        start = clock.now()
        body = msgspec.json.decode(request.content, type=SetState)
        known = CLIENT_VERSION.fullmatch(request.headers.get("user-agent", ""))
        decision = self.world.set_flow_state(
            id,
            from_create(body.state),
            body.force,
            client_version=known[1] if known else None,
            api_version=request.headers.get("x-prefect-api-version"),
        )
        return self._answer(decision, start)

    def set_task_state(self, request: httpx.Request, id: str) -> tuple[int, OrchestrationResult]:
        start = clock.now()
        body = msgspec.json.decode(request.content, type=SetState)
        return self._answer(self.world.set_task_state(id, from_create(body.state), body.force), start)

    def _answer(self, decision: Decision, start: datetime) -> tuple[int, OrchestrationResult]:
        state = decision.state
        return 201 if state is not None and state.timestamp >= start else 200, decision.result()

    def run(self, request: httpx.Request, id: str) -> tuple[int, TrackedRun]:
        return 200, self.world.runs[id]

    def states(self, request: httpx.Request) -> tuple[int, list[State]]:
        (id,) = request.url.params.values()
        return 200, sorted(self.world.history[id], key=lambda state: state.timestamp)


ROUTES: list[tuple[str, Callable[..., tuple[int, Any]]]] = [
    ("POST flows", _Server.flow),
    ("POST deployments", _Server.deployment),
    ("POST flow_runs", _Server.create_flow_run),
    ("POST deployments/([^/]+)/create_flow_run", _Server.create_flow_run),
    ("POST task_runs", _Server.create_task_run),
    ("POST flow_runs/([^/]+)/set_state", _Server.set_flow_state),
    ("POST task_runs/([^/]+)/set_state", _Server.set_task_state),
    ("GET (?:flow|task)_runs/([^/]+)", _Server.run),
    ("GET (?:flow|task)_run_states", _Server.states),
]
