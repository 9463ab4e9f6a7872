"""Lists of flow runs: filtered, sorted, counted; and how late they are on average."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from lictor.db import Tx, Where, sql
from lictor.db.statement import composed
from lictor.filters import (
    Filter,
    FlowRunFilter,
    QueueFilters,
    WorkPoolFilter,
    WorkQueueFilter,
    estimates,
    where_for,
)
from lictor.filters.history import HistoryBody, Interval, divide, run_history
from lictor.filters.leaves import Operator, Period, on
from lictor.flow_runs import withdrawals
from lictor.flow_runs.types import SELECT, FlowRunResponse
from lictor.kit import clock
from lictor.states.types import STATE_TYPES, TERMINAL
from lictor.tallies import flow_runs as flow_run_tallies
from lictor.tallies.flow_runs import Tallied
from lictor.web import DEFAULT_LIMIT, Limit, Offset, Page, PageNumber, page_offset, paginate


class Sort(StrEnum):
    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


# Runs that tie are told apart by id, so that pages neither repeat nor skip any; the index gives all but the ties.
ORDERS: Final[dict[Sort, str]] = {
    Sort.ID_DESC: "r.id desc",
    Sort.START_TIME_ASC: "coalesce(r.start_time, r.expected_start_time), r.id",
    Sort.START_TIME_DESC: "coalesce(r.start_time, r.expected_start_time) desc, r.id desc",
    Sort.EXPECTED_START_TIME_ASC: "r.expected_start_time, r.id",
    Sort.EXPECTED_START_TIME_DESC: "r.expected_start_time desc, r.id desc",
    Sort.NAME_ASC: "r.name, r.id",
    Sort.NAME_DESC: "r.name desc, r.id desc",
    Sort.NEXT_SCHEDULED_START_TIME_ASC: "r.next_scheduled_start_time, r.id",
    Sort.END_TIME_DESC: "r.end_time desc, r.id desc",
}


class FlowRunQuery(QueueFilters):
    """Which flow runs: those that all of the given filters let through."""


class _Limited(QueueFilters, kw_only=True):
    limit: Limit = DEFAULT_LIMIT


class FlowRunSlice(_Limited):
    sort: Sort = Sort.ID_DESC
    offset: Offset = 0


class FlowRunPage(_Limited):
    sort: Sort = Sort.ID_DESC
    page: PageNumber = 1


class FlowRunHistory(HistoryBody, kw_only=True, rename={"work_pool_queues": "work_queues"}):
    work_pools: WorkPoolFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None


def find_slice(tx: Tx, wanted: FlowRunSlice) -> list[FlowRunResponse]:
    return page(tx, where_in_order(tx, wanted), wanted.sort, wanted.limit, wanted.offset)


def find_page(tx: Tx, wanted: FlowRunPage) -> Page[FlowRunResponse]:
    offset = page_offset(wanted.page, wanted.limit)
    named = _few_named(tx, wanted)
    total = count(tx, wanted) if named is None else len(named)
    if offset >= total:
        return paginate([], wanted.page, wanted.limit, total)
    if named is not None:
        where = Where()
        where.add("r.id {in:ids:uuid}", ids=named)
        results = page(tx, where, wanted.sort, wanted.limit, offset, order=_SORTED_BY_START)
    else:
        results = page(tx, where_in_order(tx, wanted), wanted.sort, wanted.limit, offset)
    return paginate(results, wanted.page, wanted.limit, total)


FEW = 1_000
NAMED = "select r.id from flow_run r where {where} limit :most"
# Put so, the order is not that of the index, which would lead through all runs.
_SORTED_BY_START = "case when r.start_time is null then r.expected_start_time else r.start_time end desc, r.id desc"


def _few_named(tx: Tx, wanted: FlowRunPage) -> list[str] | None:
    """The runs, if those of a period are asked for by a part of their name and few have it: all names of that period
    are looked at, once here, and not to count them and then again to find them."""
    period = _period(wanted.sort, wanted.flow_runs)
    named = wanted.flow_runs is not None and wanted.flow_runs.name is not None and wanted.flow_runs.name.like_
    if period is None or period.after_ is None or not named:
        return None
    where = withdrawals.hide(tx, wanted.where_for("flow_run"))
    found: list[str] = tx.composed(str, NAMED, where, most=FEW + 1)
    return found if len(found) <= FEW else None


LAST = datetime.max.replace(tzinfo=UTC)
# Hardly any run starts before it was expected to; how early those did is found by an index of their own.
EARLIEST = sql(
    "flow_runs.earliest",
    datetime,
    """
    select min(r.start_time) from flow_run r where r.start_time < r.expected_start_time
    and r.expected_start_time >= {ts:after} and r.expected_start_time <= {ts:before}
    """,
)


def where_in_order(tx: Tx, wanted: FlowRunSlice | FlowRunPage) -> Where:
    """The same conditions, put so that an index gives the runs in the order asked for: SQLite does not know by itself
    that a pool has one queue, nor that runs of one week begin in that week, and would sort all that there are."""
    queue_id = _only_queue(tx, wanted)
    if queue_id is not None:
        wanted = replace(wanted, work_pools=None, work_pool_queues=None)
    runs = wanted.flow_runs
    period = _period(wanted.sort, runs)
    if runs is not None and period is not None and period.after_ is not None:
        wanted = replace(wanted, flow_runs=replace(runs, expected_start_time=None))
    where = wanted.where_for("flow_run")
    if queue_id is not None:
        where.add("r.work_queue_id = {uuid:queue_id}", queue_id=queue_id)
    if period is not None and period.after_ is not None:
        # What is made of the column keeps its index out, and the order's in.
        period.add_to(where, on("coalesce(r.expected_start_time, null)"))
        early = tx.one(EARLIEST, after=period.after_, before=period.before_ or LAST)
        since = period.after_ if early is None else min(early, period.after_)
        where.add("coalesce(r.start_time, r.expected_start_time) >= {ts:since}", since=since)
    return where


def _only_queue(tx: Tx, wanted: FlowRunSlice | FlowRunPage) -> str | None:
    """The queue that all runs asked for are in, if their pools and queues come down to one."""
    if wanted.work_pools is None and wanted.work_pool_queues is None:
        return None
    where = where_for("work_queue", work_pools=wanted.work_pools, work_pool_queues=wanted.work_pool_queues)
    found = tx.page(str, "select q.id from work_queue q", where, order="q.id", limit=2)
    return found[0] if len(found) == 1 else None


def _period(sort: Sort, runs: FlowRunFilter | None) -> Period | None:
    """The period in which the runs were expected to start, if they are wanted by their start, newest first."""
    if sort != Sort.START_TIME_DESC or runs is None or runs.operator != Operator.and_:
        return None
    return runs.expected_start_time


def page(
    tx: Tx, where: Where, sort: Sort = Sort.ID_DESC, limit: int = 200, offset: int = 0, *, order: str | None = None
) -> list[FlowRunResponse]:
    """Flow runs that meet conditions on `r`, a slice of them, without those that are withdrawn."""
    withdrawals.hide(tx, where)
    order = order or ORDERS[sort]
    if tx.dialect.name != "sqlite":
        return tx.page(FlowRunResponse, SELECT, where, order=order, limit=limit, offset=offset)
    # Where SQLite has to sort, it sorts whole rows, with their parameters: so ids first, and then the rows of those.
    ids = tx.page(str, "select r.id from flow_run r", where, order=order, limit=limit, offset=offset)
    found = {run.id: run for run in tx.all(BY_IDS, ids=ids)}
    return [found[id] for id in ids]


BY_IDS = sql("flow_runs.by_ids", FlowRunResponse, f"{SELECT} where r.id {{in:ids:uuid}}")


def count(tx: Tx, wanted: FlowRunQuery | FlowRunPage) -> int:
    return _count(tx, wanted) - withdrawals.count(tx, wanted.where_for("flow_run"))


def _count(tx: Tx, wanted: FlowRunQuery | FlowRunPage) -> int:
    if _asks_for_begun(wanted):
        return _count_begun(tx, wanted)
    plain = tallied(wanted)
    total = None if plain is None else flow_run_tallies.total(tx, plain)
    return count_where(tx, wanted.where_for("flow_run")) if total is None else total.runs


def _asks_for_begun(wanted: FlowRunQuery | FlowRunPage) -> bool:
    """Whether it is asked which runs of flows, deployments or queues have begun, and nothing else of the runs."""
    runs = wanted.flow_runs
    if runs is None or runs.start_time is None or runs.operator != Operator.and_ or not runs.says_only({"start_time"}):
        return False
    start = runs.start_time
    return start.is_null_ is False and start.before_ is None and start.after_ is None


# Whoever ends has begun: an end without a start is given one (`states.tracking`).
_NOT_BEGUN = "from flow_run r {by_index:ix_flow_run__state_start}"
_NOT_OVER = ", ".join(f"'{type_}'" for type_ in STATE_TYPES if type_ not in TERMINAL)


def _count_begun(tx: Tx, wanted: FlowRunQuery | FlowRunPage) -> int:
    """All but those that have not: an index knows how many runs a flow has, but not which of them began."""
    everything = replace(wanted, flow_runs=None)
    waiting, stateless = everything.where_for("flow_run"), everything.where_for("flow_run")
    for where, state in ((waiting, f"r.state_type in ({_NOT_OVER})"), (stateless, "r.state_type is null")):
        where.add(state)
        where.add("r.start_time is null")
    return _count(tx, everything) - tx.count(_NOT_BEGUN, waiting) - tx.count(_NOT_BEGUN, stateless)


def count_where(tx: Tx, where: Where) -> int:
    return tx.count("from flow_run r", where)


def lateness(tx: Tx, wanted: FlowRunQuery) -> float | None:
    """Average seconds between expected and real (or, of those that are due, possible) start; None without runs."""
    plain = tallied(wanted)
    total = None if plain is None else flow_run_tallies.total(tx, plain)
    if total is not None:
        return total.lateness / total.runs if total.runs else None
    where = wanted.where_for("flow_run")
    text = f"select avg({estimates.lateness_sql('r')}) from flow_run r {estimates.MOMENT} where {where.text()}"
    average = tx.value(composed(float, text), **where.params, now=clock.now())
    return None if average is None else float(average)


def history(tx: Tx, wanted: FlowRunHistory) -> list[Interval]:
    grid = divide(wanted.history_start, wanted.history_end, wanted.history_interval_seconds)
    plain = tallied(wanted)
    if plain is None or plain.after or plain.before or not flow_run_tallies.LEDGER.worth_it(tx, grid):
        return run_history(tx, "flow_run r", wanted, wanted.where_for("flow_run"), plain=plain is not None)
    return flow_run_tallies.intervals(tx, grid, plain.states)


def tallied(wanted: FlowRunQuery | FlowRunPage | FlowRunHistory) -> Tallied | None:
    """The question, if it asks for no more than tallies know, and for some of what they do: runs that are over."""
    filters = (getattr(wanted, name) for name in wanted.__struct_fields__ if name != "flow_runs")
    if any(isinstance(filter, Filter) for filter in filters):
        return None
    return flow_run_tallies.tallied(wanted.flow_runs or FlowRunFilter())
