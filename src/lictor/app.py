"""The composition root: settings → database → services → routes. Only this module knows every concept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from lictor import (
    admin,
    collections,
    csrf,
    flow_run_states,
    flows,
    logs,
    observed_states,
    root,
    saved_searches,
    task_run_states,
    task_workers,
    variables,
)
from lictor.admin import ResultStorageBlocks
from lictor.artifacts import routes as artifact_routes
from lictor.automations import calling as automation_calls
from lictor.automations import routes as automation_routes
from lictor.automations.executing import Executor
from lictor.automations.following import Follower
from lictor.automations.loops import Triggers
from lictor.blocks import documents as block_documents
from lictor.blocks import encryption, standard
from lictor.blocks import routes as block_document_routes
from lictor.blocks import schema_routes as block_schema_routes
from lictor.blocks import type_routes as block_type_routes
from lictor.blocks.encryption import Cipher
from lictor.blocks.types import Blocks
from lictor.concurrency import routes as concurrency_routes
from lictor.concurrency import tag_routes as tag_limit_routes
from lictor.concurrency.facts import deployment_slots, forget_flows, tag_slots
from lictor.concurrency.loops import Repossessor
from lictor.concurrency.slots import Waits
from lictor.dashboard.finding import find as find_dashboard
from lictor.dashboard.serving import Dashboard, DashboardSettings
from lictor.db import Database, open_database
from lictor.deployments import routes as deployment_routes
from lictor.deployments.loops import ScheduleAuditor, Scheduler
from lictor.deployments.scheduler import Horizon
from lictor.deployments.status import mark_unpolled, queues_polled
from lictor.deployments.store import TOPIC as SCHEDULES
from lictor.events import routes as event_routes
from lictor.events import store as event_log
from lictor.events import store as event_store
from lictor.events.ingest import EventLimits, Intake
from lictor.events.listening import Listener
from lictor.events.loops import EventRetention, Retention
from lictor.events.streaming import EventStream, Hub
from lictor.feed import Bells, Notices
from lictor.flow_runs import heartbeats
from lictor.flow_runs import list_routes as flow_run_lists
from lictor.flow_runs import routes as flow_run_routes
from lictor.flow_runs.heartbeats import Patience
from lictor.flow_runs.loops import CancellationCleanup, DeadRuns, LateRuns, PauseExpirations, Unfinished
from lictor.flow_runs.retention import Keeping, RunRetention
from lictor.flow_runs.transitions import Orchestration
from lictor.flows import Going
from lictor.logs import LogStream, LogSweeper
from lictor.loops import Leases, Service, Supervisor
from lictor.settings import Settings, database_url, paths
from lictor.states.decisions import RuleSettings
from lictor.tallies import Tallier
from lictor.task_runs import delivery, recorder
from lictor.task_runs import routes as task_run_routes
from lictor.task_runs import subscriptions as task_subscriptions
from lictor.task_runs.subscriptions import Hall
from lictor.task_runs.transitions import TaskOrchestration
from lictor.ui import flow_runs as ui_flow_runs
from lictor.ui import flows as ui_flows
from lictor.ui import schemas as ui_schemas
from lictor.ui import task_runs as ui_task_runs
from lictor.web import Router
from lictor.web.asgi import App, WebSettings
from lictor.work_pools import channel, cleanups
from lictor.work_pools import pools as work_pools
from lictor.work_pools import queue_routes as work_queue_routes
from lictor.work_pools import routes as work_pool_routes
from lictor.work_pools.channel import Channels
from lictor.work_pools.loops import CleanupReconciler, Foreman, Silence
from lictor.work_pools.polled import PollFollowers

Switched = tuple[bool, Service]

ROUTERS: tuple[Router, ...] = (
    root.router,
    admin.router,
    csrf.router,
    flows.router,
    flow_run_routes.router,
    flow_run_lists.router,
    flow_run_states.router,
    task_run_routes.router,
    task_run_states.router,
    observed_states.router,
    logs.router,
    variables.router,
    saved_searches.router,
    task_subscriptions.router,
    task_workers.router,
    concurrency_routes.router,
    tag_limit_routes.router,
    event_routes.router,
    artifact_routes.router,
    deployment_routes.router,
    block_type_routes.router,
    block_schema_routes.router,
    block_schema_routes.capabilities_router,
    block_document_routes.router,
    collections.router,
    work_pool_routes.router,
    channel.router,
    work_queue_routes.router,
    ui_flows.router,
    ui_flow_runs.router,
    ui_task_runs.router,
    ui_schemas.router,
    automation_routes.router,
    automation_routes.template_router,
)


def build(settings: Settings) -> App:
    """The application over the database that the settings name. Nothing is opened before it starts."""
    db = open_database(
        database_url(settings),
        readers=settings.lictor.reader_threads,
        statement_timeout=settings.database.timeout,
    )
    return assemble(settings, db)


def assemble(settings: Settings, db: Database) -> App:
    """The application over a database; it migrates the database when it starts and closes it when it stops."""
    bells = Bells(db)
    notices = Notices(db, bells)
    cipher = _cipher(settings, db.url)
    services = _services(settings, db, bells, cipher)
    supervisor = _supervisor(settings, db, services)
    with_api = settings.lictor.role != "services"
    listener = Listener(db) if with_api else None

    async def start() -> None:
        prepare(settings, db, cipher)
        notices.start()
        if listener is not None:
            listener.start()
        if supervisor is not None:
            await supervisor.start()

    async def stop() -> None:
        if supervisor is not None:
            await supervisor.stop()
        if listener is not None:
            await listener.stop()
        notices.stop()
        db.close()

    return App(
        ROUTERS if with_api else (root.of_services(),),
        services | ({} if supervisor is None else {Supervisor: supervisor}),
        _web(settings),
        csrf=csrf.checker(db) if settings.api.csrf_protection_enabled else None,
        fallback=_dashboard(settings) if with_api else None,
        on_start=(start,),
        on_stop=(stop,),
    )


def prepare(settings: Settings, db: Database, cipher: Cipher | None = None) -> None:
    """Bring the database up to date. LictorError, when the program and the database do not go together."""
    if settings.database.migrate_on_start:
        db.migrate()
    db.read_now(encryption.check, cipher or _cipher(settings, db.url))
    if settings.register_blocks_on_start:
        standard.install_if_new(db)


def _cipher(settings: Settings, url: str) -> Cipher:
    key = None if settings.encryption_key is None else settings.encryption_key.reveal()
    return Cipher(key, encryption.key_file(url, settings.lictor.home))


def _services(settings: Settings, db: Database, bells: Bells, cipher: Cipher) -> dict[type, Any]:
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
    waits = _waits(settings)
    streaming = settings.logs.stream_out_enabled and settings.logs.stream_publishing_enabled
    return {
        Database: db,
        Bells: bells,
        Settings: settings,
        Blocks: Blocks(cipher, admin.forget_lost_result_storage),
        ResultStorageBlocks: ResultStorageBlocks(block_documents.capabilities),
        Orchestration: Orchestration(rules, deployment_slots(waits)),
        TaskOrchestration: TaskOrchestration(rules, tag_slots(waits)),
        Waits: waits,
        PollFollowers: PollFollowers((queues_polled,)),
        Channels: Channels(bells.of(work_pools.TOPIC), bells.of(cleanups.TOPIC), _cleanup_policy(settings)),
        Intake: Intake(db, (recorder.record, heartbeats.note), limits),
        Going: Going(partial(forget_flows, waits)),
        Hall: Hall(db, bells.of(delivery.TOPIC)),
        LogStream: LogStream(bells.of(logs.TOPIC), streaming),
        EventStream: EventStream(
            db,
            Hub(db, bells.of(event_log.TOPIC)),
            live=settings.events.stream_out_enabled,
            backfill=settings.events.maximum_websocket_backfill,
            page_size=settings.events.websocket_backfill_page_size,
        ),
    }


def _supervisor(settings: Settings, db: Database, bound: Mapping[type, Any]) -> Supervisor | None:
    if settings.lictor.role == "api":
        return None
    services = background_services(settings, db, bound)
    return Supervisor(services, Leases(db, [service.name for service in services]))


def background_services(settings: Settings, db: Database, bound: Mapping[type, Any]) -> list[Service]:
    """The services that the settings switch on."""
    return [service for switched_on, service in all_services(settings, db, bound) if switched_on]


def all_services(settings: Settings, db: Database, bound: Mapping[type, Any] | None = None) -> list[Switched]:
    """Every service there is, and whether the settings switch it on."""
    bound = bound or _services(settings, db, Bells(db), _cipher(settings, db.url))
    repossessor = settings.services.repossessor
    vacuum = settings.services.db_vacuum
    runs, tasks = bound[Orchestration], bound[TaskOrchestration]
    return [
        (True, LogSweeper(db)),
        (True, Tallier(db)),
        *_event_services(settings, db),
        (repossessor.enabled, Repossessor(db, _waits(settings), repossessor.loop_seconds)),
        *_run_services(settings, db, runs, tasks),
        *_schedulers(settings, db, bound[Bells]),
        *_pool_services(settings, db),
        (settings.services.triggers.enabled, _triggers(settings, db, bound)),
        (
            "flow_runs" in vacuum.enabled,
            RunRetention(db, runs, keeping(settings), vacuum.batch_size, vacuum.loop_seconds),
        ),
    ]


def _triggers(settings: Settings, db: Database, bound: Mapping[type, Any]) -> Triggers:
    """What follows the events: automations are evaluated, and their actions done."""
    ui = settings.ui.url or f"http://{settings.api.host}:{settings.api.port}"
    executor = Executor(db, bound[Orchestration], automation_calls.outside(db, bound[Blocks].cipher, ui))
    service = Triggers(db, Follower(db), executor, settings.events.proactive_granularity.total_seconds())
    executor.nudge = service.nudge
    bound[Bells].of(event_store.TOPIC).call(service.nudge)
    return service


def keeping(settings: Settings) -> Keeping:
    """How long runs are kept that are over."""
    own = settings.lictor.retention
    period = settings.services.db_vacuum.retention_period.total_seconds()
    return Keeping(period, own.deployments, own.tags, own.states, own.keep_last)


def _schedulers(settings: Settings, db: Database, bells: Bells) -> list[Switched]:
    """Those that make the runs of schedules."""
    asked = settings.services.scheduler
    horizon = Horizon(asked.min_runs, asked.max_runs, asked.min_scheduled_time, asked.max_scheduled_time)
    interval, batches = asked.recent_deployments_loop_seconds, (asked.deployment_batch_size, asked.insert_batch_size)
    scheduler = Scheduler(db, horizon, interval, *batches)
    bells.of(SCHEDULES).call(scheduler.nudge)
    return [(asked.enabled, scheduler), (asked.enabled, ScheduleAuditor(db, asked.loop_seconds))]


def _event_services(settings: Settings, db: Database) -> list[Switched]:
    vacuum = settings.services.db_vacuum
    switched_on = "events" in vacuum.enabled and settings.services.event_persister.enabled
    of_types = {event: timedelta(seconds=kept) for event, kept in vacuum.event_retention_overrides.items()}
    retention = Retention(settings.events.retention_period, of_types)
    return [(switched_on, EventRetention(db, retention, batch=vacuum.batch_size, interval=vacuum.loop_seconds))]


def _run_services(settings: Settings, db: Database, runs: Orchestration, tasks: TaskOrchestration) -> list[Switched]:
    """Those that bring runs to a state that nobody else will bring them to."""
    late, pauses = settings.services.late_runs, settings.services.pause_expirations
    cancels, unfinished = settings.services.cancellation_cleanup, settings.lictor.unfinished
    timeout = timedelta(seconds=cancels.cancelling_timeout_seconds)
    dead = settings.lictor.dead_runs
    patience = Patience(dead.missed_heartbeats, dead.heartbeat_seconds, dead.quiet_seconds)
    return [
        (late.enabled, LateRuns(db, runs, late.after_seconds, late.loop_seconds)),
        (pauses.enabled, PauseExpirations(db, runs, pauses.loop_seconds)),
        (
            cancels.enabled,
            CancellationCleanup(
                db, runs, tasks, timeout, cancels.loop_seconds, timed_out=cleanups.after_cancelling_timeout
            ),
        ),
        (dead.enabled, DeadRuns(db, runs, patience, dead.loop_seconds)),
        (unfinished.enabled, Unfinished(db, runs, tasks, unfinished.grace_seconds, unfinished.loop_seconds)),
    ]


def _pool_services(settings: Settings, db: Database) -> list[Switched]:
    foreman, reconciler = settings.services.foreman, settings.services.cleanup_reconciler
    silence = Silence(
        missed_beats=foreman.inactivity_heartbeat_multiple,
        worker_interval=foreman.fallback_heartbeat_interval_seconds,
        queue=foreman.work_queue_last_polled_timeout_seconds,
        deployment=foreman.deployment_last_polled_timeout_seconds,
    )
    return [
        (foreman.enabled, Foreman(db, silence, foreman.loop_seconds, deployments=mark_unpolled)),
        (reconciler.enabled, CleanupReconciler(db, _cleanup_policy(settings), reconciler.loop_seconds)),
    ]


def _cleanup_policy(settings: Settings) -> cleanups.Policy:
    told = settings.worker_channel
    return cleanups.Policy(told.cleanup_lease_seconds, told.cleanup_max_delivery_attempts)


def _waits(settings: Settings) -> Waits:
    return Waits(
        tag=settings.tasks.tag_concurrency_slot_wait_seconds,
        other=settings.concurrency.maximum_concurrency_slot_wait_seconds,
    )


def _dashboard(settings: Settings) -> Dashboard | None:
    """What answers everything that is not the API; None where no dashboard is wanted."""
    if not settings.ui.enabled:
        return None
    found = find_dashboard(settings)
    return Dashboard(
        DashboardSettings(
            directories={} if found is None else found.bundles,
            base=paths.dashboard_base(settings),
            api_base=paths.api_base(settings),
            api_url=settings.ui.api_url,
            preferred="v2" if settings.ui.v2_enabled else "v1",
            auth=settings.api.auth_string is not None,
            csrf=settings.api.csrf_protection_enabled,
            image_sources=settings.lictor.ui_image_sources,
        )
    )


def _web(settings: Settings) -> WebSettings:
    api = settings.api
    return WebSettings(
        api_base_path=paths.api_base(settings),
        auth_string=None if api.auth_string is None else api.auth_string.reveal(),
        default_limit=api.default_limit,
        max_body_bytes=settings.lictor.max_request_bytes,
        cors_origins=_words(api.cors_allowed_origins),
        cors_methods=_words(api.cors_allowed_methods),
        cors_headers=_words(api.cors_allowed_headers),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
