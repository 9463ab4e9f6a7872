"""What can go wrong, said where it is known. `web.errors` maps each class to a status, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class LictorError(Exception):
    """The base of every error that has an answer; a subclass may give its message as its docstring's first line."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message if message is not None else self.default_message()
        super().__init__(self.message)

    @classmethod
    def default_message(cls) -> str:
        lines = (cls.__doc__ or cls.__name__).strip().splitlines()
        return lines[0]


class NotFound(LictorError):
    """Not found"""


class ObjectNotFound(LictorError):
    """Object not found"""


class Conflict(LictorError):
    """A constraint of the database was violated; without a message, the reference's general text."""

    @classmethod
    def default_message(cls) -> str:
        return (
            "Data integrity conflict. This usually means a unique or foreign key constraint was violated. "
            "See server logs for details."
        )

    def __init__(self, message: str | None = None, *, constraint: str | None = None) -> None:
        super().__init__(message)
        self.constraint = constraint


class Refused(LictorError):
    """Forbidden"""


class BadRequest(LictorError):
    """Bad request"""


class Unprocessable(LictorError):
    """Unprocessable"""


class OutOfRange(Unprocessable, ValueError):
    """A value that can be written down but not stored"""


class Invalid(LictorError):
    """Input that does not have the declared shape: `errors` are pydantic-like dicts, `body` is what came."""

    def __init__(self, errors: Sequence[Mapping[str, Any]], body: Any = None) -> None:
        super().__init__("Invalid request received.")
        self.errors = list(errors)
        self.body = body


class Gone(LictorError):
    """Gone"""


class Locked(LictorError):
    """Locked"""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(LictorError):
    """Service Unavailable"""


class HTTPError(LictorError):
    """Any other status; `detail` is what goes on the wire, a string or JSON."""

    def __init__(self, status: int, detail: Any = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class FieldError(ValueError):
    """Blames one field of a Struct, with a pydantic-like error; a check of a single field need not name it."""

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        type: str = "value_error",
        ctx: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.type = type
        self.ctx = ctx
