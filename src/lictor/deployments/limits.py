"""A deployment's concurrency limit: one of its own, which goes with it, or one that it shares."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, UnsetType

from lictor.concurrency import limits
from lictor.concurrency.types import ConcurrencyLimitV2Create, ConcurrencyLimitV2Update
from lictor.db import Tx
from lictor.kit.errors import NotFound


def own_name(deployment_id: str) -> str:
    return f"deployment:{deployment_id}"


def check_shared(tx: Tx, limit_id: UUID | UnsetType | None) -> None:
    """Raises NotFound for the id of a limit that is not there."""
    if isinstance(limit_id, UUID) and limits.find(tx, str(limit_id)) is None:
        raise NotFound("Concurrency limit not found")


def after(
    tx: Tx,
    deployment_id: str,
    now_linked: str | None,
    number: int | UnsetType | None,
    shared: UUID | UnsetType | None,
) -> str | None:
    """The id of the limit that the deployment has from now on, made or changed as the client asks for."""
    linked = now_linked if shared is UNSET else None if shared is None else str(shared)
    if number is UNSET:
        return linked
    if number is None:
        drop_own(tx, [deployment_id])
        return linked if isinstance(shared, UUID) else None
    found = limits.find(tx, linked) if linked is not None else limits.find(tx, own_name(deployment_id))
    if found is None:
        return limits.insert(tx, ConcurrencyLimitV2Create(name=own_name(deployment_id), limit=number)).id
    if found.limit != number:
        limits.update(tx, found.id, ConcurrencyLimitV2Update(limit=number))
    return found.id


def drop_own(tx: Tx, deployment_ids: list[str]) -> None:
    """The deployments' own limits go; one that others may share stays."""
    for deployment_id in deployment_ids:
        if limits.find(tx, own_name(deployment_id)) is not None:
            limits.delete(tx, own_name(deployment_id))
