"""`WS /work_pools/{name}/workers/connect`: a worker's heartbeats one way, what concerns it the other.

    worker                                    server
    worker.hello.v1          ──▶              the pool (made if asked for), its queues; the worker is there
                             ◀──              worker.ready.v1, with a first snapshot of the pool
    worker.heartbeat.v1      ──▶              every so many seconds
                             ◀──              work_pool.snapshot.v1, when the pool was changed
                             ◀──              cleanup.message.v1, if the worker takes such messages
    cleanup.ack/release/renew.v1 ──▶ ◀──      cleanup.operation_result.v1

The channel is a convenience: what it carries is in the database (`cleanups`, the pool's row), and a worker that cannot
have it uses REST. Bells tell of changes at once; changes made by a process whose bells are not heard here show at the
next heartbeat, and messages at the next look, every `LOOK_EVERY` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

from lictor.blocks.types import Blocks
from lictor.db import Database, Tx
from lictor.feed import Bell
from lictor.kit.errors import FieldError, LictorError, NotFound, Unavailable
from lictor.web import Closed, Router, Socket
from lictor.web.sockets import FAILURE, POLICY_VIOLATION, PROTOCOL_ERROR, SUBPROTOCOL, UNREADABLE
from lictor.work_pools import cleanups, pools, store, workers
from lictor.work_pools.cleanups import Holder, Operation, Policy
from lictor.work_pools.frames import (
    CLEANUP,
    REQUIRED,
    VERSION,
    Ack,
    AfterHello,
    Beat,
    Hello,
    HelloPayload,
    QueueName,
    Ready,
    Release,
    Renew,
    Sent,
    Settled,
    Snapshot,
)
from lictor.work_pools.templates import check_defaults
from lictor.work_pools.types import WorkPool, WorkPoolCreate
from lictor.work_pools.workers import Heartbeat

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
COALESCED_FOR = 0.05
"""Seconds: changes that follow each other are told of once."""

router = Router("/work_pools", tag="Work Pools")

_hello = msgspec.json.Decoder(Hello, strict=False).decode
_frame = msgspec.json.Decoder(AfterHello, strict=False).decode


class Channels(Struct, frozen=True):
    """What connections listen to, and how clean-up messages are delivered."""

    pools: Bell
    cleanups: Bell
    policy: Policy


Reason = Literal[
    "authentication_failed",
    "authorization_failed",
    "unsupported_version",
    "protocol_error",
    "heartbeat_persistence_failed",
    "transient_server_error",
]
CODES: dict[Reason, int] = {
    "authentication_failed": POLICY_VIOLATION,
    "authorization_failed": POLICY_VIOLATION,
    "unsupported_version": POLICY_VIOLATION,
    "protocol_error": PROTOCOL_ERROR,
    "heartbeat_persistence_failed": FAILURE,
    "transient_server_error": FAILURE,
}


class Refusal(Exception):
    """The reason for which a conversation ends, in the reference's words; they are part of the protocol."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = CODES[reason]


class Joined(Struct):
    """A worker that was let in."""

    pool: WorkPool
    queues: list[QueueName]


@router.websocket("/{work_pool_name}/workers/connect")
async def worker_channel_connect(
    work_pool_name: str, socket: Socket, db: Database, blocks: Blocks, channels: Channels
) -> None:
    try:
        if SUBPROTOCOL not in socket.scope.get("subprotocols", ()):
            raise Refusal("authentication_failed")
        hello = await _receive_hello(socket)
        joined = await _join(db, blocks, work_pool_name, hello)
        await Connection(socket, db, channels, work_pool_name, hello, joined).run()
    except Refusal as refusal:
        await socket.close(refusal.code, refusal.reason)


async def _receive_hello(socket: Socket) -> HelloPayload:
    try:
        hello = _hello(await socket.receive()).payload
    except UNREADABLE:
        raise Refusal("protocol_error") from None
    if VERSION not in hello.supported_channel_versions:
        raise Refusal("unsupported_version")
    return hello


async def _join(db: Database, blocks: Blocks, pool_name: str, hello: HelloPayload) -> Joined:
    try:
        return await db.write(join, blocks, pool_name, hello)
    except Unavailable as error:
        log.warning("a worker cannot be let in: %s", error)
        raise Refusal("transient_server_error") from None
    except (LictorError, FieldError):
        raise Refusal("protocol_error") from None


def join(tx: Tx, blocks: Blocks, pool_name: str, hello: HelloPayload) -> Joined:
    """Let a worker in, and note that it is there. Raises Refusal."""
    pool = _pool(tx, blocks, pool_name, hello)
    queues = _queues(tx, pool, hello.work_queue_names)
    workers.beat(tx, pool_name, Heartbeat(hello.worker_name, hello.heartbeat_interval_seconds))
    return Joined(store.get_pool(tx, pool_name), queues)


def _pool(tx: Tx, blocks: Blocks, pool_name: str, hello: HelloPayload) -> WorkPool:
    template = hello.default_base_job_template
    pool = tx.one(store.FIND_POOL, name=pool_name)
    if pool is None:
        if not hello.create_pool_if_not_found or pools.reserved(pool_name):
            raise Refusal("authorization_failed")
        new = WorkPoolCreate(name=pool_name, type=hello.worker_type, base_job_template=template)
        check_defaults(template, pools.contents(tx, blocks.cipher))
        return pools.insert(tx, new) or store.get_pool(tx, pool_name)
    if template and bytes(pool.base_job_template) == b"{}":
        check_defaults(template, pools.contents(tx, blocks.cipher))
        pools.apply(tx, store.lock_pool(tx, pool_name), {"base_job_template": template})
    return pool


def _queues(tx: Tx, pool: WorkPool, names: list[str]) -> list[QueueName]:
    found = {
        row.queue.name: QueueName(row.queue.id, row.queue.name) for row in tx.all(store.QUEUES_OF, pool_id=pool.id)
    }
    if not set(names) <= set(found):
        raise Refusal("authorization_failed")
    return [found[name] for name in dict.fromkeys(names)] or list(found.values())


class Connection:
    """The conversation with a worker that was let in."""

    def __init__(
        self, socket: Socket, db: Database, channels: Channels, pool_name: str, hello: HelloPayload, joined: Joined
    ) -> None:
        self._socket = socket
        self._db = db
        self._channels = channels
        self._pool_name = pool_name
        self._hello = hello
        self._joined = joined
        self._sequence = 1
        self._told = joined.pool
        self._holder = Holder(
            id=f"{hello.consumer_id}/{hello.worker_name}",
            pool_id=joined.pool.id,
            kinds=tuple(hello.handled_cleanup_kinds),
            queue_ids=tuple(queue.id for queue in joined.queues),
            most=(hello.max_cleanup_concurrency or 0) if hello.cleans else 0,
        )

    async def run(self) -> None:
        """Until one of the two leaves."""
        heard = self._channels.pools.rung
        await self._send("worker.ready.v1", self._ready())
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._follow_pool(heard))]
        if self._hello.cleans:
            tasks.append(asyncio.create_task(self._deliver()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _ready(self) -> Ready:
        hello = self._hello
        accepted = [*REQUIRED, *([CLEANUP] if hello.cleans else [])]
        return Ready(
            consumer_id=str(hello.consumer_id),
            worker_id=None,
            selected_channel_version=VERSION,
            effective_heartbeat_interval_seconds=hello.heartbeat_interval_seconds,
            accepted_capabilities=accepted,
            rejected_capabilities=[one for one in dict.fromkeys(hello.requested_capabilities) if one not in accepted],
            effective_max_cleanup_concurrency=self._holder.most,
            resolved_work_queues=self._joined.queues,
            initial_snapshot=Snapshot(self._sequence, "initial", self._joined.pool),
        )

    async def _send(self, type: str, payload: Ready | Snapshot | cleanups.Message | Settled) -> None:
        await self._socket.send(Sent(type, payload))  # type: ignore[arg-type]

    async def _receive(self) -> None:
        while True:
            try:
                frame = _frame(await self._socket.receive())
            except UNREADABLE:
                raise Refusal("protocol_error") from None
            match frame:
                case Beat():
                    await self._beat(frame)
                case Ack():
                    await self._settle("ack", frame)
                case Release():
                    await self._settle("release", frame)
                case Renew():
                    await self._settle("renew", frame)

    async def _beat(self, frame: Beat) -> None:
        said = frame.payload
        if (said.consumer_id, said.worker_name) != (self._hello.consumer_id, self._hello.worker_name):
            raise Refusal("protocol_error")
        heartbeat = Heartbeat(said.worker_name, said.heartbeat_interval_seconds)
        try:
            pool = await self._db.write(workers.beat, self._pool_name, heartbeat)
        except LictorError as error:
            log.warning("a heartbeat of the worker %s is lost: %s", said.worker_name, error)
            raise Refusal("heartbeat_persistence_failed") from None
        if pool.updated != self._told.updated:
            await self._tell("heartbeat_reconciliation")

    async def _follow_pool(self, heard: int) -> None:
        while True:
            await self._channels.pools.wait(3600, heard)
            await asyncio.sleep(COALESCED_FOR)
            heard = self._channels.pools.rung
            await self._tell("work_pool_updated")

    async def _tell(self, reason: str) -> None:
        """Send the pool, if it is not as it was told."""
        try:
            pool = await self._db.read(_by_id, self._joined.pool.id)
        except NotFound:
            raise Refusal("authorization_failed") from None
        except Unavailable as error:
            log.warning("a worker is not told of its pool: %s", error)
            return
        if reason == "work_pool_updated" and _essence(pool) == _essence(self._told):
            return
        self._sequence += 1
        self._told = pool
        await self._send("work_pool.snapshot.v1", Snapshot(self._sequence, reason, pool))

    async def _deliver(self) -> None:
        bell, policy = self._channels.cleanups, self._channels.policy
        while True:
            heard = bell.rung
            try:
                while await self._db.read(cleanups.waiting, policy, self._holder):
                    message = await self._db.write(cleanups.reserve, policy, self._holder)
                    if message is None:
                        break
                    await self._hand_over(message)
            except Unavailable as error:
                log.warning("clean-up messages wait for the database: %s", error)
            await bell.wait(LOOK_EVERY, heard)

    async def _hand_over(self, message: cleanups.Message) -> None:
        try:
            await self._send("cleanup.message.v1", message)
        except Closed:
            # The next worker need not wait until the lease expires.
            settle = (message.message_id, message.reservation_token)
            with suppress(LictorError):
                await self._db.write(cleanups.settle, self._channels.policy, self._holder.pool_id, "release", *settle)
            raise

    async def _settle(self, operation: Operation, frame: Ack | Release | Renew) -> None:
        id, token = str(frame.payload.message_id), frame.payload.reservation_token
        result = cleanups.Result(id, operation, "unauthorized", reason="cleanup_delivery_not_accepted")
        if self._hello.cleans:
            try:
                result = await self._db.write(
                    cleanups.settle, self._channels.policy, self._holder.pool_id, operation, id, token
                )
            except LictorError as error:
                log.warning("what a worker did with a clean-up message is lost: %s", error)
                result = cleanups.Result(id, operation, "error", reason="cleanup_queue_operation_failed")
        settled = Settled(str(frame.id), id, operation, result.status, result.lease_expires_at, result.reason)
        await self._send("cleanup.operation_result.v1", settled)


def _by_id(tx: Tx, pool_id: str) -> WorkPool:
    return tx.get(store.FIND_POOL_BY_ID, NotFound("Work pool not found."), id=pool_id)


def _essence(pool: WorkPool) -> tuple[object, ...]:
    """What workers go by."""
    return (bytes(pool.base_job_template), pool.concurrency_limit, pool.is_paused, pool.storage_configuration)
