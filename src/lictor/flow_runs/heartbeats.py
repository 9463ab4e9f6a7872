"""Whether the process of a flow run lives: what is known of it, and when its silence means that it does not.

The SDK sends an event `prefect.flow-run.heartbeat` every PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds (180 unless set, 30
at least) while a flow runs; older ones send none. How far apart they come is learnt from the last three of an attempt.
A worker tells in an event which run it submits, and by its own heartbeats that it is there.

Silence counts from the last word of the run: a heartbeat, a state, a log, a state of one of its tasks; and not from
before somebody listened (`events.listening`). A run is taken for dead

* when it sent heartbeats, and then none for `missed` times their distance; half of that where its worker, which shared
  its machine, is gone, too;
* when it never sent any, its worker shared its machine and is gone, and nothing was heard of the run for `quiet`.

A worker shares its runs' machine when it is of type `process`; what others start lives on without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.events import listening
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event
from lictor.kit import clock, times
from lictor.states import constructors
from lictor.states.types import CANCELLING, State, StateType

HEARTBEAT = "prefect.flow-run.heartbeat"
SUBMITTED = "prefect.worker.submitted-flow-run"

LEAST_SECONDS = 30.0
"""The SDK's shortest distance between two heartbeats; two that come closer are of two processes."""

WORKER_SECONDS = 30.0
WORKERS_MISS = 3
SHARES_MACHINE = "process"

_FLOW_RUN = re.compile(r"prefect\.flow-run\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Patience(Struct, frozen=True):
    """`seconds` is how far apart heartbeats are taken to be while that is not known."""

    missed: float = 3.0
    seconds: float = 180.0
    quiet: timedelta = timedelta(seconds=300)


BEAT = sql(
    "flow_runs.beat",
    None,
    """
    insert into flow_run_heartbeat (flow_run_id, run_count, heard, beat)
    select id, run_count, {ts:heard}, {ts:beat} from flow_run where id = :id {for_key_share}
    on conflict (flow_run_id) do update set
        heard = excluded.heard,
        beat = excluded.beat,
        run_count = excluded.run_count,
        gap_before = case when flow_run_heartbeat.run_count = excluded.run_count then flow_run_heartbeat.gap end,
        gap = case when flow_run_heartbeat.run_count = excluded.run_count
            then {seconds:excluded.beat:flow_run_heartbeat.beat} end
    where flow_run_heartbeat.beat is null or flow_run_heartbeat.beat < excluded.beat
    """,
)
SUBMIT = sql(
    "flow_runs.submitted_by",
    None,
    """
    insert into flow_run_heartbeat (flow_run_id, worker_name, worker_type, work_pool_name)
    select id, {text:worker_name}, {text:worker_type}, {text:work_pool_name}
    from flow_run where id = :id {for_key_share}
    on conflict (flow_run_id) do update set worker_name = excluded.worker_name, worker_type = excluded.worker_type,
        work_pool_name = excluded.work_pool_name
    """,
)


class Silent(Struct):
    """A run that has said nothing for some time, and its worker's last word (None: of no worker that is known)."""

    id: str
    state_id: str
    state_type: StateType
    state_timestamp: datetime
    heard: datetime | None
    gap: float | None
    gap_before: float | None
    worker_name: str | None
    worker_type: str | None
    worker_heard: datetime | None
    worker_seconds: int | None

    def apart(self, patience: Patience) -> float:
        """How many seconds apart this run's heartbeats come."""
        if self.gap is None or self.gap_before is None:
            return max(patience.seconds, self.gap or 0.0)
        return max(self.gap, self.gap_before, LEAST_SECONDS)

    def worker_is_gone(self, now: datetime) -> bool:
        if self.worker_type != SHARES_MACHINE or self.worker_heard is None:
            return False
        seconds = WORKERS_MISS * (self.worker_seconds or WORKER_SECONDS)
        return now - self.worker_heard > timedelta(seconds=seconds)

    def limit(self, patience: Patience, now: datetime) -> timedelta | None:
        """How long this run may say nothing; None is for ever."""
        gone = self.worker_is_gone(now)
        if self.heard is None:
            return patience.quiet if gone else None
        return timedelta(seconds=self.apart(patience) * (patience.missed / 2 if gone else patience.missed))

    def last_word(self, listened_since: datetime) -> datetime:
        words = [self.state_timestamp, listened_since]
        if self.heard is not None:
            words.append(self.heard)
        elif self.worker_heard is not None:
            words.append(self.worker_heard)
        return max(words)

    def ended(self) -> State:
        """The state that it enters."""
        if self.state_type == CANCELLING:
            message = "The flow run's process has ended without a word while it was being cancelled."
            return constructors.cancelled(message=message)
        if self.heard is None:
            message = (
                f"The worker {self.worker_name!r} is gone, and nothing was heard of this run, which it started, since."
            )
        else:
            message = f"No heartbeat of this flow run has come since {times.text(self.heard)}: its process has died."
        return constructors.crashed(message=message)


SILENT = sql(
    "flow_runs.silent",
    Silent,
    """
    select h.flow_run_id, r.state_id, r.state_type, r.state_timestamp, h.heard, h.gap, h.gap_before, h.worker_name,
        h.worker_type, w.last_heartbeat_time, w.heartbeat_interval_seconds
    from flow_run_heartbeat h cross join flow_run r
    left join work_pool p on p.name = h.work_pool_name
    left join worker w on w.work_pool_id = p.id and w.name = h.worker_name
    where r.id = h.flow_run_id
    and r.state_type in ('PENDING', 'RUNNING', 'CANCELLING') and r.state_timestamp < {ts:before}
    and (h.heard < {ts:before} or h.heard is null and w.last_heartbeat_time < {ts:before})
    """,
)
SPOKE = sql(
    "flow_runs.spoke_since",
    int,
    """
    select 1 where exists (select 1 from log l where l.flow_run_id = :id and l.timestamp > {ts:since})
    or exists (select 1 from task_run t where t.flow_run_id = :id and t.updated > {ts:since})
    """,
)
# Of few runs a heartbeat is kept, and there are very many that have ended. SQLite, which cannot know that, keeps to the
# order of a cross join.
_ENDED = """
    from flow_run_heartbeat h cross join flow_run r
    where r.id = h.flow_run_id
    and r.state_type in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') and r.state_timestamp < {ts:before}"""
ENDED = sql("flow_runs.ended_heartbeats", int, f"select 1 {_ENDED} limit 1")
FORGET = sql(
    "flow_runs.forget_heartbeats",
    None,
    f"delete from flow_run_heartbeat where flow_run_id in (select h.flow_run_id {_ENDED} limit :limit)",
)


def note(tx: Tx, events: Iterable[Event]) -> None:
    """Keep what events tell of runs' processes: in the transaction that stores the events."""
    beats = [event for event in events if event.event in (HEARTBEAT, SUBMITTED)]
    if not beats:
        return
    heard = clock.now()
    rows = [row for event in beats if (row := _beat(event, heard)) is not None]
    # In one order, whoever else writes the same rows.
    tx.many(BEAT, sorted(rows, key=lambda row: (row["id"], row["beat"])))
    submitted = [row for event in beats if (row := _submitted(event)) is not None]
    tx.many(SUBMIT, sorted(submitted, key=lambda row: str(row["id"])))


def _beat(event: Event, heard: datetime) -> dict[str, Any] | None:
    run_id = _flow_run_id(event.resource[RESOURCE_ID])
    if event.event != HEARTBEAT or run_id is None:
        return None
    return {"id": run_id, "heard": times.text(heard), "beat": times.text(event.occurred)}


def _submitted(event: Event) -> dict[str, Any] | None:
    if event.event != SUBMITTED:
        return None
    by_role = {labels.get(RESOURCE_ROLE): labels for labels in event.related}
    run_id = _flow_run_id(by_role.get("flow-run", {}).get(RESOURCE_ID, ""))
    if run_id is None:
        return None
    # prefect.worker.<type>.<a form of the name>
    kind = event.resource[RESOURCE_ID].split(".")
    return {
        "id": run_id,
        "worker_name": event.resource.get(RESOURCE_NAME),
        "worker_type": event.resource.get("prefect.worker-type") or (kind[2] if len(kind) > 2 else None),
        "work_pool_name": by_role.get("work-pool", {}).get(RESOURCE_NAME),
    }


def _flow_run_id(resource_id: str) -> str | None:
    found = _FLOW_RUN.fullmatch(resource_id)
    return found[1] if found else None


def dead(tx: Tx, patience: Patience) -> list[Silent]:
    """The runs whose silence means that they are dead; none while nobody listens."""
    now, listened_since = clock.now(), listening.since(tx)
    if listened_since is None:
        return []
    before = now - timedelta(seconds=LEAST_SECONDS)
    return [one for one in tx.all(SILENT, before=before) if _is_dead(tx, one, patience, now, listened_since)]


def _is_dead(tx: Tx, run: Silent, patience: Patience, now: datetime, listened_since: datetime) -> bool:
    limit = run.limit(patience, now)
    if limit is None or now - run.last_word(listened_since) <= limit:
        return False
    return tx.value(SPOKE, id=run.id, since=now - limit) is None


def ended(tx: Tx, before: datetime) -> bool:
    """Whether there is anything to forget."""
    return tx.value(ENDED, before=before) is not None


def forget_ended(tx: Tx, before: datetime, limit: int) -> int:
    """Forget the heartbeats of runs that ended before this."""
    return tx.run(FORGET, before=before, limit=limit)
