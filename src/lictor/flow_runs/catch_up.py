"""What becomes of scheduled runs that piled up while nobody took them: which of them may still start.

All of them, unless a policy says how many: of the server, or of the deployment, which names it in a setting of the
server or in a tag of its own (`catch-up:latest_only`), since that is what any client can set. It is about runs that
schedules made and that have not begun.

Such a run is *overtaken* when as many newer ones of its deployment, with the same parameters, have come due as the
policy lets start. That depends on dates alone, not on what became of the newer ones: once true it stays true, and
everybody finds the same, in whatever order and however many look at once. So the newest is never skipped, and an older
one cannot start beside it: a service skips those that wait, and one that a worker has in hand already is refused.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.flow_runs.aside import parameters_of
from lictor.flow_runs.store import Subject
from lictor.flow_runs.tracking import FlowTransition
from lictor.kit import clock
from lictor.kit.catch_up import Policy, parsed
from lictor.states import constructors
from lictor.states.decisions import rule
from lictor.states.types import PENDING, RUNNING, SCHEDULED, State, StateType

TAG = "catch-up:"
SKIPPED = "Skipped"
MESSAGE = (
    "This run had not begun when newer scheduled runs of its deployment came due, and the catch-up policy starts only"
    " the newest."
)


class CatchUp(Struct, frozen=True):
    """The server's policy, and those of deployments ("flow/deployment"), which come before their own tags."""

    policy: Policy = Policy()
    deployments: dict[str, Policy] = {}

    def of(self, deployment: str, tags: list[str]) -> Policy:
        """A tag that names no policy counts for nothing; of several the most generous one counts."""
        if deployment in self.deployments:
            return self.deployments[deployment]
        own = [policy for tag in tags if (policy := _named(tag)) is not None]
        return max(own, key=lambda policy: policy.newest or float("inf"), default=self.policy)


def _named(tag: str) -> Policy | None:
    try:
        return parsed(tag.removeprefix(TAG)) if tag.startswith(TAG) else None
    except ValueError:
        return None


class Waiting(Struct):
    """A run that has not begun."""

    id: str
    state_id: str


class Behind(Struct):
    """A deployment with runs that are due."""

    id: str
    name: str
    tags: list[str]


# Counted only as far as it matters.
_OVERTAKEN = f"""
    r.auto_scheduled and r.run_count = 0 and r.expected_start_time <= {{ts:now}} and (
        select count(*) from (
            select 1 from flow_run n
            where n.deployment_id = r.deployment_id and n.expected_start_time >= r.expected_start_time
            and n.expected_start_time <= {{ts:now}} and n.auto_scheduled
            and (n.expected_start_time > r.expected_start_time or n.id > r.id)
            and {parameters_of("n")} = {parameters_of("r")}
            limit {{int:newest}}
        ) newer
    ) >= {{int:newest}}"""
IS_OVERTAKEN = sql("catch_up.is_overtaken", int, f"select 1 from flow_run r where r.id = :id and {_OVERTAKEN}")
OVERTAKEN = sql(
    "catch_up.overtaken",
    Waiting,
    f"""
    select r.id, r.state_id from flow_run r {{by_index:ix_flow_run__waiting}}
    where r.deployment_id = :deployment_id and r.state_type = 'SCHEDULED' and {_OVERTAKEN}
    and (r.next_scheduled_start_time <= {{ts:now}} or r.state_name = 'AwaitingConcurrencySlot')
    order by r.expected_start_time, r.id limit :limit
    """,
)
BEHIND = sql(
    "catch_up.behind",
    Behind,
    """
    select d.id, f.name || '/' || d.name, d.tags from deployment d join flow f on f.id = d.flow_id
    where d.id in (
        select r.deployment_id from flow_run r {by_index:ix_flow_run__due}
        where r.state_type = 'SCHEDULED' and r.next_scheduled_start_time <= {ts:now} and r.auto_scheduled
    )
    order by d.id
    """,
)


def overtaken(tx: Tx, catch_up: CatchUp, now: datetime, limit: int) -> list[Waiting]:
    """The runs that are to be skipped, up to so many."""
    found = list[Waiting]()
    for deployment in tx.all(BEHIND, now=now):
        newest = catch_up.of(deployment.name, deployment.tags).newest
        if newest is not None and len(found) < limit:
            left = limit - len(found)
            found += tx.all(OVERTAKEN, deployment_id=deployment.id, newest=newest, now=now, limit=left)
    return found


def is_overtaken(tx: Tx, catch_up: CatchUp, subject: Subject, proposed: StateType) -> bool:
    """Whether a run that is about to begin may not."""
    run, around = subject.run, subject.around
    begins = run.state_type == SCHEDULED and proposed in (PENDING, RUNNING) and run.run_count == 0
    if not begins or around.deployment_name is None:
        return False
    newest = catch_up.of(f"{around.flow_name}/{around.deployment_name}", around.deployment_tags or []).newest
    return newest is not None and tx.value(IS_OVERTAKEN, id=run.id, newest=newest, now=clock.now()) is not None


def skipped(now: datetime | None = None) -> State:
    return constructors.cancelled(SKIPPED, message=MESSAGE, now=now)


@rule(leaving={SCHEDULED}, entering={PENDING, RUNNING})
def skip(t: FlowTransition, initial: State, proposed: State) -> None:
    """A run that was overtaken by newer ones does not begin: it is CANCELLED, and called Skipped."""
    t.reject(skipped(t.now), MESSAGE)
