"""Runs that are planned ahead for a schedule, many at once, and what becomes of them when their deployment changes.

Making one is no transition: there is no event, no rule, and no answer to wait for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from lictor import observed_states, tallies
from lictor.db import Statement, Tx, sql
from lictor.flow_runs import aside, store, withdrawals
from lictor.flow_runs.withdrawals import DUE, MADE, Withdrawal
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


# A plain list of values, and all questions asked before: for a row that is made by a select SQLite keeps a copy of each
# page that it changes, to undo the statement alone, and that was half of what the row cost.
INSERT = sql(
    "flow_runs.insert_planned",
    None,
    """
    insert into flow_run (
        id, created, updated, name, flow_id, state_id, state_type, state_name, state_timestamp, deployment_id,
        deployment_version, work_queue_id, work_queue_name, parameters, idempotency_key, tags, labels,
        expected_start_time, next_scheduled_start_time, auto_scheduled, infrastructure_document_id, created_by,
        job_variables
    ) values (
        {uuid:id}, {ts:now}, {ts:now}, {text:name}, {uuid:flow_id}, {uuid:state_id}, 'SCHEDULED', 'Scheduled', {ts:now},
        {uuid:deployment_id}, {text:deployment_version}, {uuid:work_queue_id}, {text:work_queue_name},
        {json:parameters}, {text:key}, {json:tags}, {json:labels}, {ts:date}, {ts:date}, true,
        {uuid:infrastructure_document_id}, {json:created_by}, '{}'
    )
    """,
)
INSERT_STATE = sql(
    "flow_runs.insert_planned_state",
    None,
    """
    insert into flow_run_state (id, flow_run_id, timestamp, type, name, message, state_details)
    values ({uuid:state_id}, {uuid:id}, {ts:now}, 'SCHEDULED', 'Scheduled', {text:message}, {json:details})
    """,
)
# A run that is there by its key is left alone.
KNOWN = sql(
    "flow_runs.known_keys",
    str,
    "select idempotency_key from flow_run where flow_id = {uuid:flow_id} and idempotency_key {in:keys}",
)


class Taken(Struct):
    deployment_id: str
    date: datetime


def _taken_dates(id: str, first: str, last: str) -> Statement[Taken]:
    return Statement(
        "flow_runs.taken_dates",
        Taken,
        f"""
        select r.deployment_id, r.expected_start_time from {{each:spans}} cross join flow_run r
        where r.deployment_id = {id} and r.expected_start_time >= {first} and r.expected_start_time <= {last}
        and r.auto_scheduled and (
            select s.id from deployment_schedule s
            where s.deployment_id = r.deployment_id and cast(s.id as text) = r.created_by ->> 'id' limit 1
        ) is null
        """,
    )


# Neither is a date taken twice when schedules are replaced: a run that was made by one that is gone, and is under way
# already, stands for that date. (As `not exists` PostgreSQL would read all schedules that there are.) A span is the
# text of a deployment's id, and of the first and the last date asked for; PostgreSQL has to be told what those are.
_ID, _FIRST, _LAST = (f"substr(each.value, {place})" for place in ("1, 36", "37, 27", "64, 27"))
TAKEN = {
    "sqlite": _taken_dates(_ID, _FIRST, _LAST),
    "postgres": _taken_dates(f"cast({_ID} as uuid)", f"cast({_FIRST} as timestamptz)", f"cast({_LAST} as timestamptz)"),
}


class Found(Struct):
    """A run that has not begun; `tallied` if tallies may have it or a task run that waits for it, `logged` if it has
    logs: somebody tried to start it."""

    id: str
    tallied: bool
    logged: bool


# So many runs are deleted in the transaction that they are to go with, which takes some forty milliseconds. Of more
# nobody sees the rest any more, and it goes in the background (see `withdrawals`), so many in each transaction.
AT_ONCE = 1_000
IN_BACKGROUND = 200
NO_LIMIT = 2**31 - 1

# The state's other index would do as well, were this a list of deployments; but it has all scheduled runs there are.
_PLANNED = """
    r.deployment_id = {uuid:deployment_id} and r.state_type = 'SCHEDULED' and r.run_count = 0"""
_COMING, _OVERDUE = f"{DUE} > {{ts:now}}", f"{DUE} <= {{ts:now}}"


class Kind:
    """Which of the runs of a deployment that have not begun: the statements that find them, and that delete those of
    them that still are what they were found as."""

    def __init__(self, name: str, *conditions: str) -> None:
        # Whether there are logs is asked so that PostgreSQL takes their index: where few runs have many, it would
        # expect to come upon some soon by reading all of them.
        self.find = sql(
            f"flow_runs.find_{name}",
            Found,
            f"""
            select r.id, r.parent_task_run_id is not null or coalesce(r.expected_start_time < {{ts:old}}, false),
                (select min(l.timestamp) from log l where l.flow_run_id = r.id) is not null
            from flow_run r {{by_index:ix_flow_run__waiting}} where {" and ".join([_PLANNED, *conditions])}
            order by r.work_queue_id, r.expected_start_time limit :limit
            """,
        )
        # What is made of the state keeps its indexes out: which runs they are is known.
        still = ["coalesce(r.state_type, '') = 'SCHEDULED' and r.run_count = 0", *conditions]
        self.delete = sql(
            f"flow_runs.delete_{name}",
            str,
            f"delete from flow_run as r where r.id {{in:ids:uuid}} and {' and '.join(still)} returning id",
        )


PLANNED, MADE_BY_SCHEDULES = Kind("planned"), Kind("made", MADE)
FUTURE, OVERDUE = Kind("future", MADE, _COMING), Kind("overdue", MADE, _OVERDUE)
KINDS = (PLANNED, MADE_BY_SCHEDULES, FUTURE, OVERDUE)
MOVE = sql(
    "flow_runs.move_planned",
    None,
    """
    update flow_run set work_queue_id = {uuid:queue_id}, work_queue_name = {text:queue_name}, updated = {ts:now}
    where deployment_id = :deployment_id and state_type = 'SCHEDULED' and run_count = 0
    and work_queue_id is not distinct from {uuid:old_queue_id}
    """,
)


def insert_all(tx: Tx, planned: list[tuple[Template, list[datetime]]]) -> int:
    """A run for each date of each template, but for those that there are already; returns how many are new.

    Whoever calls this holds the deployments locked: what is asked first still holds when the runs are written.
    """
    now, texts = clock.now(), Texts()
    taken = _taken(tx, planned)
    rows = _unknown(
        tx,
        [
            row
            for template, dates in planned
            for row in _rows(template, _free(dates, taken.get(template.deployment_id)), now, texts)
        ],
    )
    if not rows:
        return 0
    for row, name in zip(rows, names.several(len(rows)), strict=True):
        row["name"] = name
    tx.many(INSERT, rows)
    tx.many(INSERT_STATE, rows)
    aside.put_planned(tx, rows)
    observed_states.note(tx, SCHEDULED, "Scheduled", now)
    return len(rows)


def _taken(tx: Tx, planned: list[tuple[Template, list[datetime]]]) -> dict[str, set[datetime]]:
    """The dates that a run of a schedule stands for that is gone, by deployment."""
    spans = [
        template.deployment_id + times.text(min(dates)) + times.text(max(dates)) for template, dates in planned if dates
    ]
    found: dict[str, set[datetime]] = {}
    for one in tx.all(TAKEN[tx.dialect.name], spans=spans):
        found.setdefault(one.deployment_id, set()).add(one.date)
    return found


def _free(dates: list[datetime], taken: set[datetime] | None) -> list[datetime]:
    return [date for date in dates if date not in taken] if taken else dates


def _unknown(tx: Tx, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys: dict[str, list[str]] = {}
    for row in rows:
        keys.setdefault(row["flow_id"], []).append(row["key"])
    known = {key for flow_id, wanted in keys.items() for key in tx.all(KNOWN, flow_id=flow_id, keys=wanted)}
    return list({row["key"]: row for row in rows if row["key"] not in known}.values())


class Texts:
    """What is written of dates, once for all runs of a transaction: of one date there may be many."""

    def __init__(self) -> None:
        self._of_zones: dict[str, dict[datetime, tuple[str, str, str]]] = {}

    def of(self, dates: list[datetime], zone: ZoneInfo) -> list[tuple[str, str, str]]:
        """Of each date: how it ends a key, how it is stored, and the details of the state."""
        known = self._of_zones.setdefault(zone.key, {})
        return [known.get(date) or known.setdefault(date, self._of(date, zone)) for date in dates]

    def _of(self, date: datetime, zone: ZoneInfo) -> tuple[str, str, str]:
        local = times.iso(date if zone.key == "UTC" else date.astimezone(zone))
        return local.replace("T", " "), times.text(date), f'{{"scheduled_time":"{times.with_z(local)}"}}'


def _rows(template: Template, dates: list[datetime], now: datetime, texts: Texts) -> list[dict[str, Any]]:
    common = msgspec.structs.asdict(template)
    schedule_id, zone = common.pop("schedule_id"), zones.zone(common.pop("timezone"))
    common |= {"now": times.text(now), "message": MESSAGE, "large": aside.moved(common)}
    # The idempotency key is that of the reference: with the date as Python prints it, by the schedule's clocks.
    key = f"scheduled {template.deployment_id} {schedule_id} "
    made = []
    new = ids.several(len(dates)), ids.several(len(dates))
    for (by_clocks, date, details), id, state_id in zip(texts.of(dates, zone), *new, strict=True):
        row = common.copy()
        row["id"], row["state_id"], row["key"] = id, state_id, key + by_clocks
        row["date"], row["details"] = date, details
        made.append(row)
    return made


def delete_future(tx: Tx, deployment_ids: list[str], now: datetime) -> int:
    """Delete the runs that schedules made for dates after `now` and that have not begun.

    All of them: they are as many as the scheduler plans ahead, and may be planned anew at once.
    """
    return sum(_delete(tx, FUTURE, id, NO_LIMIT, now) for id in deployment_ids)


def delete_made(tx: Tx, deployment_id: str, now: datetime) -> None:
    """Likewise for any date, so late ones too: where very many piled up, the rest of these in the background."""
    if _delete(tx, MADE_BY_SCHEDULES, deployment_id, AT_ONCE) == AT_ONCE:
        delete_future(tx, [deployment_id], now)
        withdrawals.insert(tx, Withdrawal(deployment_id, now))


def delete_planned(tx: Tx, deployment_ids: list[str]) -> None:
    """Delete all runs of deleted deployments that have not begun, whoever made them and whatever they wait for: where
    they are very many, the rest in the background."""
    room = AT_ONCE
    for deployment_id in deployment_ids:
        room -= _delete(tx, PLANNED, deployment_id, room)
        if not room:
            withdrawals.insert(tx, Withdrawal(deployment_id, None))


def delete_withdrawn(tx: Tx, of: Withdrawal) -> int:
    """Delete some runs of a withdrawal, and with the last of them itself; how many there were."""
    kind = PLANNED if of.due_by is None else OVERDUE
    found = _delete(tx, kind, of.deployment_id, IN_BACKGROUND, of.due_by)
    if found < IN_BACKGROUND:
        withdrawals.delete(tx, of)
    return found


def _delete(tx: Tx, kind: Kind, deployment_id: str, limit: int, now: datetime | None = None) -> int:
    """Delete some runs of a deployment; how many were found."""
    if not limit:
        return 0
    old = clock.now() - tallies.TOUCHED_AFTER
    found = tx.all(kind.find, deployment_id=deployment_id, limit=limit, now=now, old=old)
    if found:
        delete_found(tx, kind, found, now)
    return len(found)


def delete_found(tx: Tx, kind: Kind, found: list[Found], now: datetime | None) -> None:
    """Delete those runs that still are what they were found as, and leave their logs to the log sweeper."""
    ids = [run.id for run in found]
    if any(run.tallied for run in found):
        tallies.touch_runs(tx, ids)
    deleted = set(tx.all(kind.delete, ids=ids, now=now))
    store.bury(tx, [run.id for run in found if run.logged and run.id in deleted], clock.now())


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
