"""The events about collections of artifacts; about single artifacts clients tell by themselves."""

from __future__ import annotations

from lictor.artifacts.types import ArtifactCollection
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event
from lictor.kit import clock


def changed(action: str, collection: ArtifactCollection) -> Event:
    """The event `prefect.artifact-collection.created`, `.updated` or `.deleted`."""
    related = [{RESOURCE_ID: f"prefect.artifact.{collection.latest_id}", RESOURCE_ROLE: "latest"}]
    for kind, id in (("flow-run", collection.flow_run_id), ("task-run", collection.task_run_id)):
        if id is not None:
            related.append({RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_ROLE: kind})
    return Event(
        occurred=clock.now(),
        event=f"prefect.artifact-collection.{action}",
        resource={RESOURCE_ID: f"prefect.artifact-collection.{collection.id}", RESOURCE_NAME: collection.key},
        related=related,
        payload={
            "key": collection.key,
            "type": collection.type,
            "data": collection.data,
            "description": collection.description,
        },
    )
