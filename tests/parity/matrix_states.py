"""The states of the matrix: how an initial state is reached, and what is proposed. `$+1` is an instant in one hour."""

from __future__ import annotations

from typing import Any

State = dict[str, Any]


def state(type: str, name: str | None = None, data: Any = None, message: str | None = None, **details: Any) -> State:
    made: State = {"type": type}
    if name is not None:
        made["name"] = name
    if data is not None:
        made["data"] = data
    if message is not None:
        made["message"] = message
    if details:
        made["state_details"] = details
    return made


RESULT = {"type": "result", "storage_key": "/results/1", "prefect_version": "3.9.1"}
UNPERSISTED = {"type": "unpersisted"}

SCHEDULED = state("SCHEDULED", scheduled_time="$0")
LATER = state("SCHEDULED", scheduled_time="$+1")
RETRY = state("SCHEDULED", "AwaitingRetry", scheduled_time="$0")
PENDING = state("PENDING")
RUNNING = state("RUNNING")
PAUSED = state("PAUSED", pause_timeout="$+1", pause_key="first")
SUSPENDED = state("PAUSED", "Suspended", pause_timeout="$+1", pause_reschedule=True, pause_key="first")

FLOW_PROPOSED: dict[str, State] = {
    "Scheduled": SCHEDULED,
    "Scheduled without time": state("SCHEDULED"),
    "Scheduled later": LATER,
    "Late": state("SCHEDULED", "Late", scheduled_time="$-1"),
    "AwaitingRetry": RETRY,
    "AwaitingConcurrencySlot": state("SCHEDULED", "AwaitingConcurrencySlot", scheduled_time="$+1"),
    "Resuming": state("SCHEDULED", "Resuming", scheduled_time="$0"),
    "Pending": PENDING,
    "Pending Submitting": state("PENDING", "Submitting"),
    "Running": RUNNING,
    "Retrying": state("RUNNING", "Retrying"),
    "Paused": PAUSED,
    "Paused without timeout": state("PAUSED"),
    "Suspended": SUSPENDED,
    "Cancelling": state("CANCELLING"),
    "Cancelled": state("CANCELLED"),
    "Completed": state("COMPLETED", message="done"),
    "Completed with result": state("COMPLETED", data=RESULT),
    "Completed unpersisted": state("COMPLETED", data=UNPERSISTED),
    "Failed": state("FAILED", message="it broke", data=RESULT),
    "TimedOut": state("FAILED", "TimedOut", message="too slow"),
    "Crashed": state("CRASHED", message="it fell"),
}

FLOW_INITIAL: dict[str, tuple[State, ...]] = {
    "Scheduled": (SCHEDULED,),
    "Scheduled later": (LATER,),
    "Late": (state("SCHEDULED", "Late", scheduled_time="$-1"),),
    "AwaitingRetry": (PENDING, RUNNING, RETRY),
    "AwaitingRetry later": (PENDING, RUNNING, state("SCHEDULED", "AwaitingRetry", scheduled_time="$+1")),
    "AwaitingConcurrencySlot": (state("SCHEDULED", "AwaitingConcurrencySlot", scheduled_time="$+1"),),
    "Resuming": (PENDING, RUNNING, PAUSED, state("SCHEDULED", "Resuming", scheduled_time="$0")),
    "Pending": (PENDING,),
    "Pending Submitting": (PENDING, state("PENDING", "Submitting")),
    "Pending of later": (LATER, state("PENDING", scheduled_time="$+1")),
    "Running": (PENDING, RUNNING),
    "Retrying": (RUNNING, RETRY, state("RUNNING", "Retrying")),
    "Paused": (RUNNING, PAUSED),
    "Paused expired": (RUNNING, state("PAUSED", pause_timeout="$-1")),
    "Paused without timeout": (RUNNING, state("PAUSED")),
    "Suspended": (RUNNING, SUSPENDED),
    "Suspended expired": (RUNNING, state("PAUSED", "Suspended", pause_timeout="$-1", pause_reschedule=True)),
    "Cancelling": (RUNNING, state("CANCELLING")),
    "Cancelled": (RUNNING, state("CANCELLED")),
    "Completed": (RUNNING, state("COMPLETED")),
    "Completed with result": (RUNNING, state("COMPLETED", data=RESULT)),
    "Completed unpersisted": (RUNNING, state("COMPLETED", data=UNPERSISTED)),
    "Failed": (RUNNING, state("FAILED")),
    "Failed before it ran": (PENDING, state("FAILED")),
    "Crashed": (RUNNING, state("CRASHED")),
}

TASK_PROPOSED: dict[str, State] = {
    "Scheduled": SCHEDULED,
    "Scheduled later": LATER,
    "AwaitingRetry": RETRY,
    "Late": state("SCHEDULED", "Late", scheduled_time="$-1"),
    "Pending": PENDING,
    "Pending NotReady": state("PENDING", "NotReady"),
    "Running": RUNNING,
    "Retrying": state("RUNNING", "Retrying"),
    "Paused": PAUSED,
    "Suspended": SUSPENDED,
    "Cancelling": state("CANCELLING"),
    "Cancelled": state("CANCELLED"),
    "Completed": state("COMPLETED"),
    "Completed with result": state("COMPLETED", data=RESULT),
    "Cached": state("COMPLETED", "Cached", data=RESULT),
    "Failed": state("FAILED", message="it broke", data=RESULT),
    "Failed not retriable": state("FAILED", retriable=False),
    "Failed retriable": state("FAILED", retriable=True),
    "TimedOut": state("FAILED", "TimedOut"),
    "Crashed": state("CRASHED"),
}

TASK_INITIAL: dict[str, tuple[State, ...]] = {
    "Scheduled": (SCHEDULED,),
    "Scheduled later": (LATER,),
    "AwaitingRetry": (RUNNING, RETRY),
    "AwaitingRetry later": (RUNNING, state("SCHEDULED", "AwaitingRetry", scheduled_time="$+1")),
    "Late": (state("SCHEDULED", "Late", scheduled_time="$-1"),),
    "Pending": (PENDING,),
    "Pending NotReady": (PENDING, state("PENDING", "NotReady")),
    "Running": (PENDING, RUNNING),
    "Retrying": (RUNNING, RETRY, state("RUNNING", "Retrying")),
    "Paused": (RUNNING, PAUSED),
    "Suspended": (RUNNING, SUSPENDED),
    "Cancelling": (RUNNING, state("CANCELLING")),
    "Cancelled": (RUNNING, state("CANCELLED")),
    "Completed": (RUNNING, state("COMPLETED")),
    "Completed with result": (RUNNING, state("COMPLETED", data=RESULT)),
    "Completed unpersisted": (RUNNING, state("COMPLETED", data=UNPERSISTED)),
    "Cached": (RUNNING, state("COMPLETED", "Cached", data=RESULT)),
    "Failed": (RUNNING, state("FAILED")),
    "Crashed": (RUNNING, state("CRASHED")),
}
