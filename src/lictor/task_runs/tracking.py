"""What a task run keeps about its states: the columns that rules look at and change, and how each state moves them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct

from lictor.states.decisions import DEFAULT_SETTINGS, RuleSettings, Transition, rule
from lictor.states.tracking import COMMON_TRACKING
from lictor.states.types import RUNNING, State, TrackedRun
from lictor.task_runs.facts import EnclosingFlowRun, TaskFacts
from lictor.web.shapes import Checked, Checks, FieldError

MAX_RETRY_DELAYS = 50


def check_delays(delays: float | list[int | float] | None) -> None:
    if isinstance(delays, list) and len(delays) > MAX_RETRY_DELAYS:
        raise FieldError(f"Can not configure more than {MAX_RETRY_DELAYS} retry delays per task.")


def check_jitter(factor: float | None) -> None:
    if factor is not None and factor < 0:
        raise FieldError("`retry_jitter_factor` must be >= 0.")


class TaskRunPolicy(Checked, Struct):
    """How a task run retries: how often, after how many seconds (of each attempt, if a list), and how much apart.

    `max_retries` and `retry_delay_seconds` are older names that count where the newer are not set. Raises FieldError
    for more than 50 delays or a negative factor.
    """

    checks: ClassVar[Checks] = {"retry_delay": check_delays, "retry_jitter_factor": check_jitter}

    max_retries: int = 0
    retry_delay_seconds: float = 0.0
    retries: int | None = None
    retry_delay: int | float | list[int | float] | None = None
    retry_jitter_factor: float | None = None

    def __post_init__(self) -> None:
        if not self.retries and self.max_retries:
            self.retries = self.max_retries
        if not self.retry_delay and self.retry_delay_seconds:
            self.retry_delay = self.retry_delay_seconds
        # Each task run that is read has a policy, and few have these.
        if self.retry_jitter_factor is not None or isinstance(self.retry_delay, list):
            Checked.__post_init__(self)
        # All whole or all floating, as the reference shows them.
        if isinstance(self.retry_delay, list) and any(isinstance(delay, float) for delay in self.retry_delay):
            self.retry_delay = [float(delay) for delay in self.retry_delay]

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        return with_new_names(given)


def with_new_names(given: dict[str, Any]) -> dict[str, Any]:
    """A run's policy as it was sent, with what came under old names under the new ones as well."""
    given = dict(given)
    if not given.get("retries") and given.get("max_retries", 0) != 0:
        given["retries"] = given["max_retries"]
    if not given.get("retry_delay") and given.get("retry_delay_seconds", 0) != 0:
        given["retry_delay"] = given["retry_delay_seconds"]
    return given


class TaskRunSnapshot(TrackedRun):
    """The columns of a task run that its rules look at and change, in the order in which a select gives them."""

    empirical_policy: TaskRunPolicy
    flow_run_id: str | None
    flow_run_run_count: int
    tags: list[str]


class TaskTransition(Transition[TaskRunSnapshot, TaskFacts]):
    """A transition of a task run; its flow run is read at most once."""

    __slots__ = ("_flow_run",)

    def __init__(
        self,
        run: TaskRunSnapshot,
        initial: State | None,
        proposed: State,
        facts: TaskFacts,
        *,
        now: datetime | None = None,
        api_version: str | None = None,
        client_version: str | None = None,
        settings: RuleSettings = DEFAULT_SETTINGS,
    ) -> None:
        super().__init__(
            run,
            initial,
            proposed,
            facts,
            now=now,
            api_version=api_version,
            client_version=client_version,
            settings=settings,
        )
        self._flow_run: EnclosingFlowRun | None = None

    def flow_run(self) -> EnclosingFlowRun | None:
        """The run's flow run; None if it has none or it is gone."""
        if self._flow_run is None and self.run.flow_run_id is not None:
            self._flow_run = self.facts.flow_run(self.run.flow_run_id)
        return self._flow_run


@rule()
def name_task_run(t: TaskTransition, initial: State | None, proposed: State) -> None:
    """The state's details name its task run and the flow run that it belongs to."""
    proposed.state_details.flow_run_id = t.run.flow_run_id
    proposed.state_details.task_run_id = t.run.id


@rule(entering={RUNNING})
def count_run(t: TaskTransition, initial: State | None, proposed: State) -> None:
    """run_count counts how often the run was RUNNING."""
    t.run.run_count += 1


TASK_TRACKING = (*COMMON_TRACKING, name_task_run, count_run)
