"""The services that bring flow runs to a state that nobody else will. Each round is over what is due now."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.flow_runs import catch_up, children, heartbeats
from lictor.flow_runs.heartbeats import Patience
from lictor.flow_runs.policies import MARK_LATE
from lictor.flow_runs.store import Subject
from lictor.flow_runs.sweeping import Sweep, Then
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.withdrawals import STANDING
from lictor.kit import clock
from lictor.loops import Service
from lictor.states import constructors
from lictor.states.types import State, StateDetails
from lictor.task_runs import unfinished
from lictor.task_runs.transitions import TaskOrchestration


class Due(Struct):
    """A run in the state that makes it due."""

    id: str
    state_id: str


class Paused(Struct):
    id: str
    state_id: str
    state_details: StateDetails


# Runs in a round; a service that found as many goes on at once.
ROUND = 500

# A run that has ended may be run again, with the heartbeats that it had.
FORGET_AFTER = timedelta(hours=1)

LATE = sql(
    "flow_runs.late",
    Due,
    f"""
    select r.id, r.state_id from flow_run r
    where r.state_type = 'SCHEDULED' and r.state_name = 'Scheduled' and r.next_scheduled_start_time <= {{ts:before}}
    and {STANDING}
    order by r.next_scheduled_start_time limit :limit
    """,
)
PAUSED = sql(
    "flow_runs.paused",
    Paused,
    """
    select r.id, r.state_id, s.state_details from flow_run r join flow_run_state s on s.id = r.state_id
    where r.state_type = 'PAUSED' and r.id > {uuid:after} order by r.id limit :limit
    """,
)
LONG_CANCELLING = sql(
    "flow_runs.long_cancelling",
    Due,
    """
    select id, state_id from flow_run where state_type = 'CANCELLING' and state_timestamp <= {ts:before}
    order by id limit :limit
    """,
)


class LateRuns(Service):
    """Marks runs Late that have not started so long after their time; those that wait for something else are not late.

    Where the deployment cancels what comes while all its slots are taken, the run is cancelled instead.
    """

    name = "late-runs"
    batch = ROUND

    def __init__(self, db: Database, orchestration: Orchestration, after: timedelta, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._after = after
        self._sweep = Sweep(db, orchestration, _late, policy=MARK_LATE)

    async def run_once(self) -> int:
        return await self._sweep.over(await self._db.read(late, clock.now() - self._after, self.batch))


def late(tx: Tx, before: datetime, limit: int) -> list[Due]:
    """Runs whose time was before this, and that nobody has taken: those that wait longest first."""
    return tx.all(LATE, before=before, limit=limit)


def _late(subject: Subject) -> State | None:
    at = subject.run.next_scheduled_start_time
    return None if at is None else constructors.late(at)


class OvertakenRuns(Service):
    """Skips runs that piled up, where newer ones are to be started in their place; `catch_up` tells which."""

    name = "overtaken-runs"
    batch = ROUND

    def __init__(self, db: Database, orchestration: Orchestration, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._catch_up = orchestration.catch_up
        self._sweep = Sweep(db, orchestration, lambda _subject: catch_up.skipped())

    async def run_once(self) -> int:
        return await self._sweep.over(await self._db.read(catch_up.overtaken, self._catch_up, clock.now(), self.batch))


class PauseExpirations(Service):
    """Fails paused runs that were to be resumed by now."""

    name = "pause-expirations"

    def __init__(self, db: Database, orchestration: Orchestration, interval: float = 5.0) -> None:
        super().__init__(interval)
        self._db = db
        self._sweep = Sweep(db, orchestration, _never_resumed, force=True)

    async def run_once(self) -> int:
        return await self._sweep.over(await self._db.read(expired_pauses))


NO_RUN = "00000000-0000-0000-0000-000000000000"


def expired_pauses(tx: Tx) -> list[Paused]:
    now, expired, after = clock.now(), [], NO_RUN
    while page := tx.all(PAUSED, after=after, limit=ROUND):
        expired += [one for one in page if _expired(one.state_details, now)]
        after = page[-1].id
    return expired


def _expired(details: StateDetails, now: datetime) -> bool:
    return details.pause_timeout is not None and details.pause_timeout < now


def _never_resumed(subject: Subject) -> State:
    return constructors.failed(message="The flow was paused and never resumed.")


class CancellationCleanup(Service):
    """Ends runs that stay Cancelling for too long, and what is left of runs that were cancelled."""

    name = "cancellation-cleanup"
    batch = ROUND

    def __init__(
        self,
        db: Database,
        orchestration: Orchestration,
        tasks: TaskOrchestration,
        timeout: timedelta,
        interval: float = 20.0,
        *,
        timed_out: Then | None = None,
    ) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration
        self._tasks = tasks
        self._timeout = timeout
        self._overdue = Sweep(db, orchestration, _cancelled_at_last, then=timed_out)

    async def run_once(self) -> int:
        done = await self._overdue.over(await self._db.read(long_cancelling, clock.now() - self._timeout, ROUND))
        left = {child.id: child for child in await self._db.read(children.of_cancelled, ROUND)}
        sweep = Sweep(self._db, self._orchestration, lambda subject: left[subject.run.id].cancelled(), force=True)
        done += await sweep.over(list(left.values()))
        return done + await unfinished.end_all(self._db, self._tasks, await self._db.read(unfinished.cancelled, ROUND))


def long_cancelling(tx: Tx, before: datetime, limit: int) -> list[Due]:
    """Runs that have been CANCELLING since before this."""
    return tx.all(LONG_CANCELLING, before=before, limit=limit)


def _cancelled_at_last(subject: Subject) -> State:
    return constructors.cancelled(message="Flow run cancellation timed out; marked this flow run as Cancelled.")


class DeadRuns(Service):
    """Crashes runs whose process has died without a word, which frees what they hold; `heartbeats` tells how it knows.

    It never touches a run that has ended, or of which there was any word in time.
    """

    name = "dead-runs"

    def __init__(
        self, db: Database, orchestration: Orchestration, patience: Patience | None = None, interval: float = 15.0
    ) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration
        self._patience = patience or Patience()

    async def run_once(self) -> int:
        dead = {run.id: run for run in await self._db.read(heartbeats.dead, self._patience)}
        sweep = Sweep(self._db, self._orchestration, lambda subject: dead[subject.run.id].ended())
        done = await sweep.over(list(dead.values()))
        before = clock.now() - FORGET_AFTER
        if await self._db.read(heartbeats.ended, before):
            await self._db.write(heartbeats.forget_ended, before, ROUND)
        return done


class Unfinished(Service):
    """Gives those an end who did not tell theirs: task runs, and subflows in the same process, of runs that have ended.

    Only when nothing was heard of them for a while; an end of their own that still comes takes the place of this one.
    """

    name = "unfinished"
    batch = ROUND

    def __init__(
        self,
        db: Database,
        orchestration: Orchestration,
        tasks: TaskOrchestration,
        grace: timedelta,
        interval: float = 20.0,
    ) -> None:
        super().__init__(interval)
        self._db = db
        self._orchestration = orchestration
        self._tasks = tasks
        self._grace = grace

    async def run_once(self) -> int:
        silent_since = clock.now() - self._grace
        left = {child.id: child for child in await self._db.read(children.lost, silent_since, ROUND)}
        sweep = Sweep(self._db, self._orchestration, lambda subject: left[subject.run.id].lost(), force=True)
        done = await sweep.over(list(left.values()))
        tasks = await self._db.read(unfinished.silent, silent_since, ROUND)
        return done + await unfinished.end_all(self._db, self._tasks, tasks)
