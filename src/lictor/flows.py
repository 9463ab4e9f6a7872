"""Flows, at /api/flows: a name that runs and deployments belong to. Registering it again finds the one there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from lictor import tallies
from lictor.db import Database, Tx, Where, sql
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, Event
from lictor.filters import FlowFilter, PoolFilters, where_for
from lictor.kit import clock, ids
from lictor.kit.errors import NotFound
from lictor.web import DEFAULT_LIMIT, Created, Embedded, Limit, Offset, Page, PageNumber, Router, page_offset, paginate

BULK_LIMIT = 50

Label = bool | int | float | str


class Flow(Struct):
    """`labels` is a JSON object, or null where the client sent null."""

    id: str
    created: datetime
    updated: datetime
    name: str
    tags: list[str]
    labels: Raw


class FlowCreate(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[^/%&><]+$")]
    tags: list[str] = []
    labels: dict[str, Label] | None = {}


class FlowUpdate(Struct, forbid_unknown_fields=True):
    tags: list[str] | UnsetType = UNSET


class FlowSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class FlowCount(PoolFilters):
    """Which flows."""


class _Sorted(PoolFilters, kw_only=True):
    sort: FlowSort = FlowSort.NAME_ASC


class FlowPage(_Sorted):
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class FlowNumberedPage(_Sorted):
    limit: Limit = DEFAULT_LIMIT
    page: PageNumber = 1


class FlowBulkDelete(Embedded):
    flows: FlowFilter | None = None
    limit: Annotated[int, Meta(ge=1, le=BULK_LIMIT)] = BULK_LIMIT


class FlowBulkDeleteResponse(Struct):
    deleted: list[str]


class Going(Struct, frozen=True):
    """Who is to know, in the same transaction, that flows are about to be deleted with all that belongs to them.

    `delete_deployments` deletes their deployments, where their runs are too many to go at once.
    """

    forget: Callable[[Tx, list[str]], None] = lambda _tx, _flow_ids: None
    delete_deployments: Callable[[Tx, list[str]], None] = lambda _tx, _flow_ids: None


COLUMNS = "f.id, f.created, f.updated, f.name, f.tags, f.labels"
ORDER = {
    FlowSort.CREATED_DESC: "f.created desc, f.id desc",
    FlowSort.UPDATED_DESC: "f.updated desc, f.id desc",
    FlowSort.NAME_ASC: "f.name",
    FlowSort.NAME_DESC: "f.name desc",
}

FIND = sql("flows.find", Flow, f"select {COLUMNS} from flow f where f.id = :id and f.deleted is null")
FIND_BY_NAME = sql("flows.find_by_name", Flow, f"select {COLUMNS} from flow f where f.name = :name")
LOCK_ALL = sql(
    "flows.lock_all",
    Flow,
    f"select {COLUMNS} from flow f where f.id {{in:ids:uuid}} and f.deleted is null order by f.id {{for_update}}",
)
INSERT = sql(
    "flows.insert",
    None,
    """
    insert into flow (id, created, updated, name, tags, labels) values (:id, :now, :now, :name, :tags, :labels)
    on conflict (name) do nothing
    """,
)
UPDATE = sql(
    "flows.update",
    Flow,
    """
    update flow set tags = :tags, updated = :now where id = :id and deleted is null
    returning id, created, updated, name, tags, labels
    """,
)
# Runs, task runs, states and deployments go by foreign keys. These two do by hand what has none: runs of other flows
# that were started by a task of a deleted run, and the logs, which are swept later.
RELEASE_SUBFLOWS = sql(
    "flows.release_subflows",
    None,
    """
    update flow_run set parent_task_run_id = null
    where parent_task_run_id in (
        select t.id from task_run t join flow_run r on r.id = t.flow_run_id where r.flow_id {in:ids:uuid}
    ) and flow_id {not_in:ids:uuid}
    """,
)
LEAVE_LOGS = sql(
    "flows.leave_logs",
    None,
    """
    insert into run_tombstone (run_id, deleted)
    select r.id, {ts:now} from flow_run r where r.flow_id {in:ids:uuid}
    on conflict (run_id) do nothing
    """,
)
DELETE = sql("flows.delete", None, "delete from flow where id {in:ids:uuid}")

# A flow with more runs than these is hidden at once, and goes when its runs are gone (see `flow_runs.purging`).
MOST_RUNS = 500
MANY_RUNS = sql(
    "flows.many_runs",
    int,
    """
    select count(*) from (select 1 from flow_run r where r.flow_id = :id limit {int:most} + 1) runs
    having count(*) > {int:most}
    """,
)
# No flow that anybody makes has a name with a slash.
HIDE = sql(
    "flows.hide",
    None,
    "update flow set name = '/' || cast(id as text), deleted = {ts:now} where id {in:ids:uuid}",
)
HIDDEN = sql("flows.hidden", str, "select id from flow where deleted is not null order by deleted")


async def get_or_insert(db: Database, new: FlowCreate) -> Created[Flow]:
    """The flow of that name as it is, or a new one. Every run asks for its flow, so the writer is not bothered."""
    found = await db.read(find_by_name, new.name)
    return Created(found, False) if found is not None else await db.write(insert_or_get, new)


def find_by_name(tx: Tx, name: str) -> Flow | None:
    return tx.one(FIND_BY_NAME, name=name)


def get(tx: Tx, id: str) -> Flow:
    return tx.get(FIND, missing(), id=id)


def get_by_name(tx: Tx, name: str) -> Flow:
    return tx.get(FIND_BY_NAME, missing(), name=name)


def insert_or_get(tx: Tx, new: FlowCreate) -> Created[Flow]:
    now = clock.now()
    flow = Flow(ids.new(), now, now, new.name, new.tags, Raw(msgspec.json.encode(new.labels)))
    labels = bytes(flow.labels).decode()
    if not tx.run(INSERT, id=flow.id, now=now, name=flow.name, tags=flow.tags, labels=labels):
        return Created(get_by_name(tx, new.name), False)
    events.emit(tx, changed("created", flow))
    return Created(flow)


def page(tx: Tx, asked: FlowPage) -> list[Flow]:
    return _page(tx, asked.where_for("flow"), asked.sort, asked.limit, asked.offset)


def numbered_page(tx: Tx, asked: FlowNumberedPage) -> Page[Flow]:
    where = asked.where_for("flow")
    flows = _page(tx, where, asked.sort, asked.limit, page_offset(asked.page, asked.limit))
    return paginate(flows, asked.page, asked.limit, tx.count("from flow f", where))


def count(tx: Tx, asked: FlowCount) -> int:
    return tx.count("from flow f", asked.where_for("flow"))


def update(tx: Tx, id: str, patch: FlowUpdate) -> None:
    tags = get(tx, id).tags if patch.tags is UNSET else patch.tags
    flow = tx.get(UPDATE, missing(), id=id, now=clock.now(), tags=tags)
    events.emit(tx, changed("updated", flow))


def delete(tx: Tx, going: Going, id: str) -> None:
    """The flow with its runs and deployments."""
    if not _delete_all(tx, going, [id]):
        raise missing()


def delete_matching(tx: Tx, going: Going, asked: FlowBulkDelete) -> FlowBulkDeleteResponse:
    """Up to `limit` matching flows, by name; without a filter any flow matches, as in the reference."""
    flows = _page(tx, where_for("flow", flows=asked.flows), FlowSort.NAME_ASC, asked.limit, 0)
    return FlowBulkDeleteResponse(_delete_all(tx, going, [flow.id for flow in flows]))


def missing() -> NotFound:
    return NotFound("Flow not found")


def changed(action: str, flow: Flow) -> Event:
    """The event `prefect.flow.created`, `.updated` or `.deleted`."""
    return Event(
        occurred=clock.now(),
        event=f"prefect.flow.{action}",
        resource={RESOURCE_ID: f"prefect.flow.{flow.id}", RESOURCE_NAME: flow.name},
        payload={"name": flow.name, "tags": flow.tags, "labels": flow.labels},
    )


def _page(tx: Tx, where: Where, sort: FlowSort, limit: int, offset: int) -> list[Flow]:
    return tx.page(Flow, f"select {COLUMNS} from flow f", where, order=ORDER[sort], limit=limit, offset=offset)


def _delete_all(tx: Tx, going: Going, flow_ids: list[str]) -> list[str]:
    flows = tx.all(LOCK_ALL, ids=flow_ids)
    found = [flow.id for flow in flows]
    if found:
        going.forget(tx, found)
        large = [id for id in found if tx.one(MANY_RUNS, id=id, most=MOST_RUNS) is not None]
        if large:
            going.delete_deployments(tx, large)
            tx.run(HIDE, ids=large, now=clock.now())
        _delete_now(tx, [id for id in found if id not in large])
        events.emit_all(tx, [changed("deleted", flow) for flow in flows])
    return found


def _delete_now(tx: Tx, flow_ids: list[str]) -> None:
    if flow_ids:
        tx.run(RELEASE_SUBFLOWS, ids=flow_ids)
        tx.run(LEAVE_LOGS, ids=flow_ids, now=clock.now())
        tallies.flow_runs.touch_flows(tx, flow_ids)
        tx.run(DELETE, ids=flow_ids)


def hidden(tx: Tx) -> list[str]:
    """The ids of flows that were deleted and still have runs, first those that were deleted first."""
    return tx.all(HIDDEN)


def bury(tx: Tx, flow_id: str) -> None:
    """Delete a hidden flow for good, whose runs are gone."""
    _delete_now(tx, [flow_id])


router = Router("/flows", tag="Flows")


@router.post("/", also=(201,))
def create_flow(body: FlowCreate, db: Database) -> Awaitable[Created[Flow]]:
    return get_or_insert(db, body)


@router.patch("/{id:uuid}", status=204)
def update_flow(id: str, body: FlowUpdate, db: Database) -> Awaitable[None]:
    return db.write(update, id, body)


@router.post("/count")
def count_flows(body: FlowCount, db: Database) -> Awaitable[int]:
    return db.read(count, body)


@router.get("/name/{name}")
def read_flow_by_name(name: str, db: Database) -> Awaitable[Flow]:
    return db.read(get_by_name, name)


@router.get("/{id:uuid}")
def read_flow(id: str, db: Database) -> Awaitable[Flow]:
    return db.read(get, id)


@router.post("/filter")
def read_flows(body: FlowPage, db: Database) -> Awaitable[list[Flow]]:
    return db.read(page, body)


@router.delete("/{id:uuid}", status=204)
def delete_flow(id: str, db: Database, going: Going) -> Awaitable[None]:
    return db.write(delete, going, id)


@router.post("/bulk_delete")
def bulk_delete_flows(body: FlowBulkDelete, db: Database, going: Going) -> Awaitable[FlowBulkDeleteResponse]:
    return db.write(delete_matching, going, body)


@router.post("/paginate")
def paginate_flows(body: FlowNumberedPage, db: Database) -> Awaitable[Page[Flow]]:
    return db.read(numbered_page, body)
