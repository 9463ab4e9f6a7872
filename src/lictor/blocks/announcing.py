"""The events about documents. Of the data they have only top-level text, and none that the schema calls secret."""

from __future__ import annotations

from lictor.blocks.types import BlockDocument
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Event
from lictor.kit import clock


def changed(action: str, document: BlockDocument) -> Event:
    """The event `prefect.block-document.created`, `.updated` or `.deleted`; the document has its secrets masked."""
    secret = set(document.block_schema.secret_fields)
    data = {name: value for name, value in document.data.items() if name not in secret and isinstance(value, str)}
    return Event(
        occurred=clock.now(),
        event=f"prefect.block-document.{action}",
        resource={RESOURCE_ID: f"prefect.block-document.{document.id}", RESOURCE_NAME: document.name},
        related=[
            {
                RESOURCE_ID: f"prefect.block-type.{document.block_type_id}",
                RESOURCE_ROLE: "block-type",
                RESOURCE_NAME: document.block_type_name,
            },
            {RESOURCE_ID: f"prefect.block-schema.{document.block_schema_id}", RESOURCE_ROLE: "block-schema"},
        ],
        payload={
            "name": document.name,
            "data": data,
            "block_schema": {
                "capabilities": document.block_schema.capabilities,
                "block_type": {"id": document.block_type_id, "name": document.block_type_name},
            },
        },
    )
