"""Every page of the dashboards, and what must be readable on it. Names in braces are ids of the `World`."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    path: str
    texts: tuple[str, ...]


def page(path: str, *texts: str) -> Page:
    return Page(path, texts)


V2 = (
    page("/dashboard", "Flow Runs", "Task Runs", "Active Work Pools"),
    page("/runs", "Flow runs", "green-heron", "red-crab", "odd-wasp", "tired-sloth"),
    page("/runs/flow-run/{green-heron}", "green-heron", "Completed", "3 Task runs", "demo-etl", "line 0", "line 4"),
    page("/runs/flow-run/{red-crab}", "red-crab", "Failed", "1 Task run"),
    page("/runs/flow-run/{small-heron}", "small-heron", "Parent Run", "green-heron"),
    page("/runs/flow-run/{blue-otter}", "blue-otter", "Running", "1 Task run"),
    page("/runs/flow-run/{calm-owl}", "calm-owl", "Paused"),
    page("/runs/flow-run/{early-bird}", "early-bird", "Scheduled", "Run has not yet started"),
    page("/runs/task-run/{break-0}", "break-0", "red-crab", "Failed", "Run Count"),
    page("/flows", "1 Flow", "demo-etl"),
    page("/flows/flow/{flow}", "demo-etl", "Flow Runs", "Task Runs", "Deployments"),
    page("/deployments", "1 Deployment", "nightly", "demo-etl"),
    page("/deployments/deployment/{deployment}", "nightly", "demo-etl", "Configuration"),
    page("/deployments/deployment/{deployment}/run", "Run Name", "factor", "Enforce Parameter Schema", "Submit"),
    page("/deployments/deployment/{deployment}/edit", "nightly", "General", "Tags"),
    page("/deployments/deployment/{deployment}/duplicate", "nightly", "Duplicate", "General"),
    page("/work-pools", "1 work pool", "demo-pool"),
    page("/work-pools/work-pool/{pool:demo-pool}", "demo-pool", "Work Queues", "Workers"),
    page("/work-pools/create", "Infrastructure Type", "Kubernetes"),
    page("/work-pools/work-pool/{pool:demo-pool}/edit", "demo-pool", "Base Job Template", "Command"),
    page("/work-pools/work-pool/{queue:demo-pool/queue/demo-high}", "demo-pool", "demo-high", "Upcoming Runs"),
    page("/work-pools/work-pool/{pool:demo-pool}/queue/create", "Create Work Queue", "Priority"),
    page("/work-pools/work-pool/{queue:demo-pool/queue/demo-high}/edit", "demo-high", "Edit", "Priority"),
    page("/blocks", "1 Block", "demo-secret", "Secret"),
    page("/blocks/block/{block}", "demo-secret", "Secret"),
    page("/blocks/block/{block}/edit", "demo-secret", "Value", "Save"),
    page("/blocks/catalog", "Catalog", "Secret"),
    page("/blocks/catalog/secret", "Secret", "value stored in this block will be obfuscated"),
    page("/blocks/catalog/secret/create", "Secret", "Create", "Value"),
    page("/variables", "1 Variable", "demo_variable", '"a": 1'),
    page("/automations", "1 automation", "demo-automation", "Cancel flow run"),
    page("/automations/automation/{automation}", "demo-automation", "When any flow run", "Failed"),
    page("/automations/automation/{automation}/edit", "demo-automation", "Trigger Template"),
    page("/automations/create", "Trigger Template", "Custom"),
    page("/events", "Event Feed", "prefect.flow-run."),
    page("/concurrency-limits", "Global Concurrency Limits", "demo-limit"),
    page("/concurrency-limits/concurrency-limit/{tag_limit}", "demo-tag", "Concurrency Limit Count"),
    page("/artifacts", "3 artifacts", "demo-report", "demo-table", "demo-progress"),
    page("/artifacts/key/{markdown:demo-report}", "demo-report", "What came out"),
    page("/artifacts/artifact/{markdown}", "demo-report", "All is well."),
    page("/artifacts/artifact/{table}", "demo-table", "Oslo", "Bern"),
    page("/artifacts/artifact/{progress}", "demo-progress", "40%"),
    page("/settings", "Settings", "Version", "3.9.1"),
)

V1 = (
    page("/dashboard", "Flow Runs", "Task Runs", "Active Work Pools"),
    page("/runs", "Flow runs", "green-heron", "red-crab"),
    page("/runs/flow-run/{green-heron}", "green-heron", "Completed", "demo-etl"),
    page("/runs/task-run/{break-0}", "break-0", "Failed"),
    page("/flows", "1 Flow", "demo-etl"),
    page("/flows/flow/{flow}", "demo-etl"),
    page("/deployments", "1 Deployment", "nightly"),
    page("/deployments/deployment/{deployment}", "nightly", "demo-etl"),
    page("/work-pools", "1 work pool", "demo-pool"),
    page("/work-pools/work-pool/{pool:demo-pool}", "demo-pool"),
    page("/blocks", "1 Block", "demo-secret"),
    page("/variables", "1 Variable", "demo_variable"),
    page("/automations", "1 automation", "demo-automation"),
    page("/events", "Event Feed"),
    page("/concurrency-limits", "demo-limit"),
    page("/artifacts", "demo-report"),
    page("/artifacts/artifact/{markdown}", "All is well."),
    page("/settings", "Settings"),
)
