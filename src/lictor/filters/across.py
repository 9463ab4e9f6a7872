"""Filters on the neighbours of an entity: which flow runs have a deployment such that …, a task run such that …

A neighbour's filter that is given, even an empty one, asks that there is such a neighbour: so does the reference.

Of many runs to one flow, deployment or queue, the condition is `column in (select …)`: the inner select is small and
stands alone, so an index on the column can lead. The other way round, one flow run to many task runs, it is a
correlated `exists`, which stops at the first; unless the filter names ids, and then it is `in` again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from lictor.db import Where
from lictor.filters.entities import (
    DeploymentFilter,
    Filter,
    FlowFilter,
    FlowRunFilter,
    TaskRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
)
from lictor.filters.leaves import on

Root = Literal["flow", "flow_run", "task_run", "deployment", "work_pool", "work_queue"]


class Filters(Struct, frozen=True):
    """What is asked of things of each kind; None asks nothing."""

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None


def where_for(
    root: Root,
    *,
    flows: FlowFilter | None = None,
    flow_runs: FlowRunFilter | None = None,
    task_runs: TaskRunFilter | None = None,
    deployments: DeploymentFilter | None = None,
    work_pools: WorkPoolFilter | None = None,
    work_pool_queues: WorkQueueFilter | None = None,
) -> Where:
    """The conditions on the rows of `root` (with its alias, see `entities`) that all the given filters make."""
    return _ROOTS[root](Filters(flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues))


def _flow(asked: Filters) -> Where:
    where = _own(asked.flows)
    where.add("f.deleted is null")
    if asked.deployments is not None or asked.work_pools is not None:
        inner = _deployment(Filters(deployments=asked.deployments, work_pools=asked.work_pools))
        _has(where, "f.id", "deployment d", "d.flow_id", inner, asked.deployments)
    if asked.flow_runs is not None or asked.task_runs is not None:
        inner = _flow_run(Filters(flow_runs=asked.flow_runs, task_runs=asked.task_runs))
        _has(where, "f.id", "flow_run r", "r.flow_id", inner, asked.flow_runs)
    return where


def _flow_run(asked: Filters) -> Where:
    where = _own(asked.flow_runs)
    if asked.deployments is not None:
        # No foreign key here: a run outlives its deployment, and then has none as far as filters go.
        _belongs(where, "r.deployment_id", "deployment d", "d.id", asked.deployments.where())
    _on_queue(where, "r.work_queue_id", asked)
    if asked.flows is not None:
        _references(where, "r.flow_id", "flow f", "f.id", asked.flows.where(), asked.flows)
    if asked.task_runs is not None:
        _has(where, "r.id", "task_run t", "t.flow_run_id", asked.task_runs.where(), asked.task_runs)
    return where


def _task_run(asked: Filters) -> Where:
    where = _own(asked.task_runs)
    of_runs = replace(asked, task_runs=None)
    if of_runs != Filters():
        alone = asked.flow_runs if of_runs == Filters(flow_runs=asked.flow_runs) else None
        _references(where, "t.flow_run_id", "flow_run r", "r.id", _flow_run(of_runs), alone)
    return where


def _deployment(asked: Filters) -> Where:
    where = _own(asked.deployments)
    if asked.flows is not None:
        _references(where, "d.flow_id", "flow f", "f.id", asked.flows.where(), asked.flows)
    if asked.flow_runs is not None or asked.task_runs is not None:
        inner = _flow_run(Filters(flow_runs=asked.flow_runs, task_runs=asked.task_runs))
        _has(where, "d.id", "flow_run r", "r.deployment_id", inner, asked.flow_runs)
    _on_queue(where, "d.work_queue_id", asked)
    return where


def _queue(asked: Filters) -> Where:
    where = _own(asked.work_pool_queues)
    if asked.work_pools is not None and (pool := asked.work_pools.where()):
        _belongs(where, "q.work_pool_id", "work_pool p", "p.id", pool)
    return where


def _pool(asked: Filters) -> Where:
    return _own(asked.work_pools)


_ROOTS: dict[Root, Callable[[Filters], Where]] = {
    "flow": _flow,
    "flow_run": _flow_run,
    "task_run": _task_run,
    "deployment": _deployment,
    "work_pool": _pool,
    "work_queue": _queue,
}


def _on_queue(where: Where, column: str, asked: Filters) -> None:
    if asked.work_pools is not None or asked.work_pool_queues is not None:
        _references(where, column, "work_queue q", "q.id", _queue(asked), None)


def _own(filter: Filter | None) -> Where:
    return Where() if filter is None else filter.where()


def _references(where: Where, column: str, table: str, id: str, inner: Where, alone: Filter | None) -> None:
    """Many to one by a foreign key, so that ids need no look at the other table."""
    if alone is not None and (ids := alone.only_ids()) is not None:
        ids.add_to(where, on(column))
    elif inner:
        _belongs(where, column, table, id, inner)
    elif column != "r.flow_id" and column != "d.flow_id":  # those are never null
        where.add(f"{column} is not null")


def _belongs(where: Where, column: str, table: str, id: str, inner: Where) -> None:
    where.add(f"{column} in (select {id} from {table} where {inner.text()})", **inner.params)


def _has(where: Where, id: str, table: str, column: str, inner: Where, filter: Filter | None) -> None:
    """One to many."""
    if filter is not None and filter.ids() is not None:
        _belongs(where, id, table, column, inner)
    else:
        where.add(f"exists (select 1 from {table} where {column} = {id} and {inner.text()})", **inner.params)
