"""The background services, and which of them the settings switch on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lictor.app.bound import bind, cipher_of, cleanup_policy_of, waits_of
from lictor.artifacts import store as artifacts
from lictor.artifacts.loops import Orphans
from lictor.automations import calling as automation_calls
from lictor.automations.executing import Executor
from lictor.automations.following import Follower
from lictor.automations.loops import Triggers
from lictor.blocks.types import Blocks
from lictor.concurrency.loops import Repossessor
from lictor.db import Database
from lictor.deployments.loops import ScheduleAuditor, Scheduler
from lictor.deployments.scheduler import Horizon
from lictor.deployments.status import mark_unpolled
from lictor.deployments.store import TOPIC as SCHEDULES
from lictor.events import store as event_log
from lictor.events.loops import EventRetention, Retention
from lictor.events.tallies import EventTallier
from lictor.feed import Bells
from lictor.flow_runs.heartbeats import Patience
from lictor.flow_runs.loops import CancellationCleanup, DeadRuns, LateRuns, OvertakenRuns, PauseExpirations, Unfinished
from lictor.flow_runs.purging import Purge
from lictor.flow_runs.retention import Keeping, RunRetention
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.withdrawals import TOPIC as WITHDRAWALS
from lictor.logs import LogSweeper
from lictor.loops import Service
from lictor.settings import Settings
from lictor.tallies import Tallier
from lictor.task_runs.transitions import TaskOrchestration
from lictor.work_pools import cleanups
from lictor.work_pools.loops import CleanupReconciler, Foreman, Silence

Switched = tuple[bool, Service]


def background_services(settings: Settings, db: Database, bound: Mapping[type, Any]) -> list[Service]:
    """The services that the settings switch on."""
    return [service for switched_on, service in all_services(settings, db, bound) if switched_on]


def all_services(settings: Settings, db: Database, bound: Mapping[type, Any] | None = None) -> list[Switched]:
    """Every service there is, and whether the settings switch it on."""
    bound = bound or bind(settings, db, Bells(db), cipher_of(settings, db.url))
    repossessor = settings.services.repossessor
    vacuum = settings.services.db_vacuum
    runs, tasks = bound[Orchestration], bound[TaskOrchestration]
    return [
        (True, LogSweeper(db)),
        (True, Tallier(db)),
        (True, _purge(db, runs, bound[Bells])),
        *_event_services(settings, db),
        (repossessor.enabled, Repossessor(db, waits_of(settings), repossessor.loop_seconds)),
        *_run_services(settings, db, runs, tasks),
        *_schedulers(settings, db, bound[Bells]),
        *_pool_services(settings, db),
        (settings.services.triggers.enabled, _triggers(settings, db, bound)),
        ("orphans" in vacuum.enabled, Orphans(db, vacuum.batch_size, vacuum.orphan_cleanup_loop_seconds)),
        (
            "flow_runs" in vacuum.enabled,
            RunRetention(
                db, runs, keeping(settings), vacuum.batch_size, vacuum.loop_seconds, forget=artifacts.delete_of_runs
            ),
        ),
    ]


def _purge(db: Database, runs: Orchestration, bells: Bells) -> Purge:
    service = Purge(db, runs)
    bells.of(WITHDRAWALS).call(service.nudge)
    return service


def _triggers(settings: Settings, db: Database, bound: Mapping[type, Any]) -> Triggers:
    """What follows the events: automations are evaluated, and their actions done."""
    ui = settings.ui.url or f"http://{settings.api.host}:{settings.api.port}"
    executor = Executor(db, bound[Orchestration], automation_calls.outside(db, bound[Blocks].cipher, ui))
    service = Triggers(db, Follower(db), executor, settings.events.proactive_granularity.total_seconds())
    executor.nudge = service.nudge
    bound[Bells].of(event_log.TOPIC).call(service.nudge)
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
    return [
        (True, EventTallier(db)),
        (switched_on, EventRetention(db, retention, batch=vacuum.batch_size, interval=vacuum.loop_seconds)),
    ]


def _run_services(settings: Settings, db: Database, runs: Orchestration, tasks: TaskOrchestration) -> list[Switched]:
    """Those that bring runs to a state that nobody else will bring them to."""
    late, pauses = settings.services.late_runs, settings.services.pause_expirations
    cancels, unfinished = settings.services.cancellation_cleanup, settings.lictor.unfinished
    timeout = timedelta(seconds=cancels.cancelling_timeout_seconds)
    dead, catch_up = settings.lictor.dead_runs, settings.lictor.catch_up
    patience = Patience(dead.missed_heartbeats, dead.heartbeat_seconds, dead.quiet_seconds)
    return [
        (late.enabled, LateRuns(db, runs, late.after_seconds, late.loop_seconds)),
        (catch_up.enabled, OvertakenRuns(db, runs, catch_up.loop_seconds)),
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
        (reconciler.enabled, CleanupReconciler(db, cleanup_policy_of(settings), reconciler.loop_seconds)),
    ]
