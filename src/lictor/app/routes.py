"""Every router there is."""

from __future__ import annotations

from lictor import (
    admin,
    collections,
    csrf,
    flow_run_states,
    flows,
    logs,
    observed_states,
    root,
    saved_searches,
    task_run_states,
    task_workers,
    variables,
)
from lictor.artifacts import routes as artifact_routes
from lictor.automations import routes as automation_routes
from lictor.blocks import routes as block_document_routes
from lictor.blocks import schema_routes as block_schema_routes
from lictor.blocks import type_routes as block_type_routes
from lictor.concurrency import routes as concurrency_routes
from lictor.concurrency import tag_routes as tag_limit_routes
from lictor.deployments import routes as deployment_routes
from lictor.events import routes as event_routes
from lictor.flow_runs import list_routes as flow_run_lists
from lictor.flow_runs import routes as flow_run_routes
from lictor.task_runs import routes as task_run_routes
from lictor.task_runs import subscriptions as task_subscriptions
from lictor.ui import flow_runs as ui_flow_runs
from lictor.ui import flows as ui_flows
from lictor.ui import schemas as ui_schemas
from lictor.ui import task_runs as ui_task_runs
from lictor.web import Router
from lictor.work_pools import channel
from lictor.work_pools import queue_routes as work_queue_routes
from lictor.work_pools import routes as work_pool_routes

ROUTERS: tuple[Router, ...] = (
    root.router,
    admin.router,
    csrf.router,
    flows.router,
    flow_run_routes.router,
    flow_run_lists.router,
    flow_run_states.router,
    task_run_routes.router,
    task_run_states.router,
    observed_states.router,
    logs.router,
    variables.router,
    saved_searches.router,
    task_subscriptions.router,
    task_workers.router,
    concurrency_routes.router,
    tag_limit_routes.router,
    event_routes.router,
    artifact_routes.router,
    deployment_routes.router,
    block_type_routes.router,
    block_schema_routes.router,
    block_schema_routes.capabilities_router,
    block_document_routes.router,
    collections.router,
    work_pool_routes.router,
    channel.router,
    work_queue_routes.router,
    ui_flows.router,
    ui_flow_runs.router,
    ui_task_runs.router,
    ui_schemas.router,
    automation_routes.router,
    automation_routes.template_router,
)
