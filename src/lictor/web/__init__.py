"""HTTP machinery on raw ASGI; it knows no concept. What concepts use is gathered here."""

from lictor.web.paging import Page, page_offset, paginate
from lictor.web.replies import Created, Reply, Streaming
from lictor.web.request import Request
from lictor.web.routing import Router
from lictor.web.shapes import (
    DEFAULT_LIMIT,
    Checked,
    Checks,
    Choice,
    Each,
    Embedded,
    FieldError,
    Header,
    Instant,
    Limit,
    Offset,
    PageNumber,
    Query,
    Seconds,
)
from lictor.web.sockets import Closed, Socket

__all__ = [
    "DEFAULT_LIMIT",
    "Checked",
    "Checks",
    "Choice",
    "Closed",
    "Created",
    "Each",
    "Embedded",
    "FieldError",
    "Header",
    "Instant",
    "Limit",
    "Offset",
    "Page",
    "PageNumber",
    "Query",
    "Reply",
    "Request",
    "Router",
    "Seconds",
    "Socket",
    "Streaming",
    "page_offset",
    "paginate",
]
