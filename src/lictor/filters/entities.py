"""The filters of runs, flows, deployments, pools and queues, declared: field by field, which column and which shape.

Every list route takes its own filter and those of its neighbours (see `across`). The aliases in the column names are
fixed: `f` flow, `r` flow_run, `t` task_run, `d` deployment, `p` work_pool, `q` work_queue.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, ClassVar, get_args, get_type_hints
from uuid import UUID

from msgspec import Struct

from lictor.db import Where
from lictor.filters import leaves
from lictor.filters.leaves import AllTags, AnyId, AnyText, Condition, Ids, Leaf, Name, Operator, Tags, Texts, on


class PlainFilter(Struct, forbid_unknown_fields=True):
    """The AND of its fields; a field that is absent or null says nothing."""

    operator: ClassVar[Operator] = Operator.and_

    def where(self) -> Where:
        """Conditions on the filter's own table. An empty one is true for every row."""
        where = Where()
        if self.operator == Operator.and_:
            for leaf, at in self._fields():
                leaf.add_to(where, at)
        else:
            parts = [_alone(leaf, at) for leaf, at in self._fields()]
            # A part that says nothing is true for every row, and so is the OR.
            if parts and all(parts):
                where.add_any(parts)
        return where

    def ids(self) -> AnyId | Ids | None:
        """The filter on the id, if it names ids and every row has to meet it."""
        named: AnyId | Ids | None = getattr(self, "id", None)
        if named is None or named.any_ is None:
            return None
        return named if self.operator == Operator.and_ or len(self._fields()) == 1 else None

    def only_ids(self) -> AnyId | Ids | None:
        """The filter on the id, if it names ids and is all there is."""
        return self.ids() if len(self._fields()) == 1 else None

    def says_only(self, names: set[str]) -> bool:
        """Whether no other of its fields says anything."""
        return all(getattr(self, name) is None for name, _ in _columns(type(self)) if name not in names)

    def _fields(self) -> list[tuple[Leaf, on]]:
        given = ((getattr(self, name), at) for name, at in _columns(type(self)))
        return [(leaf, at) for leaf, at in given if leaf is not None]


class Filter(PlainFilter):
    """The AND (or the OR) of its fields."""

    operator: Operator = Operator.and_  # type: ignore[misc]


@lru_cache(maxsize=64)
def _columns(kind: type[PlainFilter]) -> list[tuple[str, on]]:
    """The fields that have a column, with it."""
    hints = get_type_hints(kind, include_extras=True)
    marked = [(name, mark) for name in kind.__struct_fields__ for mark in get_args(hints[name])]
    return [(name, mark) for name, mark in marked if isinstance(mark, on)]


def _alone(leaf: Leaf, at: on) -> Where:
    where = Where()
    leaf.add_to(where, at)
    return where


class HasDeployment(Leaf):
    """`is_null_`: only flows without a deployment."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    is_null_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        if self.is_null_ is None:
            return []
        negation = "not " if self.is_null_ else ""
        return [Condition(f"{negation}exists (select 1 from deployment own where own.flow_id = {at.column})", {})]


class FlowFilter(Filter):
    id: Annotated[Ids | None, on("f.id")] = None
    deployment: Annotated[HasDeployment | None, on("f.id")] = None
    name: Annotated[Name | None, on("f.name")] = None
    tags: Annotated[AllTags | None, on("f.tags")] = None


class RunState(Leaf):
    """The type and the name of a run's state; `at` is the run's alias."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    type: leaves.StateTypes | None = None
    name: Texts | None = None

    def conditions(self, at: on) -> list[Condition]:
        return _state_conditions(at, self.type, self.name)

    def may_be(self, types: Collection[str]) -> bool:
        """Whether a state of one of these types may meet the filter."""
        return _may_be(self.operator, self.type, types)


class TaskRunState(Leaf):
    operator: Operator = Operator.and_  # type: ignore[misc]
    type: leaves.AnyStateType | None = None
    name: AnyText | None = None

    def conditions(self, at: on) -> list[Condition]:
        return _state_conditions(at, self.type, self.name)

    def may_be(self, types: Collection[str]) -> bool:
        return _may_be(self.operator, self.type, types)


def _may_be(operator: Operator, wanted: leaves.StateTypes | leaves.AnyStateType | None, types: Collection[str]) -> bool:
    any_ = None if wanted is None else wanted.any_
    return any_ is None or operator != Operator.and_ or any(type_ in types for type_ in any_)


def _state_conditions(at: on, type_: Leaf | None, name: Leaf | None) -> list[Condition]:
    # Unlike elsewhere, a part that says nothing does not make an OR true: the reference leaves it out.
    parts = ((type_, on(f"{at.column}.state_type")), (name, on(f"{at.column}.state_name")))
    made = [_alone(leaf, column) for leaf, column in parts if leaf is not None]
    return [Condition(where.text(), where.params) for where in made if where]


class ParentFlowRun(Leaf):
    """Subflow runs of the given runs: their parent is a task run, and that task run's flow run is what is asked for."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    any_: list[UUID] | None = None

    def conditions(self, at: on) -> list[Condition]:
        if self.any_ is None:
            return []
        inner, params = leaves.equals_any(on("parent.flow_run_id"), self.any_, "uuid")
        return [Condition(f"{at.column} in (select parent.id from task_run parent where {inner})", params)]


class CreatedBy(Leaf):
    """Who created a run; `at` is the JSON column {id, type, display_value}."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    id_: list[UUID] | None = None
    type_: list[str] | None = None
    is_null_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        made = super().conditions(at)
        for key, values in (("id", self.id_), ("type", self.type_)):
            if values is not None:
                texts = [str(value) for value in values]
                made.append(leaves.equals_any(on(f"{at.column} ->> '{key}'"), texts, "text"))
        return made


class FlowRunFilter(Filter):
    id: Annotated[Ids | None, on("r.id")] = None
    name: Annotated[Name | None, on("r.name")] = None
    tags: Annotated[Tags | None, on("r.tags")] = None
    deployment_id: Annotated[leaves.IdOrNull | None, on("r.deployment_id")] = None
    work_queue_name: Annotated[leaves.TextOrNull | None, on("r.work_queue_name")] = None
    state: Annotated[RunState | None, on("r")] = None
    flow_version: Annotated[AnyText | None, on("r.flow_version")] = None
    start_time: Annotated[
        leaves.PeriodOrNull | None, on("coalesce(r.start_time, r.expected_start_time)", null="r.start_time")
    ] = None
    end_time: Annotated[leaves.PeriodOrNull | None, on("r.end_time")] = None
    expected_start_time: Annotated[leaves.Period | None, on("r.expected_start_time")] = None
    next_scheduled_start_time: Annotated[leaves.Period | None, on("r.next_scheduled_start_time")] = None
    parent_flow_run_id: Annotated[ParentFlowRun | None, on("r.parent_task_run_id")] = None
    parent_task_run_id: Annotated[leaves.IdOrNull | None, on("r.parent_task_run_id")] = None
    idempotency_key: Annotated[Texts | None, on("r.idempotency_key")] = None
    created_by: Annotated[CreatedBy | None, on("r.created_by")] = None


class SubflowRuns(Leaf):
    """`exists_`: only task runs that stand for a subflow run in its parent."""

    exists_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        if self.exists_ is None:
            return []
        negation = "" if self.exists_ else "not "
        subflow = f"select 1 from flow_run subflow where subflow.parent_task_run_id = {at.column}"
        return [Condition(f"{negation}exists ({subflow})", {})]


class TaskRunFlowRun(Leaf):
    """The flow run that a task run is part of. Without keys it means that there is one, as in the reference."""

    operator: Operator = Operator.and_  # type: ignore[misc]
    any_: list[UUID] | None = None
    is_null_: bool | None = False

    def conditions(self, at: on) -> list[Condition]:
        if self.is_null_ or (self.is_null_ is False and self.any_ is None):
            return [leaves.is_null(at, self.is_null_, self.kind)]
        return [] if self.any_ is None else [leaves.equals_any(at, self.any_, "uuid")]


class TaskRunFilter(Filter):
    id: Annotated[AnyId | None, on("t.id")] = None
    name: Annotated[Name | None, on("t.name")] = None
    tags: Annotated[AllTags | None, on("t.tags")] = None
    state: Annotated[TaskRunState | None, on("t")] = None
    start_time: Annotated[leaves.PeriodOrNull | None, on("t.start_time")] = None
    end_time: Annotated[leaves.PeriodOrNull | None, on("t.end_time")] = None
    expected_start_time: Annotated[leaves.Period | None, on("t.expected_start_time")] = None
    subflow_runs: Annotated[SubflowRuns | None, on("t.id")] = None
    flow_run_id: Annotated[TaskRunFlowRun | None, on("t.flow_run_id")] = None


class FlowOrDeploymentName(Leaf):
    """A part of the deployment's name or of its flow's; `at` is the deployment's alias."""

    like_: str | None = None

    def conditions(self, at: on) -> list[Condition]:
        if not self.like_:
            return []
        flow = f"select 1 from flow its where its.id = {at.column}.flow_id and its.name {{like}} {{text:pattern}}"
        text = f"({at.column}.name {{like}} {{text:pattern}} or exists ({flow}))"
        return [Condition(text, {"pattern": f"%{self.like_}%"})]


class DeploymentLimit(Leaf):
    """Accepted and ignored, as in the reference: the column went away."""

    ge_: int | None = None
    le_: int | None = None
    is_null_: bool | None = None


class DeploymentFilter(Filter):
    id: Annotated[Ids | None, on("d.id")] = None
    name: Annotated[Name | None, on("d.name")] = None
    flow_or_deployment_name: Annotated[FlowOrDeploymentName | None, on("d")] = None
    paused: Annotated[leaves.Flag | None, on("d.paused")] = None
    tags: Annotated[Tags | None, on("d.tags")] = None
    work_queue_name: Annotated[AnyText | None, on("d.work_queue_name")] = None
    concurrency_limit: DeploymentLimit | None = None


class WorkPoolFilter(Filter):
    id: Annotated[AnyId | None, on("p.id")] = None
    name: Annotated[AnyText | None, on("p.name")] = None
    type: Annotated[AnyText | None, on("p.type")] = None


class WorkQueueFilter(Filter):
    id: Annotated[AnyId | None, on("q.id")] = None
    name: Annotated[leaves.NamePrefix | None, on("q.name")] = None
