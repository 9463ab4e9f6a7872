"""What endpoints may ask for, by type."""

from __future__ import annotations

from functools import partial
from typing import Any

from lictor import admin, logs
from lictor.admin import ResultStorageBlocks
from lictor.blocks import documents as block_documents
from lictor.blocks import encryption
from lictor.blocks.encryption import Cipher
from lictor.blocks.types import Blocks
from lictor.concurrency.facts import deployment_slots, forget_flows, tag_slots
from lictor.concurrency.slots import Waits
from lictor.db import Database
from lictor.deployments.status import queues_polled
from lictor.deployments.store import delete_of_flows
from lictor.events import store as event_log
from lictor.events.ingest import EventLimits, Intake
from lictor.events.remembering import Memory
from lictor.events.streaming import EventStream, Hub
from lictor.feed import Bells
from lictor.flow_runs import heartbeats
from lictor.flow_runs.catch_up import CatchUp
from lictor.flow_runs.transitions import Orchestration
from lictor.flows import Going
from lictor.logs import LogStream
from lictor.settings import Settings
from lictor.states.decisions import RuleSettings
from lictor.task_runs import delivery, recorder
from lictor.task_runs.subscriptions import Hall
from lictor.task_runs.transitions import TaskOrchestration
from lictor.work_pools import cleanups
from lictor.work_pools import pools as work_pools
from lictor.work_pools.channel import Channels
from lictor.work_pools.polled import PollFollowers


def bind(settings: Settings, db: Database, bells: Bells, cipher: Cipher) -> dict[type, Any]:
    """What endpoints may ask for, by type."""
    rules = RuleSettings(
        deployment_lease_seconds=settings.concurrency.initial_deployment_lease_duration,
        deployment_slot_wait_seconds=settings.deployments.concurrency_slot_wait_seconds,
        tag_slot_wait_seconds=settings.tasks.tag_concurrency_slot_wait_seconds,
        max_cache_key_length=settings.tasks.max_cache_key_length,
    )
    limits = EventLimits(
        name_length=settings.events.maximum_event_name_length,
        labels=settings.events.maximum_labels_per_resource,
        related=settings.events.maximum_related_resources,
        size=settings.events.maximum_size_bytes,
    )
    waits = waits_of(settings)
    streaming = settings.logs.stream_out_enabled and settings.logs.stream_publishing_enabled
    return {
        Database: db,
        Bells: bells,
        Settings: settings,
        Blocks: Blocks(cipher, admin.forget_lost_result_storage),
        ResultStorageBlocks: ResultStorageBlocks(block_documents.capabilities),
        Orchestration: Orchestration(rules, deployment_slots(waits), catch_up_of(settings)),
        TaskOrchestration: TaskOrchestration(rules, tag_slots(waits)),
        Waits: waits,
        PollFollowers: PollFollowers((queues_polled,)),
        Channels: Channels(bells.of(work_pools.TOPIC), bells.of(cleanups.TOPIC), cleanup_policy_of(settings)),
        Intake: Intake(db, (recorder.record, heartbeats.note), limits),
        Going: Going(partial(forget_flows, waits), delete_of_flows),
        Hall: Hall(db, bells.of(delivery.TOPIC)),
        LogStream: LogStream(bells.of(logs.TOPIC), streaming),
        Memory: Memory(),
        EventStream: EventStream(
            db,
            Hub(db, bells.of(event_log.TOPIC)),
            live=settings.events.stream_out_enabled,
            backfill=settings.events.maximum_websocket_backfill,
            page_size=settings.events.websocket_backfill_page_size,
        ),
    }


def catch_up_of(settings: Settings) -> CatchUp:
    return CatchUp(settings.lictor.catch_up.policy, settings.lictor.catch_up.deployments)


def cipher_of(settings: Settings, url: str) -> Cipher:
    key = None if settings.encryption_key is None else settings.encryption_key.reveal()
    return Cipher(key, encryption.key_file(url, settings.lictor.home))


def cleanup_policy_of(settings: Settings) -> cleanups.Policy:
    told = settings.worker_channel
    return cleanups.Policy(told.cleanup_lease_seconds, told.cleanup_max_delivery_attempts)


def waits_of(settings: Settings) -> Waits:
    return Waits(
        tag=settings.tasks.tag_concurrency_slot_wait_seconds,
        other=settings.concurrency.maximum_concurrency_slot_wait_seconds,
    )
