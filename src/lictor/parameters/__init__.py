"""Parameters that clients send: templates in them are filled in (`hydrate`), and they are held against a JSON Schema."""

from lictor.parameters.hydration import HydrationError, hydrate
from lictor.parameters.schemas import CircularSchema, Mismatch, validate

__all__ = ["CircularSchema", "HydrationError", "Mismatch", "hydrate", "validate"]
