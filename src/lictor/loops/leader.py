"""Leases: rows that say which process leads each service. The package's page tells why this is enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from lictor.db import Database, Tx, sql
from lictor.kit import clock, ids

LENGTH = 15.0

RENEW = sql(
    "service_lease.renew",
    str,
    "update service_lease set expires = {ts:expires} where holder = :holder returning name",
)
TAKEN = sql("service_lease.taken", str, "select name from service_lease where expires >= {ts:now}")
CLAIM = sql(
    "service_lease.claim",
    str,
    """
    insert into service_lease (name, holder, expires) values (:name, :holder, {ts:expires})
    on conflict (name) do update set holder = excluded.holder, expires = excluded.expires
    where service_lease.expires < {ts:now} or service_lease.holder = excluded.holder
    returning name
    """,
)
RELEASE = sql("service_lease.release", None, "delete from service_lease where holder = :holder")


class Leases:
    """What this process holds of the named services' leases; each lasts `length` seconds."""

    def __init__(
        self, db: Database, names: Sequence[str], *, holder: str | None = None, length: float = LENGTH
    ) -> None:
        self._db = db
        self._names = tuple(names)
        self.holder = holder or ids.new()
        self.length = length
        self._held: frozenset[str] = frozenset()
        self._believed_until: datetime | None = None

    @property
    def held(self) -> frozenset[str]:
        """The names whose lease this process still believes in."""
        if self._believed_until is None or clock.now() >= self._believed_until:
            return frozenset()
        return self._held

    async def refresh(self) -> frozenset[str]:
        """Renew what is held, claim what is free; the names gained since they were last believed in."""
        before, now = self.held, clock.now()
        expires = now + timedelta(seconds=self.length)
        self._held = await self._db.write(refresh, self._names, self.holder, now, expires)
        self._believed_until = now + timedelta(seconds=self.length * 2 / 3)
        return self._held - before

    async def release(self) -> None:
        """Give everything back, so that another process can take it at once."""
        self._believed_until = None
        await self._db.write(release, self.holder)


def refresh(tx: Tx, names: Sequence[str], holder: str, now: datetime, expires: datetime) -> frozenset[str]:
    held = set(tx.all(RENEW, holder=holder, expires=expires))
    missing = [name for name in names if name not in held]
    if missing:
        taken = set(tx.all(TAKEN, now=now))
        # In one order everywhere: two processes that claim several rows must not wait for each other in a ring.
        for name in sorted(set(missing) - taken):
            if tx.one(CLAIM, name=name, holder=holder, now=now, expires=expires):
                held.add(name)
    return frozenset(held.intersection(names))


def release(tx: Tx, holder: str) -> None:
    tx.run(RELEASE, holder=holder)
