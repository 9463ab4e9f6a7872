"""Filters on the neighbours of an entity: which flow runs have a deployment such that …, a task run such that …

A neighbour's filter that is given, even an empty one, asks that there is such a neighbour: so does the reference.

Of many runs to one flow, deployment or queue, the condition is `column in (select …)`: the inner select is small and
stands alone, so an index on the column can lead. The other way round, one flow run to many task runs, it is a
correlated `exists`, which stops at the first; unless the filter names ids, and then it is `in` again.
"""

from __future__ import annotations

from typing import Literal

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
    match root:
        case "flow":
            return _flow(flows, flow_runs, task_runs, deployments, work_pools)
        case "flow_run":
            return _flow_run(flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues)
        case "task_run":
            return _task_run(flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues)
        case "deployment":
            return _deployment(flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues)
        case "work_queue":
            return _queue(work_pools, work_pool_queues)
        case "work_pool":
            return _own(work_pools)


def _flow(
    flows: FlowFilter | None,
    flow_runs: FlowRunFilter | None,
    task_runs: TaskRunFilter | None,
    deployments: DeploymentFilter | None,
    work_pools: WorkPoolFilter | None,
) -> Where:
    where = _own(flows)
    where.add("f.deleted is null")
    if deployments is not None or work_pools is not None:
        inner = _deployment(None, None, None, deployments, work_pools, None)
        _has(where, "f.id", "deployment d", "d.flow_id", inner, deployments)
    if flow_runs is not None or task_runs is not None:
        inner = _flow_run(None, flow_runs, task_runs, None, None, None)
        _has(where, "f.id", "flow_run r", "r.flow_id", inner, flow_runs)
    return where


def _flow_run(
    flows: FlowFilter | None,
    flow_runs: FlowRunFilter | None,
    task_runs: TaskRunFilter | None,
    deployments: DeploymentFilter | None,
    work_pools: WorkPoolFilter | None,
    work_pool_queues: WorkQueueFilter | None,
) -> Where:
    where = _own(flow_runs)
    if deployments is not None:
        # No foreign key here: a run outlives its deployment, and then has none as far as filters go.
        _belongs(where, "r.deployment_id", "deployment d", "d.id", deployments.where())
    _on_queue(where, "r.work_queue_id", work_pools, work_pool_queues)
    if flows is not None:
        _references(where, "r.flow_id", "flow f", "f.id", flows.where(), flows)
    if task_runs is not None:
        _has(where, "r.id", "task_run t", "t.flow_run_id", task_runs.where(), task_runs)
    return where


def _task_run(
    flows: FlowFilter | None,
    flow_runs: FlowRunFilter | None,
    task_runs: TaskRunFilter | None,
    deployments: DeploymentFilter | None,
    work_pools: WorkPoolFilter | None,
    work_pool_queues: WorkQueueFilter | None,
) -> Where:
    where = _own(task_runs)
    others = (flows, deployments, work_pools, work_pool_queues)
    if flow_runs is not None or any(other is not None for other in others):
        inner = _flow_run(flows, flow_runs, None, deployments, work_pools, work_pool_queues)
        alone = flow_runs if all(other is None for other in others) else None
        _references(where, "t.flow_run_id", "flow_run r", "r.id", inner, alone)
    return where


def _deployment(
    flows: FlowFilter | None,
    flow_runs: FlowRunFilter | None,
    task_runs: TaskRunFilter | None,
    deployments: DeploymentFilter | None,
    work_pools: WorkPoolFilter | None,
    work_pool_queues: WorkQueueFilter | None,
) -> Where:
    where = _own(deployments)
    if flows is not None:
        _references(where, "d.flow_id", "flow f", "f.id", flows.where(), flows)
    if flow_runs is not None or task_runs is not None:
        inner = _flow_run(None, flow_runs, task_runs, None, None, None)
        _has(where, "d.id", "flow_run r", "r.deployment_id", inner, flow_runs)
    _on_queue(where, "d.work_queue_id", work_pools, work_pool_queues)
    return where


def _queue(work_pools: WorkPoolFilter | None, work_pool_queues: WorkQueueFilter | None) -> Where:
    where = _own(work_pool_queues)
    if work_pools is not None and (pool := work_pools.where()):
        _belongs(where, "q.work_pool_id", "work_pool p", "p.id", pool)
    return where


def _on_queue(
    where: Where, column: str, work_pools: WorkPoolFilter | None, work_pool_queues: WorkQueueFilter | None
) -> None:
    if work_pools is not None or work_pool_queues is not None:
        _references(where, column, "work_queue q", "q.id", _queue(work_pools, work_pool_queues), None)


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
