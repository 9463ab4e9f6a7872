"""States in rows: details are kept without what is at its default, and come back with everything."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from lictor.kit import times
from lictor.states.types import State, StateDetails, kept

# The same fields as StateDetails; only the encoding differs.
_Kept = msgspec.defstruct(
    "_Kept",
    [(field.name, Any, field.default) for field in msgspec.structs.fields(StateDetails)],
    omit_defaults=True,
)


def details_json(details: StateDetails) -> str:
    """The details as JSON text, without the fields that have their default."""
    return msgspec.json.encode(_Kept(*msgspec.structs.astuple(details))).decode()


def state_params(state: State) -> dict[str, Any]:
    """The parameters of an insert into a state table, but for the run's id."""
    data = kept(state.data)
    return {
        "id": state.id,
        "timestamp": times.text(state.timestamp),
        "type": state.type,
        "name": state.name,
        "message": state.message,
        "state_details": details_json(state.state_details),
        "data": None if data is None else bytes(data).decode(),
    }


def as_param(value: Any) -> Any:
    """JSON that was only copied so far as the text that a statement takes; anything else as it is."""
    return bytes(value).decode() if isinstance(value, Raw) else value


STATE_COLUMNS = "s.id, s.type, s.name, s.timestamp, s.message, s.data, s.state_details"
"""The columns of a `State` in a select; the state's alias is ``s``."""
