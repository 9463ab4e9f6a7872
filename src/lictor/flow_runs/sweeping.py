"""Proposing a state for each of many runs that a service has found, without holding up those who work on others.

A service finds runs in a read, which costs no writer anything, and proposes for some at a time. Between the two
anything may happen, so each proposal is for the state that its run was found in: a run that has moved on is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from lictor.db import Database, Tx
from lictor.flow_runs import store, transitions
from lictor.flow_runs.store import Subject
from lictor.flow_runs.transitions import Orchestration
from lictor.kit.errors import Unavailable
from lictor.states.decisions import Policy
from lictor.states.types import State

log = logging.getLogger(__name__)

# Runs in one transaction: about ten milliseconds, which is what others wait for on SQLite.
AT_ONCE = 25


class Found(Protocol):
    """A run, and the state that it was found in."""

    @property
    def id(self) -> str: ...

    @property
    def state_id(self) -> str: ...


Wanted = Callable[[Subject], State | None]
Then = Callable[[Tx, Subject], None]


class Sweep:
    """Proposes, for each run that was found, what `wanted` says of it; None is to leave it alone.

    `then` is called, in the same transaction, for a run that entered a new state, with the run as it was read.
    """

    def __init__(
        self,
        db: Database,
        orchestration: Orchestration,
        wanted: Wanted,
        *,
        policy: Policy | None = None,
        force: bool = False,
        then: Then | None = None,
    ) -> None:
        self._db = db
        self._orchestration = orchestration
        self._wanted = wanted
        self._policy = policy
        self._force = force
        self._then = then

    async def over(self, found: Sequence[Found]) -> int:
        """How many runs entered a new state. One that fails holds up none of the others; its error is raised last."""
        done, failure = 0, None
        for start in range(0, len(found), AT_ONCE):
            batch = found[start : start + AT_ONCE]
            try:
                done += await self._db.write(self._propose, batch)
            except Unavailable:
                raise
            except Exception as error:
                log.debug("a batch of %d runs failed and is tried run by run: %s", len(batch), error)
                alone, failed = await self._one_by_one(batch)
                done, failure = done + alone, failed or failure
        if failure is not None:
            raise failure
        return done

    async def _one_by_one(self, found: Sequence[Found]) -> tuple[int, Exception | None]:
        done, failure = 0, None
        for one in found:
            try:
                done += await self._db.write(self._propose, [one])
            except Unavailable:
                raise
            except Exception as error:
                failure = error
        return done, failure

    def _propose(self, tx: Tx, found: Sequence[Found]) -> int:
        return sum(self._propose_one(tx, one) for one in found)

    def _propose_one(self, tx: Tx, found: Found) -> bool:
        subject = store.find_subject(tx, found.id)
        if subject is None or subject.state is None or subject.state.id != found.state_id:
            return False
        state = self._wanted(subject)
        if state is None:
            return False
        outcome = transitions.set_state_of(
            tx, self._orchestration, subject, state, force=self._force, policy=self._policy
        )
        if outcome.new and self._then is not None:
            self._then(tx, subject)
        return outcome.new
