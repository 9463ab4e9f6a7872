"""CSRF tokens, at /api/csrf-token: one per client, good for a while, replaced when it is asked for again."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit import clock, ids
from lictor.kit.errors import Unprocessable
from lictor.settings import Settings
from lictor.web import Query, Router


class CsrfToken(Struct):
    id: str
    created: datetime
    updated: datetime
    client: str
    token: str
    expiration: datetime


COLUMNS = "id, created, updated, client, token, expiration"

FIND = sql("csrf.find", CsrfToken, f"select {COLUMNS} from csrf_token where client = :client and expiration > :now")
UPSERT = sql(
    "csrf.upsert",
    CsrfToken,
    f"""
    insert into csrf_token (id, created, updated, client, token, expiration)
    values (:id, :now, :now, :client, :token, :expiration)
    on conflict (client) do update set token = excluded.token, expiration = excluded.expiration
    returning {COLUMNS}
    """,
)
DELETE_EXPIRED = sql("csrf.delete_expired", None, "delete from csrf_token where expiration < :now")


def issue(tx: Tx, client: str, lifetime: timedelta) -> CsrfToken:
    """A new token for the client; the one it had is no longer good."""
    now = clock.now()
    tx.run(DELETE_EXPIRED, now=now)
    token = tx.one(UPSERT, id=ids.new(), now=now, client=client, token=secrets.token_hex(32), expiration=now + lifetime)
    assert token is not None
    return token


def is_valid(tx: Tx, token: str, client: str) -> bool:
    """Whether the client holds this token now."""
    held = tx.one(FIND, client=client, now=clock.now())
    return held is not None and hmac.compare_digest(held.token.encode(), token.encode())


def checker(db: Database) -> Callable[[str, str], Awaitable[bool]]:
    """The check of (token, client) that the HTTP layer asks for each request that changes something."""

    def valid(token: str, client: str) -> Awaitable[bool]:
        return db.read(is_valid, token, client)

    return valid


router = Router("/csrf-token")


@router.get("")
def create_csrf_token(client: Annotated[str, Query()], db: Database, settings: Settings) -> Awaitable[CsrfToken]:
    if not settings.api.csrf_protection_enabled:
        raise Unprocessable("CSRF protection is disabled.")
    return db.write(issue, client, settings.api.csrf_token_expiration)
