"""Who may ask: Basic authorization, CSRF tokens, and the version of the API that a client speaks."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Awaitable, Callable

from lictor.kit.errors import BadRequest
from lictor.web import replies
from lictor.web.notices import Notices
from lictor.web.replies import Wire
from lictor.web.request import Request

UNGUARDED = frozenset({"/health", "/ready"})
UNVERSIONED = frozenset({"/health", "/version"})
OLDEST_API = (0, 8, 0)

# What every 3.x client sends; compared before anything is parsed.
SPOKEN = b"0.8.4"

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# (token, client) -> whether that client holds that token now
CsrfCheck = Callable[[str, str], Awaitable[bool]]

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def authorized(request: Request, auth_string: str) -> bool:
    """Whether the request bears the secret: `Basic` with it in base64, or `Bearer` with it as it is."""
    scheme, _, given = (request.raw_headers.get(b"authorization") or b"").partition(b" ")
    match scheme.lower():
        case b"basic":
            return same_secret(_decoded(given), auth_string)
        case b"bearer":
            return same_secret(given.strip(), auth_string)
    return False


def _decoded(coded: bytes) -> bytes:
    try:
        return base64.b64decode(coded)
    except binascii.Error:
        return b""


def same_secret(given: bytes, secret: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given, secret.encode())


def unauthorized(request: Request, notices: Notices) -> Wire:
    # Dashboards ask without credentials until somebody logs in; who sends wrong ones wants to be told.
    if b"authorization" in request.raw_headers:
        notices.warn("credentials", "requests are refused: their Authorization is not PREFECT_SERVER_API_AUTH_STRING")
    return replies.json({"exception_message": "Unauthorized"}, 401)


async def csrf_refusal(request: Request, valid: CsrfCheck) -> Wire | None:
    """The 403 for a mutating request without a good token, or None."""
    token, client = request.header("prefect-csrf-token"), request.header("prefect-csrf-client")
    if not token:
        return replies.json({"detail": "Missing CSRF token."}, 403)
    if not client:
        return replies.json({"detail": "Missing client identifier."}, 403)
    if not await valid(token, client):
        headers = {"Access-Control-Allow-Origin": "*"}
        return replies.json({"detail": "Invalid CSRF token or client identifier."}, 403, headers)
    return None


def check_version(value: bytes) -> None:
    """BadRequest for a client that speaks an older API, or whose header is not x.y.z."""
    text = value.decode("latin-1")
    found = _VERSION.fullmatch(text.strip())
    if not found:
        raise BadRequest(
            f"Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {text}"
        )
    if tuple(map(int, found.groups())) < OLDEST_API:
        raise BadRequest(f"The request specified API version {text} but this server requires version 0.8.0 or higher.")
