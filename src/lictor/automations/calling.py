"""Actions that leave this server, and what is made ready for those that do not: templates are rendered in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lictor.automations import actions as kinds
from lictor.automations import parameters
from lictor.automations.doing import Done
from lictor.automations.executing import CALL_SECONDS, Outside
from lictor.automations.firing import Invocation
from lictor.automations.inferring import Failed, labelled
from lictor.automations.inferring import target as inferred
from lictor.automations.queueing import Due
from lictor.automations.templating import Renderer
from lictor.blocks import calling
from lictor.blocks.calling import CalledBlock, CallFailed
from lictor.blocks.encryption import Cipher
from lictor.db import Database
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE

# Within the time in which a call has to end, so that its own words are heard.
ANSWER_SECONDS = CALL_SECONDS / 2
PRIVATE = frozenset({"authorization", "traceparent", "via", "set-cookie"})
PRIVATE_PREFIXES = ("x-forwarded", "x-b3", "x-cloud-trace", "x-envoy", "x-prefect")


def outside(db: Database, cipher: Cipher, ui: str | None) -> Outside:
    """How notifications are sent, webhooks called, and parameters of deployments rendered."""
    world = World(db, cipher, Renderer(ui))
    return Outside(
        calls={kinds.CallWebhook: world.call_webhook, kinds.SendNotification: world.notify},
        prepare={kinds.RunDeployment: world.parameters},
    )


class World:
    def __init__(self, db: Database, cipher: Cipher, renderer: Renderer) -> None:
        self._db = db
        self._cipher = cipher
        self._renderer = renderer

    async def call_webhook(self, due: Due, action: kinds.CallWebhook, done: Done) -> None:
        (payload,) = await self._rendered(due.invocation, [action.payload])
        answer = await self._call(
            done, calling.call_webhook(self._db, self._cipher, target(due), payload, timeout=ANSWER_SECONDS)
        )
        about(done, answer.block)
        headers = {name: value for name, value in answer.headers.items() if not is_private(name)}
        done.details |= {"status_code": answer.status, "response_body": answer.body, "response_headers": headers}

    async def notify(self, due: Due, action: kinds.SendNotification, done: Done) -> None:
        subject, body = await self._rendered(due.invocation, [action.subject, action.body])
        sending = calling.notify(self._db, self._cipher, target(due), subject, body, timeout=ANSWER_SECONDS)
        about(done, await self._call(done, sending))

    async def parameters(self, due: Due, action: kinds.RunDeployment) -> Any:
        upgraded = parameters.upgraded(action.parameters or {})
        sources = list(parameters.jinja_in(upgraded))
        if not sources:
            return upgraded
        context = await self._db.read(self._renderer.context, due.invocation, sources)
        try:
            return await asyncio.to_thread(
                parameters.rendered, upgraded, lambda source: self._renderer.render(source, context)
            )
        except Failed as error:
            words = f"Unable to create flow run from deployment: {error.reason}"
            id = inferred(due.invocation, "deployment", action.deployment_id)
            raise Failed(words, [labelled("deployment", id)], **error.details) from error

    async def _rendered(self, invocation: Invocation, sources: list[str]) -> list[str]:
        context = await self._db.read(self._renderer.context, invocation, sources)
        render: Callable[[], list[str]] = lambda: [self._renderer.render(source, context) for source in sources]  # noqa: E731
        return await asyncio.to_thread(render)

    async def _call(self, done: Done, calling: Awaitable[Any]) -> Any:
        try:
            return await calling
        except CallFailed as error:
            if error.block is not None:
                about(done, error.block)
            if error.log:
                done.details["notification_log"] = error.log
            raise Failed(str(error)) from error


def target(due: Due) -> str:
    assert due.target is not None
    return due.target


def about(done: Done, block: CalledBlock) -> None:
    document = {
        RESOURCE_ID: f"prefect.block-document.{block.id}",
        RESOURCE_ROLE: "block",
        RESOURCE_NAME: block.name,
    }
    kind = {RESOURCE_ID: f"prefect.block-type.{block.type_slug}", RESOURCE_ROLE: "block-type"}
    done.related += [document, kind]


def is_private(header: str) -> bool:
    """Whether a header of an answer is better not kept in an event."""
    return header.lower() in PRIVATE or header.lower().startswith(PRIVATE_PREFIXES)
