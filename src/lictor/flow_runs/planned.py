"""Runs that are planned ahead for a schedule, many at once, and what becomes of them when their deployment changes.

Making one is no transition: there is no event, no rule, and no answer to wait for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from lictor import observed_states
from lictor.db import Tx, sql
from lictor.flow_runs import aside
from lictor.kit import clock, ids, names, times, zones
from lictor.states.types import SCHEDULED

MESSAGE = "Flow run scheduled"


class Template(Struct):
    """What the runs of one schedule have in common; `tags`, `parameters`, `labels` and `created_by` are JSON texts."""

    flow_id: str
    deployment_id: str
    schedule_id: str
    deployment_version: str | None
    work_queue_id: str | None
    work_queue_name: str | None
    infrastructure_document_id: str | None
    parameters: str
    tags: str
    labels: str
    created_by: str
    timezone: str | None


# A run that is there by its key is left alone. Neither is a date taken twice when schedules are replaced: a run that
# was made by one that is gone, and is under way already, stands for that date.
INSERT = sql(
    "flow_runs.insert_planned",
    None,
    """
    insert into flow_run (
        id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
        deployment_version, work_queue_id, work_queue_name, parameters, idempotency_key, tags, labels,
        expected_start_time, next_scheduled_start_time, auto_scheduled, infrastructure_document_id, created_by,
        job_variables
    )
    select
        {uuid:id}, {ts:now}, {ts:now}, {text:name}, {uuid:flow_id}, {uuid:state_id}, 'SCHEDULED', 'Scheduled', {ts:now},
        {uuid:deployment_id}, {text:deployment_version}, {uuid:work_queue_id}, {text:work_queue_name},
        {json:parameters}, {text:key}, {json:tags}, {json:labels}, {ts:date}, {ts:date}, true,
        {uuid:infrastructure_document_id}, {json:created_by}, '{}'
    where not exists (
        select 1 from flow_run other
        where other.deployment_id = {uuid:deployment_id} and other.expected_start_time = {ts:date}
        and other.auto_scheduled and not exists (
            select 1 from deployment_schedule s
            where s.deployment_id = {uuid:deployment_id} and cast(s.id as text) = other.created_by ->> 'id'
        )
    )
    on conflict (flow_id, idempotency_key) where idempotency_key is not null do nothing
    """,
)
INSERT_STATE = sql(
    "flow_runs.insert_planned_state",
    None,
    """
    insert into flow_run_state (id, flow_run_id, timestamp, type, name, message, state_details)
    select r.state_id, r.id, r.state_timestamp, 'SCHEDULED', 'Scheduled', {text:message}, {json:details}
    from flow_run r where r.id = {uuid:id}
    """,
)
INSERTED = sql("flow_runs.inserted", str, "select id from flow_run where id {in:ids:uuid}")

# The state's other index would do as well, were this a list of deployments; but it has all scheduled runs there are.
_PLANNED = """
    r.deployment_id = {uuid:deployment_id} and r.state_type = 'SCHEDULED' and r.run_count = 0"""
_MADE = "r.auto_scheduled and r.state_name <> 'AwaitingConcurrencySlot'"
# Written so that no index on it is taken: a deployment has fewer scheduled runs than there are runs to come.
_COMING = "coalesce(r.next_scheduled_start_time, r.expected_start_time) > :now"
_LOGGED = "exists (select 1 from log l where l.flow_run_id = r.id)"


def _bury(name: str, condition: str) -> Any:
    """Runs that have not begun have logs only if somebody tried to start them."""
    return sql(
        f"flow_runs.bury_{name}",
        None,
        f"""
        insert into run_tombstone (run_id, deleted) select r.id, {{ts:now}} from flow_run r
        where {condition} and {_LOGGED} on conflict (run_id) do nothing
        """,
    )


def _delete(name: str, condition: str) -> Any:
    return sql(f"flow_runs.delete_{name}", str, f"delete from flow_run as r where {condition} returning id")


_FUTURE = f"{_PLANNED} and {_MADE} and {_COMING}"
BURY_FUTURE, DELETE_FUTURE = _bury("future", _FUTURE), _delete("future", _FUTURE)
BURY_MADE, DELETE_MADE = _bury("made", f"{_PLANNED} and {_MADE}"), _delete("made", f"{_PLANNED} and {_MADE}")
BURY_PLANNED, DELETE_PLANNED = _bury("planned", _PLANNED), _delete("planned", _PLANNED)
MOVE = sql(
    "flow_runs.move_planned",
    None,
    """
    update flow_run set work_queue_id = {uuid:queue_id}, work_queue_name = {text:queue_name}, updated = {ts:now}
    where deployment_id = :deployment_id and state_type = 'SCHEDULED' and run_count = 0
    and work_queue_id is not distinct from {uuid:old_queue_id}
    """,
)


def key(deployment_id: str, schedule_id: str, local: datetime) -> str:
    """The idempotency key of a schedule's run, as the reference has it: with the date by the schedule's clocks."""
    return f"scheduled {deployment_id} {schedule_id} {local}"


def insert_all(tx: Tx, planned: list[tuple[Template, list[datetime]]]) -> list[str]:
    """A run for each date of each template, but for those that there are already; returns the ids of the new ones."""
    now = clock.now()
    rows = [row for template, dates in planned for row in _rows(template, dates, now)]
    if not rows:
        return []
    tx.many(INSERT, rows)
    tx.many(INSERT_STATE, rows)
    aside.put_planned(tx, rows)
    observed_states.note(tx, SCHEDULED, "Scheduled", now)
    return tx.all(INSERTED, ids=[row["id"] for row in rows])


def _rows(template: Template, dates: list[datetime], now: datetime) -> list[dict[str, Any]]:
    common = msgspec.structs.asdict(template)
    schedule_id, zone = common.pop("schedule_id"), zones.zone(common.pop("timezone"))
    common |= {"now": now, "message": MESSAGE, "large": aside.moved(common)}
    made = []
    for date in dates:
        local = date.astimezone(zone) if zone.key != "UTC" else date
        own = {
            "id": ids.new(),
            "state_id": ids.new(),
            "name": names.slug(),
            "key": key(template.deployment_id, schedule_id, local),
            "date": date,
            "details": f'{{"scheduled_time":"{times.wire(local)}"}}',
        }
        made.append(common | own)
    return made


def delete_future(tx: Tx, deployment_ids: list[str], now: datetime) -> int:
    """Delete the runs that schedules made for dates after `now` and that have not begun."""
    return _clear(tx, BURY_FUTURE, DELETE_FUTURE, deployment_ids, now)


def delete_made(tx: Tx, deployment_ids: list[str], now: datetime) -> int:
    """Likewise for any date, so late ones too."""
    return _clear(tx, BURY_MADE, DELETE_MADE, deployment_ids, now)


def delete_planned(tx: Tx, deployment_ids: list[str], now: datetime) -> int:
    """Delete all runs that have not begun, whoever made them and whatever they wait for."""
    return _clear(tx, BURY_PLANNED, DELETE_PLANNED, deployment_ids, now)


def _clear(tx: Tx, bury: Any, delete: Any, deployment_ids: list[str], now: datetime) -> int:
    with_now = {"now": now} if delete is DELETE_FUTURE else {}
    deleted = 0
    for deployment_id in deployment_ids:
        tx.run(bury, deployment_id=deployment_id, now=now)
        deleted += len(tx.all(delete, deployment_id=deployment_id, **with_now))
    return deleted


def move(tx: Tx, deployment_id: str, old_queue_id: str | None, queue_id: str | None, queue_name: str | None) -> int:
    """Runs that have not begun go along when their deployment moves to another queue."""
    return tx.run(
        MOVE,
        deployment_id=deployment_id,
        old_queue_id=old_queue_id,
        queue_id=queue_id,
        queue_name=queue_name,
        now=clock.now(),
    )
