"""Parameters that clients send: what stands for something else is filled in, and a JSON Schema is held against them."""

from typing import TYPE_CHECKING

from lictor.kit.lazy import lazy
from lictor.parameters.hydration import HydrationError, hydrate, hydrate_draft
from lictor.parameters.sizes import check_size

if TYPE_CHECKING:
    from lictor.parameters import schemas
else:
    schemas = lazy("lictor.parameters.schemas")

__all__ = ["HydrationError", "check_size", "hydrate", "hydrate_draft", "schemas"]
