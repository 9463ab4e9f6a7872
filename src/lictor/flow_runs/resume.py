"""Resuming a paused flow run, with the input that it asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from lictor.db import Tx
from lictor.flow_runs import inputs, store, transitions
from lictor.flow_runs.transitions import Orchestration
from lictor.parameters import HydrationError, hydrate, schemas
from lictor.states import constructors
from lictor.states.callers import Caller
from lictor.states.types import PAUSED, AbortDetails, OrchestrationResult, Outcome, State


class Unfit(Exception):
    """The input is not what the run asked for; the message is the answer's reason."""


def resume(
    tx: Tx, orchestration: Orchestration, run_id: str, run_input: dict[str, Any] | None, *, caller: Caller
) -> Outcome:
    """Let a paused run go on: RUNNING, or SCHEDULED where its process has ended. Raises ObjectNotFound."""
    state = store.get_subject(tx, run_id).state
    if state is None or state.type != PAUSED:
        return _refusal(None, "ABORT", "Cannot resume a flow run that is not paused.")
    keyset = state.state_details.run_input_keyset
    given: Any = None
    if keyset:
        try:
            given = _checked(tx, run_id, keyset, run_input or {})
        except Unfit as unfit:
            return _refusal(state, "REJECT", str(unfit))
    wanted = constructors.resuming() if state.state_details.pause_reschedule else constructors.running()
    outcome = transitions.set_state(tx, orchestration, run_id, wanted, caller=caller)
    if keyset and given and outcome.result.status == "ACCEPT":
        inputs.insert(tx, run_id, keyset["response"], msgspec.json.encode(given).decode())
    return outcome


def _checked(tx: Tx, run_id: str, keyset: dict[str, str], run_input: dict[str, Any]) -> Any:
    """The input, hydrated and valid for the schema that the run stored. Raises Unfit."""
    try:
        hydrated = hydrate(tx, run_input) or {}
    except HydrationError as error:
        raise Unfit(f"Error hydrating run input: {error}") from error
    stored = inputs.find(tx, run_id, keyset["schema"])
    if stored is None:
        raise Unfit("Run input schema not found.")
    try:
        schema = msgspec.json.decode(stored)
    except msgspec.DecodeError as error:
        raise Unfit("Run input schema is not valid JSON.") from error
    try:
        schemas.validate(hydrated, schema)
    except schemas.CircularSchema as error:
        raise Unfit("Invalid schema: Unable to validate schema with circular references.") from error
    except schemas.Mismatch as error:
        raise Unfit(f"Reason: {error}") from error
    return hydrated


def _refusal(state: State | None, status: Any, reason: str) -> Outcome:
    # A rejection, too, carries abort details here: the reference's answer.
    return Outcome(OrchestrationResult(state, status, AbortDetails(reason)), False)
