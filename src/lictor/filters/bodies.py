"""Bodies that ask for things of one kind by filters on several.

Fields that are keyword-only come after those which a body adds: so do they in the reference, whose order of errors that
is. A body with a field behind the filters makes that one keyword-only, too.
"""

from __future__ import annotations

from lictor.db import Where
from lictor.filters.across import Filters, Root, where_for
from lictor.filters.entities import (
    DeploymentFilter,
    FlowFilter,
    FlowRunFilter,
    TaskRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
)
from lictor.web.shapes import Embedded


class RunFilters(Embedded, kw_only=True):
    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None

    def where_for(self, root: Root) -> Where:
        """The conditions on the rows of `root` that all filters of the body make."""
        names = (name for name in self.__struct_fields__ if name in Filters.__struct_fields__)
        return where_for(root, **{name: getattr(self, name) for name in names})


class PoolFilters(RunFilters, kw_only=True):
    work_pools: WorkPoolFilter | None = None


class QueueFilters(PoolFilters, kw_only=True):
    work_pool_queues: WorkQueueFilter | None = None
