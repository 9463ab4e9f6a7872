"""Using blocks: a notification sent, a webhook called. For automations, which have nothing else to do with blocks.

The reference runs the client's Python class of a block. Nothing of the client runs here, so it is the blocks that come
with the SDK (see `notifying.SENDERS`, and `webhook`) and no others. Whatever goes wrong is one exception, `CallFailed`,
with a text for people; a call ends by its time-out, whatever the other side does.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lictor.blocks import documents, notifying
from lictor.blocks.addresses import Pinned, public_address
from lictor.blocks.encryption import Cipher
from lictor.blocks.threads import in_thread
from lictor.blocks.types import BlockDocument
from lictor.db import Database
from lictor.kit.errors import LictorError
from lictor.kit.lazy import lazy

httpx = lazy("httpx")

WEBHOOK = "webhook"
NOTIFIES = "notify"
MOST_OF_AN_ANSWER = 1000


class CallFailed(Exception):
    """A block could not be used. `log` is what the sender's library said about it; `block` is known if it was found."""

    def __init__(self, message: str, log: str = "", block: CalledBlock | None = None) -> None:
        super().__init__(message)
        self.log = log
        self.block = block


class CalledBlock(NamedTuple):
    """Which block it was, for the event that tells of the call."""

    id: str
    name: str
    type_slug: str


class WebhookAnswer(NamedTuple):
    """Any status is an answer. The body is cut off after a thousand characters."""

    block: CalledBlock
    status: int
    body: str
    headers: dict[str, str]


async def notify(
    db: Database, cipher: Cipher, block_document_id: str, subject: str | None, body: str, *, timeout: float
) -> CalledBlock:
    """Send a notification by a notification block. Raises CallFailed."""
    block, document = await _load(db, cipher, block_document_id)
    if NOTIFIES not in document.block_schema.capabilities:
        raise CallFailed("The referenced block was not a notification block", block=block)
    message = notifying.Message(subject, body)
    if block.type_slug == notifying.CUSTOM_WEBHOOK:
        await _notify_by_request(block, document.data, message, timeout)
        return block
    try:
        async with asyncio.timeout(timeout):
            await in_thread(notifying.send, block.type_slug, document.data, message, timeout)
    except TimeoutError:
        raise CallFailed(f"Notification failed: no answer within {timeout:g} seconds", block=block) from None
    except notifying.NotSent as error:
        raise CallFailed(str(error), error.log, block) from None
    return block


async def call_webhook(
    db: Database, cipher: Cipher, block_document_id: str, payload: Any, *, timeout: float
) -> WebhookAnswer:
    """Call a webhook block's URL with a text, or with anything else as JSON. Raises CallFailed."""
    block, document = await _load(db, cipher, block_document_id)
    if block.type_slug != WEBHOOK:
        raise CallFailed("The referenced block was not a webhook block", block=block)
    data = document.data
    request = {
        "method": data.get("method", "POST"),
        "url": data.get("url"),
        "headers": data.get("headers") or {},
        "content" if isinstance(payload, str) else "json": payload,
    }
    options = _Options(data.get("allow_private_urls", True), data.get("verify", True))
    return await _call(block, request, options, timeout, "Webhook call failed")


async def _load(db: Database, cipher: Cipher, id: str) -> tuple[CalledBlock, BlockDocument]:
    try:
        document = await db.read(documents.get, id, cipher, True)
    except LictorError as error:
        raise CallFailed(error.message) from None
    return CalledBlock(document.id, document.name, document.block_type.slug), document


async def _notify_by_request(
    block: CalledBlock, data: dict[str, Any], message: notifying.Message, timeout: float
) -> None:
    try:
        request = notifying.custom_request(data, message)
    except notifying.NotSent as error:
        raise CallFailed(str(error), block=block) from None
    options = _Options(data.get("allow_private_urls", True), True)
    timeout = min(timeout, float(data.get("timeout") or timeout))
    answer = await _call(block, request, options, timeout, "Notification failed")
    if answer.status >= 400:
        raise CallFailed(f"Notification failed: the webhook answered {answer.status}", answer.body, block)


class _Options(NamedTuple):
    allow_private_urls: bool
    verify: bool


async def _call(
    block: CalledBlock, request: dict[str, Any], options: _Options, timeout: float, failed: str
) -> WebhookAnswer:
    try:
        async with asyncio.timeout(timeout):
            return await _request(block, request, options, timeout)
    except TimeoutError:
        raise CallFailed(f"{failed}: no answer within {timeout:g} seconds", block=block) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, TypeError) as error:
        raise CallFailed(f"{failed}: {_said(error)}", block=block) from None


async def _request(block: CalledBlock, request: dict[str, Any], options: _Options, timeout: float) -> WebhookAnswer:
    # To load the library and the certificates takes longer than the loop may stand still, the first time.
    context = await in_thread(_context, options.verify)
    pinned = await _pinned(request, options)
    async with (
        httpx.AsyncClient(verify=context, timeout=timeout, cookies=request.pop("cookies", None)) as client,
        client.stream(**{**request, **pinned}) as response,
    ):
        body = ""
        async for text in response.aiter_text():
            body += text
            if len(body) > MOST_OF_AN_ANSWER:
                body = body[:MOST_OF_AN_ANSWER]
                break
        return WebhookAnswer(block, response.status_code, body, dict(response.headers))


@cache
def _context(verify: bool) -> Any:
    """Made once: it reads all certificates of the system, which takes longer than the call of a webhook."""
    return httpx.create_ssl_context(verify=verify)


async def _pinned(request: dict[str, Any], options: _Options) -> dict[str, Any]:
    """The request's URL; where private addresses are not allowed, the public address that was looked up for it."""
    url = request.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("its URL is not an HTTP or HTTPS URL")
    if options.allow_private_urls:
        return {}
    pinned: Pinned = await in_thread(public_address, url)
    headers = {**(request.get("headers") or {}), "Host": pinned.host}
    return {"url": pinned.url, "headers": headers, "extensions": {"sni_hostname": pinned.name}}


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


__all__ = ["CallFailed", "CalledBlock", "WebhookAnswer", "call_webhook", "notify"]
