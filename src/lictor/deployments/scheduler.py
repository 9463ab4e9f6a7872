"""Making the runs of schedules ahead of time.

A round reads the schedules that are *due* (an index, so nothing is read where nothing is to be done), works out their
dates outside any transaction, and writes the runs together with when the schedule is due next. Each schedule knows the
dates that it has runs for, so a round only makes what is new.

**No run of an old schedule, and none twice.** Whoever changes, pauses or deletes a schedule or its deployment holds the
deployment locked, counts the schedules' `revision` up, and then deletes the runs that were planned. The scheduler locks
the deployments too, and makes nothing for a schedule whose revision is not the one that it worked with. So either its
runs are there before the change deletes them, or it finds that there was a change. Dates up to `planned_until` are
never looked at again, whatever a clock says; and the runs' keys would still keep a second one out.

**Runs that disappear**, because somebody deleted them, are missed by the auditor: a schedule whose last planned run is
not there any more is planned anew.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw, Struct

from lictor.db import Tx, sql
from lictor.deployments import store
from lictor.deployments.schedule_types import class_name, dates, parsed
from lictor.deployments.store import TOPIC, Deployment
from lictor.flow_runs import planned
from lictor.flow_runs.planned import Template
from lictor.kit import clock, times

log = logging.getLogger(__name__)

# A schedule without dates in sight is looked at once a day, or more often where nobody looks that far ahead.
LOOK_AGAIN = timedelta(days=1)
# A date that came while a new schedule waited for its round is not left out.
JUST_NOW = timedelta(seconds=1)
_NOTHING = (timedelta(0), datetime.min.replace(tzinfo=UTC))


class Horizon(Struct, frozen=True):
    """How far ahead runs are made: at least so many and so long, at most so many and so long."""

    min_runs: int
    max_runs: int
    min_time: timedelta
    max_time: timedelta


class Due(Struct):
    """A schedule for which there is something to do."""

    id: str
    deployment_id: str
    revision: int
    schedule: Raw
    planned: list[datetime]
    planned_until: datetime


class Plan(Struct):
    """What is to be made for a schedule: runs for `new`, after which it has runs for `planned` and is due at `due`."""

    of: Due
    new: list[datetime]
    planned: list[datetime]
    due: datetime


class Source(Struct):
    """What runs take from their schedule; `parameters` is a JSON object."""

    id: str
    deployment_id: str
    revision: int
    schedule: Raw
    parameters: Raw
    slug: str | None


DUE = sql(
    "scheduler.due",
    Due,
    """
    select id, deployment_id, revision, schedule, planned, planned_until from deployment_schedule
    where due <= {ts:now} order by due, id limit :limit
    """,
)
_SOURCE = "s.id, s.deployment_id, s.revision, s.schedule, s.parameters, s.slug"
SOURCES = sql(
    "scheduler.sources",
    Source,
    f"""
    select {_SOURCE} from deployment_schedule s join deployment d on d.id = s.deployment_id
    where s.id {{in:ids:uuid}} and s.active and not d.paused
    """,
)
ACTIVE = sql(
    "scheduler.active",
    Source,
    f"""
    select {_SOURCE} from deployment_schedule s where s.deployment_id = :deployment_id and s.active
    order by s.updated desc, s.id desc
    """,
)
PLANNED = sql(
    "scheduler.planned",
    None,
    """
    update deployment_schedule set revision = revision + 1, planned = :planned, planned_until = {ts:planned_until},
        due = {ts:due} where id = :id
    """,
)
# The last date that a schedule has a run for tells whether the runs are there: any run of the deployment for it will
# do.
# Asked of one schedule after another (`limit`): as a join, all runs that there ever were would be read.
LOST = sql(
    "scheduler.lost",
    Due,
    """
    select s.id, s.deployment_id, s.revision, s.schedule, s.planned, s.planned_until from deployment_schedule s
    where s.due > {ts:now} and s.planned_until > {ts:now} and (
        select r.id from flow_run r
        where r.deployment_id = s.deployment_id and r.expected_start_time = s.planned_until and r.auto_scheduled limit 1
    ) is null
    limit :limit
    """,
)
FORGET = sql(
    "scheduler.forget",
    None,
    """
    update deployment_schedule set revision = revision + 1, planned = '[]', planned_until = {ts:now}, due = {ts:now}
    where id = :id and revision = :revision
    """,
)


def due(tx: Tx, limit: int) -> list[Due]:
    """The schedules that are due, those first that have been for longest."""
    return tx.all(DUE, now=clock.now(), limit=limit)


def plan(of: Due, horizon: Horizon, now: datetime, shared: Shared | None = None) -> Plan:
    """Pure: what to make now, so that there are runs as far ahead as the horizon asks for."""
    ahead = [date for date in of.planned if date > now]
    enough_until, end = now + horizon.min_time, now + horizon.max_time
    if shared is not None and of.planned_until <= now:
        coming = shared.after(of, end)
    else:
        coming = _after(of, max(now - JUST_NOW, of.planned_until), end)
    new: list[datetime] = []
    while not _enough(ahead, horizon.min_runs, enough_until) and len(ahead) < max(horizon.max_runs, 1):
        date = next(coming, None)
        if date is None:
            break
        ahead.append(date)
        new.append(date)
    return Plan(of, new, ahead, _next_look(ahead, horizon, now))


def plan_all(found: list[Due], horizon: Horizon, now: datetime) -> list[Plan]:
    """Where several begin now and say the same, as after a redeployment, one is planned and the others alike."""
    shared, known, end = Shared(now), dict[tuple[bytes, datetime | None], Plan](), now + horizon.max_time
    plans = []
    for one in found:
        if one.planned_until > now:
            plans.append(plan(one, horizon, now))
            continue
        said = bytes(one.schedule), next(shared.after(one, end), None)
        like = known.get(said)
        if like is None:
            like = known[said] = plan(one, horizon, now, shared)
        plans.append(Plan(one, like.new, like.planned, like.due))
    return plans


def alike_together(plans: list[Plan]) -> list[Plan]:
    """In the order of their rhythm and then of their dates: runs that are written together for the same dates lie on
    fewer pages of the indexes by date."""
    return sorted(plans, key=lambda one: (one.new[-1] - one.new[0], one.new[0]) if one.new else _NOTHING)


class Shared:
    """The dates of schedules that begin now, worked out once where several say the same."""

    def __init__(self, now: datetime) -> None:
        self._start = now - JUST_NOW
        self._known: dict[bytes, tuple[list[datetime], Iterator[datetime]]] = {}

    def after(self, of: Due, end: datetime) -> Iterator[datetime]:
        """The dates that are not planned yet, of a schedule that has no plan beyond now."""
        schedule = bytes(of.schedule)
        if schedule not in self._known:
            self._known[schedule] = [], _dates(of, self._start, end)
        made, rest = self._known[schedule]
        for place in itertools.count():
            if place == len(made):
                date = next(rest, None)
                if date is None:
                    return
                made.append(date)
            if made[place] > of.planned_until:
                yield made[place]


def _after(of: Due, start: datetime, end: datetime) -> Iterator[datetime]:
    """The dates that are not planned yet."""
    return (date for date in _dates(of, start, end) if date > of.planned_until)


def _dates(of: Due, start: datetime, end: datetime) -> Iterator[datetime]:
    try:
        for date in dates(parsed(bytes(of.schedule)), start, end):
            if date > end:
                return
            yield date
    except (ValueError, ArithmeticError, LookupError) as error:
        # One schedule that makes no sense must not hold up all others.
        log.warning("schedule %s of deployment %s has no dates: %s", of.id, of.deployment_id, error)


def _enough(ahead: list[datetime], min_runs: int, until: datetime) -> bool:
    return bool(ahead) and len(ahead) >= min_runs and ahead[-1] >= until


def _next_look(ahead: list[datetime], horizon: Horizon, now: datetime) -> datetime:
    if _enough(ahead, horizon.min_runs, now + horizon.min_time):
        until_time_is_short = ahead[-1] - horizon.min_time
        return min(until_time_is_short, ahead[-horizon.min_runs]) if horizon.min_runs else until_time_is_short
    if len(ahead) >= horizon.max_runs > 0:
        return ahead[len(ahead) // 2]
    return now + min(LOOK_AGAIN, max(horizon.max_time / 2, timedelta(seconds=1)))


def carry_out(tx: Tx, plans: list[Plan]) -> int:
    """Make what was planned, for schedules that are still as they were read; returns how many runs are new."""
    deployments = _locked(tx, [one.of.deployment_id for one in plans])
    sources = {source.id: source for source in tx.all(SOURCES, ids=[one.of.id for one in plans])}
    valid = [
        (one, source, deployments[source.deployment_id])
        for one in plans
        if (source := sources.get(one.of.id)) and source.revision == one.of.revision
        and source.deployment_id in deployments
    ]  # fmt: skip
    made = planned.insert_all(tx, [(template(of, source), one.new) for one, source, of in valid if one.new])
    tx.many(PLANNED, [_planned(one) for one, _, _ in valid])
    return made


def _locked(tx: Tx, deployment_ids: list[str]) -> dict[str, Deployment]:
    return {row.id: row for row in store.lock_all(tx, sorted(set(deployment_ids)))}


def _planned(one: Plan) -> dict[str, Any]:
    return {
        "id": one.of.id,
        "planned": msgspec.json.encode(one.planned).decode(),
        "planned_until": one.planned[-1] if one.planned else one.of.planned_until,
        "due": one.due,
    }


def template(deployment: Deployment, source: Source) -> Template:
    """What the runs of a schedule have in common."""
    schedule = parsed(bytes(source.schedule))
    parameters = msgspec.json.decode(deployment.parameters) | msgspec.json.decode(source.parameters)
    labels = (msgspec.json.decode(deployment.labels) or {}) | {
        "prefect.flow.id": deployment.flow_id,
        "prefect.deployment.id": deployment.id,
    }
    made_by = {"id": source.id, "type": "SCHEDULE", "display_value": source.slug or class_name(schedule)}
    return Template(
        flow_id=deployment.flow_id,
        deployment_id=deployment.id,
        schedule_id=source.id,
        deployment_version=deployment.version,
        work_queue_id=deployment.work_queue_id,
        work_queue_name=deployment.queue_name or deployment.work_queue_name,
        infrastructure_document_id=deployment.infrastructure_document_id,
        parameters=_text(parameters),
        tags=_text(["auto-scheduled", *deployment.tags]),
        labels=_text(labels),
        created_by=_text(made_by),
        timezone=schedule.timezone,
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def lost(tx: Tx, limit: int) -> list[Due]:
    """Schedules whose planned runs are not there any more."""
    return tx.all(LOST, now=clock.now(), limit=limit)


def forget(tx: Tx, found: list[Due]) -> int:
    """Have these planned anew; returns how many were still as they were read."""
    now = clock.now()
    forgotten = sum(tx.run(FORGET, id=one.id, revision=one.revision, now=now) for one in found)
    tx.tell(TOPIC)
    return forgotten


def schedule_runs(
    tx: Tx,
    deployment_id: str,
    horizon: Horizon,
    start: datetime,
    end: datetime,
) -> int:
    """Make the runs of the deployment's active schedules for a time that somebody asks for, past or to come; none for a
    deployment that is not there."""
    deployment = _locked(tx, [deployment_id]).get(deployment_id)
    if deployment is None:
        return 0
    wanted = []
    for source in tx.all(ACTIVE, deployment_id=deployment_id):
        blank = Due(source.id, deployment_id, source.revision, source.schedule, [], times.later(start, -1e-6))
        found: list[datetime] = []
        enough_until = times.later(start, horizon.min_time.total_seconds())
        for date in _after(blank, start, end):
            found.append(date)
            if len(found) >= horizon.max_runs or _enough(found, horizon.min_runs, enough_until):
                break
        wanted.append((template(deployment, source), found))
    return planned.insert_all(tx, wanted)
