"""Whether the server lives and can work, and which version of the API it speaks: /api/health and its neighbours."""

from __future__ import annotations

import asyncio

from lictor.db import Database, Tx, sql
from lictor.kit.errors import LictorError
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
