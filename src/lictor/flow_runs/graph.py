"""A flow run's graph: its task runs and subflow runs, and which used whose results.

Task inputs name the runs that an argument came from. A task run that stands for a subflow run is shown as that run,
under its id; inputs that name the stand-in lead nowhere, as in the reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Raw, Struct

from lictor.db import Joined, Tx, sql
from lictor.filters import estimates
from lictor.kit import clock
from lictor.kit.errors import BadRequest, ObjectNotFound
from lictor.states.types import State, StateType

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_NO_LIMIT = 2**31 - 1
_ENCAPSULATING = "__parents__"


class Edge(Struct):
    id: str


class GraphState(Struct):
    id: str
    timestamp: datetime
    type: StateType
    name: str


class GraphArtifact(Struct):
    """`data` is only there for progress artifacts."""

    id: str
    created: datetime
    key: str | None
    type: str | None
    is_latest: bool
    data: Raw | None


class Node(Struct):
    kind: Literal["flow-run", "task-run"]
    id: str
    label: str
    state_type: StateType | None
    start_time: datetime
    end_time: datetime | None
    parents: list[Edge]
    children: list[Edge]
    encapsulating: list[Edge]
    artifacts: list[GraphArtifact]


class Graph(Struct):
    """`artifacts` are the flow run's own, those of its task runs are on the nodes."""

    start_time: datetime | None
    end_time: datetime | None
    root_node_ids: list[str]
    nodes: list[tuple[str, Node]]
    artifacts: list[GraphArtifact]
    states: list[GraphState]


class Input(Struct):
    """One origin of a task's argument; constants and parameters have no id."""

    input_type: str = ""
    id: str | None = None


class _Span(Struct):
    start_time: datetime | None
    end_time: datetime | None


class _NodeRow(Struct):
    kind: Literal["flow-run", "task-run"]
    id: str
    label: str
    state_type: StateType | None
    start_time: datetime
    end_time: datetime | None
    task_inputs: dict[str, list[Input]]


class _ArtifactRow(Struct):
    task_run_id: str | None
    artifact: Annotated[GraphArtifact, Joined]


class _DependencyRow(Struct):
    id: str
    name: str
    task_inputs: dict[str, list[Input]]
    state_type: StateType | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    state: Annotated[State | None, Joined]


class Upstream(Struct, tag_field="input_type", tag="task_run"):
    id: str


class Dependency(Struct):
    """A task run and the task runs that it used, as the first version of the graph has it."""

    id: str
    name: str
    upstream_dependencies: list[Upstream]
    state: State | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    estimated_run_time: float
    untrackable_result: bool


_START = "coalesce(sub.start_time, sub.expected_start_time, t.start_time, t.expected_start_time)"

SPAN = sql(
    "flow_runs.graph_span",
    _Span,
    "select coalesce(start_time, expected_start_time), end_time from flow_run where id = :id",
)
NODES = sql(
    "flow_runs.graph_nodes",
    _NodeRow,
    f"""
    select case when sub.id is null then 'task-run' else 'flow-run' end, coalesce(sub.id, t.id),
        coalesce(f.name || ' / ' || sub.name, t.name), coalesce(sub.state_type, t.state_type), {_START} as started,
        coalesce(sub.end_time, t.end_time, case t.state_type when 'COMPLETED' then t.expected_start_time end) as ended,
        t.task_inputs
    from task_run t
    left join flow_run sub on sub.parent_task_run_id = t.id
    left join flow f on f.id = sub.flow_id
    where t.flow_run_id = :id and {_START} is not null
    order by started, ended
    limit :limit
    """,
)
ARTIFACTS = sql(
    "flow_runs.graph_artifacts",
    _ArtifactRow,
    """
    select a.task_run_id, a.id, a.created, a.key, a.type, a.key is null or c.id is not null,
        case when a.type = 'progress' then a.data end
    from artifact a
    left join artifact_collection c on c.key = a.key and c.latest_id = a.id
    where a.flow_run_id = :id and a.type <> 'result'
    order by a.created, a.id
    limit :limit
    """,
)
STATES = sql(
    "flow_runs.graph_states",
    GraphState,
    "select id, timestamp, type, name from flow_run_state where flow_run_id = :id order by timestamp",
)
DEPENDENCIES = sql(
    "flow_runs.dependencies",
    _DependencyRow,
    """
    select t.id, t.name, t.task_inputs, t.state_type, t.expected_start_time, t.start_time, t.end_time, t.total_run_time,
        s.id, s.type, s.name, s.timestamp, s.message, s.data, s.state_details
    from task_run t
    left join task_run_state s on s.id = t.state_id
    where t.flow_run_id = :id
    order by t.id desc
    """,
)


def get_graph(tx: Tx, run_id: str, since: datetime, max_nodes: int, max_artifacts: int) -> Graph:
    """The nodes that had not ended at `since`, in order of start; edges and roots are those of all nodes.

    ObjectNotFound for an unknown run, BadRequest for more than `max_nodes` nodes.
    """
    span = tx.get(SPAN, ObjectNotFound(f"Flow run {run_id} not found"), id=run_id)
    # Nodes before `since` are still needed as ends of edges; without `since`, what is over the limit is not.
    rows = tx.all(NODES, id=run_id, limit=max_nodes + 1 if since == EARLIEST else _NO_LIMIT)
    shown = [row for row in rows if row.end_time is None or row.end_time >= since]
    if len(shown) > max_nodes:
        raise BadRequest(f"The graph of flow run {run_id} has more than {max_nodes} nodes.")
    artifacts: dict[str | None, list[GraphArtifact]] = defaultdict(list)
    for found in tx.all(ARTIFACTS, id=run_id, limit=max_artifacts):
        artifacts[found.task_run_id].append(found.artifact)
    edges = _Edges(rows)
    nodes = [edges.node(row, artifacts.get(row.id, [])) for row in shown]
    return Graph(
        span.start_time,
        span.end_time,
        [node.id for node in nodes if not node.parents],
        [(node.id, node) for node in nodes],
        artifacts.get(None, []),
        tx.all(STATES, id=run_id),
    )


class _Edges:
    """Who used whose result, among the nodes of one graph; each pair once, in order of id."""

    def __init__(self, rows: Iterable[_NodeRow]) -> None:
        self.parents: dict[str, set[str]] = {row.id: set() for row in rows}
        self.children: dict[str, set[str]] = {row.id: set() for row in rows}
        self.encapsulating: dict[str, set[str]] = {row.id: set() for row in rows}
        for row in rows:
            for key, inputs in row.task_inputs.items():
                self._add(row.id, inputs, key == _ENCAPSULATING)

    def _add(self, child: str, inputs: list[Input], encapsulates: bool) -> None:
        for origin in inputs:
            if origin.id is None or origin.id not in self.parents:
                continue
            if encapsulates:
                self.encapsulating[child].add(origin.id)
            else:
                self.parents[child].add(origin.id)
                self.children[origin.id].add(child)

    def node(self, row: _NodeRow, artifacts: list[GraphArtifact]) -> Node:
        return Node(
            row.kind,
            row.id,
            row.label,
            row.state_type,
            row.start_time,
            row.end_time,
            _edges(self.parents[row.id]),
            _edges(self.children[row.id]),
            _edges(self.encapsulating[row.id]),
            artifacts,
        )


def _edges(ids: set[str]) -> list[Edge]:
    return [Edge(id) for id in sorted(ids)]


def get_dependencies(tx: Tx, run_id: str) -> list[Dependency]:
    """Every task run of a flow run with its upstream task runs. ObjectNotFound for an unknown run."""
    tx.get(SPAN, ObjectNotFound(f"Flow run with id {run_id} not found"), id=run_id)
    now = clock.now()
    return [_dependency(row, now) for row in tx.all(DEPENDENCIES, id=run_id)]


def _dependency(row: _DependencyRow, now: datetime) -> Dependency:
    origins = [origin for inputs in row.task_inputs.values() for origin in inputs]
    upstream = dict.fromkeys(origin.id for origin in origins if origin.input_type == "task_run" and origin.id)
    entered = None if row.state is None else row.state.timestamp
    return Dependency(
        row.id,
        row.name,
        [Upstream(id) for id in upstream],
        row.state,
        row.expected_start_time,
        row.start_time,
        row.end_time,
        row.total_run_time,
        estimates.run_time(row.total_run_time, row.state_type, entered, now),
        False if row.state is None else row.state.state_details.untrackable_result,
    )
