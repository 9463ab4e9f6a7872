"""The one table from errors to answers; its shapes are the reference's."""

from __future__ import annotations

import json as stdlib_json
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from lictor.kit import errors
from lictor.web import replies
from lictor.web.replies import JSON_TYPE, Wire
from lictor.web.request import Request

log = logging.getLogger("lictor.web")

Answer = Callable[[Any], Wire]


def _detail(status: int) -> Answer:
    return lambda error: replies.json({"detail": error.message}, status)


def _exception(status: int) -> Answer:
    return lambda error: replies.json({"exception_message": error.message}, status)


def _locked(error: errors.Locked) -> Wire:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return replies.json({"detail": error.message}, 423, headers)


def _any_status(error: errors.HTTPError) -> Wire:
    return replies.json({"detail": error.detail}, error.status, error.headers)


def _invalid(error: errors.Invalid) -> Wire:
    content = {
        "exception_message": error.message,
        "exception_detail": error.errors,
        "request_body": error.body,
    }
    try:
        return replies.json(content, 422)
    except (msgspec.EncodeError, UnicodeEncodeError):
        # Half a surrogate pair in what the client sent: only ASCII escapes can send it back.
        return Wire(422, [JSON_TYPE], stdlib_json.dumps(content).encode())


TABLE: dict[type[Exception], Answer] = {
    errors.NotFound: _detail(404),
    errors.ObjectNotFound: _exception(404),
    errors.Conflict: _detail(409),
    errors.Refused: _detail(403),
    errors.BadRequest: _detail(400),
    errors.Unprocessable: _detail(422),
    errors.Invalid: _invalid,
    errors.Gone: _detail(410),
    errors.Locked: _locked,
    errors.Unavailable: lambda error: replies.json({"exception_message": "Service Unavailable"}, 503),
    errors.HTTPError: _any_status,
}


def answer(error: Exception, request: Request) -> Wire:
    """The answer to `error`; what is not in the table is a bug: 500, and its traceback goes to the log."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind](error)
    log.error("%s %s failed", request.method, request.full_path, exc_info=error)
    return replies.json({"exception_message": "Internal Server Error"}, 500)
