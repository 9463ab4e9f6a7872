"""/flow_runs: lists, counts, history, lateness, graphs and logs. What changes a run is in `routes`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from lictor.db import Database
from lictor.filters.history import Interval
from lictor.flow_runs import download, graph, listing
from lictor.flow_runs.listing import FlowRunHistory, FlowRunPage, FlowRunQuery, FlowRunSlice
from lictor.flow_runs.types import FlowRunResponse
from lictor.settings import Settings
from lictor.web import Instant, Page, Query, Router, Streaming

router = Router("/flow_runs", tag="Flow Runs")


@router.post("/filter", name="read_flow_runs")
def page(body: FlowRunSlice, db: Database) -> Awaitable[list[FlowRunResponse]]:
    return db.read(listing.find_slice, body)


@router.post("/paginate", name="paginate_flow_runs")
def paginate(body: FlowRunPage, db: Database) -> Awaitable[Page[FlowRunResponse]]:
    return db.read(listing.find_page, body)


@router.post("/count", name="count_flow_runs")
def count(body: FlowRunQuery, db: Database) -> Awaitable[int]:
    return db.read(listing.count, body)


@router.post("/lateness", name="average_flow_run_lateness")
def lateness(body: FlowRunQuery, db: Database) -> Awaitable[float | None]:
    return db.read(listing.lateness, body)


@router.post("/history", name="flow_run_history")
def history(body: FlowRunHistory, db: Database) -> Awaitable[list[Interval]]:
    return db.read(listing.history, body)


@router.get("/{id:uuid}/graph", name="read_flow_run_graph_v1")
def dependencies(id: str, db: Database) -> Awaitable[list[graph.Dependency]]:
    return db.read(graph.get_dependencies, id)


@router.get("/{id:uuid}/graph-v2", name="read_flow_run_graph_v2")
def graph_v2(
    id: str, db: Database, settings: Settings, since: Annotated[Instant, Query()] = graph.EARLIEST
) -> Awaitable[graph.Graph]:
    limits = settings.flow_run_graph
    return db.read(graph.get_graph, id, since, limits.max_nodes, limits.max_artifacts)


@router.get("/{id:uuid}/logs/download", name="download_logs", media="text/csv")
async def logs(id: str, db: Database) -> Streaming:
    name = await db.read(download.get_file_name, id)
    disposition = f"attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{name}"
    return Streaming(download.chunks(db, id), "text/csv; charset=utf-8", {"content-disposition": disposition})
