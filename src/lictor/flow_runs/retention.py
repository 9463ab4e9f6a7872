"""How long flow runs are kept once they are over, and the service that deletes those whose time is up.

A run goes with its states, its task runs, its inputs and its artifacts, and its logs follow; runs that it started as
subflows stay until their own time is up. Subflows of a run that is kept are kept too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.flow_runs import changes
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.loops import Service
from lictor.states.types import TERMINAL

# Runs that are looked at in one transaction; how many of them are deleted in it is a setting.
PAGE = 500


# Deletes what others keep of runs, in the transaction that deletes them.
Forget = Callable[[Tx, list[str]], None]


class Keeping(Struct, frozen=True):
    """For how long: of a deployment ("flow/deployment"), else of a tag, else of a type of state, else in general; in
    seconds. The newest `last` runs of each deployment are kept for ever."""

    seconds: float
    deployments: dict[str, float] = {}
    tags: dict[str, float] = {}
    states: dict[str, float] = {}
    last: int = 0

    def shortest(self) -> float:
        return min([self.seconds, *self.deployments.values(), *self.tags.values(), *self.states.values()])

    def of(self, run: Over) -> float:
        """Of several tags the longest time counts."""
        if run.deployment in self.deployments:
            return self.deployments[run.deployment]
        tagged = [self.tags[tag] for tag in run.tags if tag in self.tags]
        return max(tagged) if tagged else self.states.get(run.state_type, self.seconds)


class Over(Struct):
    """A run that is over; `spare` unless it is one of the newest of its deployment."""

    id: str
    end_time: datetime
    state_type: str
    tags: list[str]
    deployment: str | None
    spare: bool


_TERMINAL = ", ".join(f"'{type_}'" for type_ in sorted(TERMINAL))
# The case keeps SQLite from going by the state, in which nearly all runs are: the time is to be gone by.
OVER = sql(
    "flow_runs.over",
    Over,
    f"""
    select r.id, r.end_time, r.state_type, r.tags, f.name || '/' || d.name,
        d.id is null or (
            select count(*) from (
                select 1 from flow_run n where n.deployment_id = r.deployment_id
                and n.expected_start_time > r.expected_start_time limit {{int:newest}}
            ) newer
        ) >= {{int:newest}}
    from flow_run r left join deployment d on d.id = r.deployment_id left join flow f on f.id = d.flow_id
    where r.end_time between {{ts:after}} and {{ts:before}}
        and (r.end_time > {{ts:after}} or r.id > {{uuid:after_id}})
        and r.parent_task_run_id is null and case when r.state_type in ({_TERMINAL}) then true else false end
    order by r.end_time, r.id limit {PAGE}
    """,
)


class Place(NamedTuple):
    """How far the history was gone through."""

    end_time: datetime
    id: str


class Round(NamedTuple):
    deleted: int
    # Where to go on; None at the end.
    place: Place | None


BEGIN = Place(datetime.min.replace(tzinfo=UTC), "00000000-0000-0000-0000-000000000000")


def due(tx: Tx, keeping: Keeping, now: datetime, place: Place) -> tuple[list[str], Place | None]:
    """The runs of one page that are past their time, and where the next page begins."""
    before = now - timedelta(seconds=keeping.shortest())
    page = tx.all(OVER, before=before, after=place.end_time, after_id=place.id, newest=keeping.last)
    gone = [run.id for run in page if run.spare and (now - run.end_time).total_seconds() >= keeping.of(run)]
    return gone, Place(page[-1].end_time, page[-1].id) if len(page) == PAGE else None


def expire(
    tx: Tx, orchestration: Orchestration, forget: Forget, keeping: Keeping, now: datetime, place: Place, most: int
) -> Round:
    """Delete up to `most` runs that are past their time."""
    gone, following = due(tx, keeping, now, place)
    chosen = gone[:most]
    if chosen:
        forget(tx, chosen)
        changes.delete_all(tx, orchestration, chosen)
    # What was left over is found at the same place again: what stands before it is gone or kept.
    return Round(len(chosen), place if len(gone) > most else following)


class RunRetention(Service):
    """Deletes runs past their time, some in each transaction, so that nobody waits long for the writer."""

    name = "run-retention"

    def __init__(
        self,
        db: Database,
        orchestration: Orchestration,
        keeping: Keeping,
        most: int,
        interval: float,
        *,
        forget: Forget = lambda _tx, _run_ids: None,
    ) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration
        self._keeping = keeping
        self._most = most
        self._forget = forget

    async def run_once(self) -> int:
        done, place, now = 0, BEGIN, clock.now()
        while True:
            deleted, following = await self._db.write(
                expire, self._orchestration, self._forget, self._keeping, now, place, self._most
            )
            done += deleted
            if following is None:
                return done
            place = following


class Preview(Struct):
    """What would be deleted."""

    runs: int = 0
    task_runs: int = 0
    states: int = 0
    logs: int = 0


BELONGING = sql(
    "flow_runs.belonging",
    Preview,
    """
    select
        (select count(*) from flow_run r where r.id {in:ids:uuid}),
        (select count(*) from task_run t where t.flow_run_id {in:ids:uuid}),
        (select count(*) from flow_run_state s where s.flow_run_id {in:ids:uuid})
            + (select count(*) from task_run_state s join task_run t on t.id = s.task_run_id
                where t.flow_run_id {in:ids:uuid}),
        (select count(*) from log l where l.flow_run_id {in:ids:uuid})
    """,
)


def preview(db: Database, keeping: Keeping, now: datetime) -> Preview:
    """What a round would delete, without deleting it."""
    found = Preview()
    place: Place | None = BEGIN
    while place is not None:
        gone, place = db.read_now(due, keeping, now, place)
        part = db.read_now(_belonging, gone)
        for name in Preview.__struct_fields__:
            setattr(found, name, getattr(found, name) + getattr(part, name))
    return found


def _belonging(tx: Tx, run_ids: list[str]) -> Preview:
    return tx.all(BELONGING, ids=run_ids)[0]
