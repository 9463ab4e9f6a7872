"""The rules about the states of task runs.

Each says in its first sentence what it holds to be true; `policies` puts them in order. What they answer, word for
word, is what the reference answers.
"""

from __future__ import annotations

from lictor.kit import times
from lictor.kit.errors import ObjectNotFound
from lictor.states import constructors
from lictor.states.decisions import Exit, rule
from lictor.states.types import (
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    TERMINAL,
    State,
    persisted_result,
)
from lictor.states.waits import clamped_poisson
from lictor.task_runs.effects import CacheState, Enqueue, ReleaseTagSlots
from lictor.task_runs.facts import TagLimit
from lictor.task_runs.tracking import TaskRunPolicy, TaskTransition

FLOW_MUST_RUN = "The enclosing flow must be running to begin task execution."


@rule(entering={RUNNING})
def use_cached_state(t: TaskTransition, initial: State | None, proposed: State) -> None:
    """A task whose result is cached does not run: it enters the cached state."""
    details = proposed.state_details
    if not details.cache_key or details.refresh_cache:
        return
    cached = t.facts.cached_state(details.cache_key, t.now)
    if cached is not None:
        state = constructors.fresh_copy(cached, now=t.now)
        state.name = "Cached"
        t.reject(state, "Retrieved state from cache")


@rule(leaving=TERMINAL)
def guard_terminal_states(t: TaskTransition, initial: State, proposed: State) -> Exit:
    """A task that has ended stays so, unless it is run again; one with a kept result is not.

    What is run again has all its retries again.
    """
    if proposed.type in (CANCELLING, PAUSED, CRASHED):
        t.abort(f"Run is already {initial.type}.")
        return
    if initial.type == COMPLETED and persisted_result(initial.data):
        t.reject(None, "This run is already completed.")
        return
    before = t.run.run_count
    if proposed.type not in TERMINAL:
        t.run.run_count = 0
    if proposed.type == RUNNING:
        _name_after_flow_retry(t, proposed)
    yield
    if not t.kept:
        t.run.run_count = before


def _name_after_flow_retry(t: TaskTransition, proposed: State) -> None:
    flow_run = t.flow_run()
    if flow_run is not None and t.run.flow_run_run_count < flow_run.run_count:
        proposed.name = "Retrying"


@rule(entering={RUNNING})
def run_inside_running_flow(t: TaskTransition, initial: State | None, proposed: State) -> None:
    """A task runs only while its flow runs; while that is paused, the task is too."""
    flow_run = t.flow_run()
    if flow_run is None or flow_run.state_type == RUNNING:
        return
    if flow_run.state_type != PAUSED:
        t.abort(FLOW_MUST_RUN)
        return
    details = flow_run.state_details
    state = constructors.paused(
        "NotReady",
        timeout=details.pause_timeout if details else None,
        reschedule=bool(details and details.pause_reschedule),
        now=t.now,
    )
    t.reject(state, f"The flow is paused, new tasks can execute after resuming flow run: {flow_run.id}.")


@rule(entering={RUNNING})
def take_tag_slots(t: TaskTransition, initial: State | None, proposed: State) -> Exit:
    """A task runs only with a slot of every limit on its tags, all taken at once; without it waits."""
    limits = t.facts.tag_limits(t.run.tags) if t.run.tags else []
    if not limits:
        return
    for limit in limits:
        if limit.limit == 0:
            deadlock = "is 0 and will deadlock if the task tries to run again."
            t.abort(f'The concurrency limit on tag "{limit.tag}" {deadlock}')
            return
    lease_id = t.facts.acquire_tag_slots([limit.id for limit in limits], t.run.id)
    if lease_id is None:
        tags = ", ".join(limit.tag for limit in limits)
        t.wait(_seconds_until_a_slot(t, limits), f"Concurrency limit reached for tags: {tags}")
        return
    yield
    if not t.kept:
        t.facts.release_tag_slots(lease_id)


def _seconds_until_a_slot(t: TaskTransition, limits: list[TagLimit]) -> int:
    # Drawn at random around the time that a slot is held, or all that wait would come back at once.
    at_most = t.settings.tag_slot_wait_seconds
    fullest = max(limits, key=lambda limit: limit.active_slots / limit.limit)
    return round(clamped_poisson(min(fullest.average_seconds or at_most, at_most)))


@rule(leaving={SCHEDULED, PENDING}, entering={PENDING, RUNNING})
def copy_parameters_id(t: TaskTransition, initial: State, proposed: State) -> None:
    """The id of a deferred task's parameters goes on to its PENDING and RUNNING states, unless they name another."""
    if proposed.state_details.task_parameters_id is None:
        proposed.state_details.task_parameters_id = initial.state_details.task_parameters_id


@rule(leaving={RUNNING}, entering={FAILED})
def retry(t: TaskTransition, initial: State, proposed: State) -> None:
    """A task that fails awaits a retry as long as it has retries left, unless its client says not to."""
    policy = t.run.empirical_policy
    if proposed.state_details.retriable is False or policy.retries is None or t.run.run_count > policy.retries:
        return
    at = times.later(t.now, _retry_delay(policy, t.run.run_count))
    state = constructors.awaiting_retry(at, message=proposed.message, data=proposed.data, now=t.now)
    t.reject(state, "Retrying")


def _retry_delay(policy: TaskRunPolicy, run_count: int) -> float:
    delay = policy.retry_delay or 0
    if isinstance(delay, list):
        delay = delay[min(run_count, len(delay)) - 1]
    if policy.retry_jitter_factor and delay > 0:
        return clamped_poisson(delay, policy.retry_jitter_factor)
    return delay


@rule(entering={RUNNING})
def name_reruns(t: TaskTransition, initial: State | None, proposed: State) -> None:
    """A task that runs again is Retrying if it was to be retried, else Rerunning."""
    if initial is not None and t.run.run_count > 0:
        proposed.name = "Retrying" if initial.name == "AwaitingRetry" else "Rerunning"


@rule(entering={RUNNING})
def note_flow_run_count(t: TaskTransition, initial: State | None, proposed: State) -> Exit:
    """A task that runs notes which attempt of its flow it belongs to."""
    yield
    if not t.kept or t.run.flow_run_id is None:
        return
    flow_run = t.flow_run()
    if flow_run is None:
        raise ObjectNotFound(
            f"Unable to read flow run associated with task run: {t.run.id}, this flow run might have been deleted"
        )
    t.run.flow_run_run_count = flow_run.run_count


@rule(entering={COMPLETED})
def cache_state(t: TaskTransition, initial: State | None, proposed: State) -> Exit:
    """A COMPLETED state with a cache_key is cached; a key that is too long is complained of, but used."""
    key = proposed.state_details.cache_key
    if not key:
        return
    longest = t.settings.max_cache_key_length
    if len(key) > longest:
        t.reject(proposed, f"Cache key exceeded maximum allowed length of {longest} characters.")
    yield
    if t.kept:
        t.effects.append(CacheState(key, proposed.state_details.cache_expiration, proposed.id))


@rule(always=True)
def give_tag_slots_back(t: TaskTransition, initial: State | None, proposed: State | None) -> Exit:
    """A task that enters any state but RUNNING and CANCELLING gives back the slots of its tags' limits."""
    yield
    if t.run.tags and t.proposed is not None and t.proposed.type not in (RUNNING, CANCELLING):
        t.effects.append(ReleaseTagSlots(tuple(t.run.tags)))


@rule(entering={SCHEDULED})
def enqueue_deferred(t: TaskTransition, initial: State | None, proposed: State) -> Exit:
    """A deferred task that is SCHEDULED is offered to those who run such tasks."""
    yield
    if t.kept and proposed.state_details.deferred:
        t.effects.append(Enqueue(retry=proposed.name == "AwaitingRetry"))
