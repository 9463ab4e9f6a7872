"""The events that tell of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from lictor.deployments.store import Deployment
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event, Labels

# The columns whose changes are told of, by the names that the reference tells them under.
TOLD = {
    "description": "description",
    "tags": "tags",
    "parameters": "parameters",
    "parameter_openapi_schema": "parameter_openapi_schema",
    "enforce_parameter_schema": "enforce_parameter_schema",
    "entrypoint": "entrypoint",
    "path": "path",
    "pull_steps": "pull_steps",
    "work_queue_id": "work_queue_id",
    "job_variables": "infra_overrides",
    "paused": "paused",
    "labels": "labels",
    "version": "version",
    "concurrency_limit_id": "concurrency_limit_id",
    "concurrency_options": "concurrency_options",
}


def changed(action: str, row: Deployment, occurred: datetime, payload: dict[str, Any] | None = None) -> Event:
    """The event `prefect.deployment.created`, `.updated`, `.deleted`, `.ready` or `.not-ready`."""
    return Event(
        occurred=occurred,
        event=f"prefect.deployment.{action}",
        resource={RESOURCE_ID: f"prefect.deployment.{row.id}", RESOURCE_NAME: row.name},
        related=related(row),
        payload=payload or {},
    )


def updated(old: Deployment, new: Deployment, occurred: datetime) -> Event | None:
    """The event that tells what changed; None when nothing did that is worth telling."""
    updates = {
        name: {"from": before, "to": after}
        for column, name in TOLD.items()
        if (before := getattr(old, column)) is not (after := getattr(new, column)) and _plain(before) != _plain(after)
    }
    if not updates:
        return None
    return changed("updated", new, occurred, {"updated_fields": list(updates), "updates": updates})


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def related(row: Deployment) -> list[Labels]:
    found: list[Labels] = [_named("flow", row.flow_id, row.flow_name)]
    if row.work_queue_id is not None and row.queue_name is not None:
        found.append(_named("work-queue", row.work_queue_id, row.queue_name))
    if row.pool_id is not None and row.pool_name is not None:
        found.append({**_named("work-pool", row.pool_id, row.pool_name), "prefect.work-pool.type": row.pool_type or ""})
    for kind, role, id in (
        ("block-document", "storage", row.storage_document_id),
        ("block-document", "infrastructure", row.infrastructure_document_id),
        ("concurrency-limit", "concurrency-limit", row.concurrency_limit_id),
    ):
        if id is not None:
            found.append({RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_ROLE: role})
    return found


def _named(kind: str, id: str, name: str) -> Labels:
    return {RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_NAME: name, RESOURCE_ROLE: kind}
