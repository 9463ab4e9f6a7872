"""Actions on what this server keeps: each is done in the transaction that marks it done, so exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from lictor.automations import actions as kinds
from lictor.automations import store
from lictor.automations.firing import Invocation
from lictor.automations.inferring import Failed, flow_run, labelled, target
from lictor.db import Tx, sql
from lictor.deployments import changes as deployment_changes
from lictor.deployments import create_run
from lictor.deployments.types import DeploymentFlowRunCreate
from lictor.events.types import Labels
from lictor.flow_runs import changes, resume, transitions
from lictor.flow_runs.announcing import CreatedBy
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock, errors
from lictor.states.callers import SERVER
from lictor.states.types import Outcome, StateCreate, StateDetailsCreate, StateTypeName
from lictor.work_pools import pools, queues
from lictor.work_pools.types import WorkPoolUpdate, WorkQueueUpdate

SUSPENDED_FOR = timedelta(hours=1)

POOL_NAME = sql("automations.pool_name", str, "select name from work_pool where id = :id")

STATUSES: dict[type[Exception], int] = {
    errors.NotFound: 404,
    errors.ObjectNotFound: 404,
    errors.Conflict: 409,
    errors.Refused: 403,
    errors.BadRequest: 400,
    errors.Unprocessable: 422,
    errors.OutOfRange: 422,
    errors.Invalid: 422,
    errors.Gone: 410,
    errors.Locked: 423,
}


class Done(Struct):
    """What came of an action: details for its event, and the resources that it names. With a `reason`, it failed."""

    details: dict[str, Any] = field(default_factory=dict)
    related: list[Labels] = field(default_factory=list)
    reason: str | None = None


class Doing(Struct):
    """What an action is done with; `prepared` is what was made ready for it before the transaction."""

    tx: Tx
    orchestration: Orchestration
    invocation: Invocation
    done: Done
    prepared: Any = None

    @property
    def by(self) -> str:
        return f"Automation {self.invocation.automation.id}"

    def about(self, kind: str, id: str, role: str = "target", name: str | None = None) -> None:
        self.done.related.append(labelled(kind, id, role, name))


def do(doing: Doing, action: Any) -> None:
    """Do it. Raises Failed, or the error of what it asked for (see `reason`)."""
    DATABASE_ACTIONS[type(action)](doing, action)


def reason(kind: str, error: errors.LictorError) -> tuple[int, str]:
    """The status that a client would have got, and the words of the reference for it."""
    status = next((STATUSES[base] for base in type(error).__mro__ if base in STATUSES), 500)
    if isinstance(error, errors.HTTPError):
        status = error.status
    if status in (409, 422):
        detail = f" - {error.message}" if error.message else ""
        return status, f"Validation error occurred for {kind!r}{detail}"
    return status, f"Unexpected status from {kind!r} action: {status}"


def _nothing(doing: Doing, action: kinds.DoNothing) -> None:
    return


def _run_deployment(doing: Doing, action: kinds.RunDeployment) -> None:
    id = target(doing.invocation, "deployment", action.deployment_id)
    doing.about("deployment", id)
    by = doing.invocation.automation
    when = clock.now() + timedelta(seconds=action.schedule_after)
    wanted = DeploymentFlowRunCreate(
        state=StateCreate(
            type=StateTypeName.SCHEDULED, name="Scheduled", state_details=StateDetailsCreate(scheduled_time=when)
        ),
        parameters={name: Raw(msgspec.json.encode(value)) for name, value in doing.prepared.items()},
        job_variables=action.job_variables,
        idempotency_key=idempotency_key(doing.invocation),
    )
    run, new = create_run.create_flow_run(
        doing.tx,
        doing.orchestration,
        id,
        wanted,
        caller=SERVER,
        created_by=CreatedBy(by.id, "AUTOMATION", by.name),
    )
    doing.done.details["status_code"] = 201 if new else 200
    doing.about("flow-run", run.id, role="flow-run", name=run.name)


def idempotency_key(invocation: Invocation) -> str:
    """One invocation makes one run, whoever carries it out, and however often."""
    id, index = invocation.automation.id, invocation.action_index
    return f"automation {id}, action {index}, invocation {invocation.id}"


def _pause_deployment(doing: Doing, action: kinds.PauseDeployment | kinds.ResumeDeployment) -> None:
    id = target(doing.invocation, "deployment", action.deployment_id)
    doing.about("deployment", id)
    pause = isinstance(action, kinds.PauseDeployment)
    (deployment_changes.pause if pause else deployment_changes.resume)(doing.tx, id)
    doing.done.details["status_code"] = 200


def _change_state(doing: Doing, wanted: StateCreate, force: bool = False) -> None:
    id = flow_run(doing.invocation)
    doing.about("flow-run", id)
    outcome = transitions.set_state(doing.tx, doing.orchestration, id, wanted, force=force, caller=SERVER)
    doing.done.details["status_code"] = 201 if outcome.new else 200
    doing.done.reason = _refusal(outcome, "Failed to set state")


def _refusal(outcome: Outcome, words: str) -> str | None:
    if outcome.result.status == "ACCEPT":
        return None
    return f"{words}: {getattr(outcome.result.details, 'reason', None)}"


def _change_flow_run_state(doing: Doing, action: kinds.ChangeFlowRunState) -> None:
    message = action.message or f"State changed by {doing.by}"
    _change_state(doing, StateCreate(type=action.state, name=action.name, message=message), action.force)


def _cancel(doing: Doing, action: kinds.CancelFlowRun) -> None:
    _change_state(doing, StateCreate(type=StateTypeName.CANCELLING, message=f"Cancelled by {doing.by}"))


def _suspend(doing: Doing, action: kinds.SuspendFlowRun) -> None:
    details = StateDetailsCreate(pause_timeout=clock.now() + SUSPENDED_FOR, pause_reschedule=True)
    message = f"Suspended by {doing.by}"
    _change_state(
        doing, StateCreate(type=StateTypeName.PAUSED, name="Suspended", message=message, state_details=details)
    )


def _resume(doing: Doing, action: kinds.ResumeFlowRun) -> None:
    id = flow_run(doing.invocation)
    doing.about("flow-run", id)
    outcome = resume.resume(doing.tx, doing.orchestration, id, None, caller=SERVER)
    doing.done.reason = _refusal(outcome, "Failed to resume flow run")


def _delete(doing: Doing, action: kinds.DeleteFlowRun) -> None:
    id = flow_run(doing.invocation)
    doing.about("flow-run", id)
    changes.delete(doing.tx, doing.orchestration, id)
    doing.done.details["status_code"] = 204


def _enable(doing: Doing, id: Any, enabled: bool) -> None:
    found = target(doing.invocation, "automation", id)
    doing.about("automation", found)
    automation = doing.tx.get(store.LOCK, store.missing(), id=found)
    if enabled:
        store.check_enabled(automation)
    store.set_enabled(doing.tx, automation, enabled)
    doing.done.details["status_code"] = 204


def _pause_automation(doing: Doing, action: kinds.PauseAutomation) -> None:
    _enable(doing, action.automation_id, False)


def _resume_automation(doing: Doing, action: kinds.ResumeAutomation) -> None:
    _enable(doing, action.automation_id, True)


def _pause_pool(doing: Doing, action: kinds.PauseWorkPool | kinds.ResumeWorkPool) -> None:
    id = target(doing.invocation, "work-pool", action.work_pool_id)
    name = doing.tx.one(POOL_NAME, id=id)
    if name is None:
        raise Failed(f"Work pool {id} not found")
    doing.about("work-pool", id, name=name)
    pools.update(doing.tx, name, WorkPoolUpdate(is_paused=isinstance(action, kinds.PauseWorkPool)))
    doing.done.details["status_code"] = 204


def _pause_queue(doing: Doing, action: kinds.PauseWorkQueue | kinds.ResumeWorkQueue) -> None:
    id = target(doing.invocation, "work-queue", action.work_queue_id)
    doing.about("work-queue", id)
    queues.update_by_id(doing.tx, id, WorkQueueUpdate(is_paused=isinstance(action, kinds.PauseWorkQueue)))
    doing.done.details["status_code"] = 204


DATABASE_ACTIONS: dict[type[Any], Callable[[Doing, Any], None]] = {
    kinds.DoNothing: _nothing,
    kinds.RunDeployment: _run_deployment,
    kinds.PauseDeployment: _pause_deployment,
    kinds.ResumeDeployment: _pause_deployment,
    kinds.CancelFlowRun: _cancel,
    kinds.DeleteFlowRun: _delete,
    kinds.ChangeFlowRunState: _change_flow_run_state,
    kinds.SuspendFlowRun: _suspend,
    kinds.ResumeFlowRun: _resume,
    kinds.PauseAutomation: _pause_automation,
    kinds.ResumeAutomation: _resume_automation,
    kinds.PauseWorkPool: _pause_pool,
    kinds.ResumeWorkPool: _pause_pool,
    kinds.PauseWorkQueue: _pause_queue,
    kinds.ResumeWorkQueue: _pause_queue,
}
