"""Filters of runs, flows, deployments, work pools and queues: declared shapes, and what they mean across entities."""

from lictor.filters.across import where_for
from lictor.filters.bodies import PoolFilters, QueueFilters, RunFilters
from lictor.filters.entities import (
    DeploymentFilter,
    Filter,
    FlowFilter,
    FlowRunFilter,
    PlainFilter,
    TaskRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
)

__all__ = [
    "DeploymentFilter",
    "Filter",
    "FlowFilter",
    "FlowRunFilter",
    "PlainFilter",
    "PoolFilters",
    "QueueFilters",
    "RunFilters",
    "TaskRunFilter",
    "WorkPoolFilter",
    "WorkQueueFilter",
    "where_for",
]
