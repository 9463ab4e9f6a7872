"""Whether the server lives and can work, and which version of the API it speaks: /api/health and its neighbours."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit.errors import LictorError
from lictor.loops import ServiceHealth, Supervisor
from lictor.web import Reply, Router

# The version of the reference's API that we speak; clients send the one that they know in X-PREFECT-API-VERSION.
API_VERSION = "0.8.4"

READY_SECONDS = 2.0

PING = sql("root.ping", int, "select 1")

router = Router(tag="Root")


@router.get("/health")
def health_check() -> bool:
    return True


@router.get("/version")
def server_version() -> str:
    return API_VERSION


@router.get("/hello")
def hello() -> str:
    return "👋"


@router.get("/ready")
async def perform_readiness_check(db: Database) -> Reply:
    if await database_answers(db, READY_SECONDS):
        return Reply({"message": "OK"})
    return Reply({"message": "Database is not available"}, 503)


class ServicesHealth(Struct):
    """How the services of a process fare; `age` is the seconds since a round of one last came through."""

    healthy: bool
    stalled: list[str]
    services: list[ServiceHealth]


def of_services() -> Router:
    """What a process answers that runs services alone."""
    found = Router(tag="Root")
    found.get("/health")(services_health)
    found.get("/ready")(services_readiness)
    return found


def services_health(supervisor: Supervisor) -> Reply:
    """503 when a service that this process leads has not come through for long; others are another process's matter."""
    services = supervisor.health()
    stalled = [service.name for service in services if service.stalled]
    return Reply(ServicesHealth(not stalled, stalled, services), 503 if stalled else 200)


async def services_readiness(db: Database, supervisor: Supervisor) -> Reply:
    if not await database_answers(db, READY_SECONDS):
        return Reply({"message": "Database is not available"}, 503)
    return services_health(supervisor)


async def database_answers(db: Database, seconds: float) -> bool:
    try:
        await asyncio.wait_for(_ping(db), seconds)
    except (LictorError, TimeoutError):
        return False
    return True


async def _ping(db: Database) -> None:
    await db.read(ping)


def ping(tx: Tx) -> int | None:
    return tx.one(PING)
