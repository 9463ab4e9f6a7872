"""Changing and deleting a flow run by hand."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from lictor.db import Tx
from lictor.flow_runs import aside, store
from lictor.flow_runs.slot_rules import HOLDS_SLOT
from lictor.flow_runs.transitions import Orchestration
from lictor.flow_runs.types import FlowRunUpdate
from lictor.kit import clock, names
from lictor.kit.errors import BadRequest, NotFound
from lictor.states.types import SCHEDULED


def update(tx: Tx, run_id: str, wanted: FlowRunUpdate) -> None:
    """Set what the client sent. Raises NotFound, and BadRequest for job variables that cannot be changed now."""
    if wanted.job_variables is not UNSET and wanted.job_variables is not None:
        check_job_variables(tx, run_id)
    changes: dict[str, Any] = {
        name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not UNSET
    }
    if "name" in changes:
        changes["name"] = changes["name"] or names.slug()
    given = "parameters" in changes
    if given:
        changes["parameters"] = msgspec.json.encode(changes["parameters"]).decode()
    large = aside.moved(changes) if given else None
    if not store.update(tx, run_id, changes, clock.now()):
        raise NotFound(store.NOT_FOUND)
    if given:
        aside.replace(tx, run_id, large)


def check_job_variables(tx: Tx, run_id: str) -> None:
    """Job variables can only be changed of a run of a deployment, before it starts."""
    run = store.get(tx, run_id)
    if run.state is None:
        raise BadRequest("Flow run state is required to update job variables but none exists")
    if run.state.type != SCHEDULED:
        raise BadRequest(f"Job variables for a flow run in state {run.state.type} cannot be updated")
    if run.deployment_id is None:
        raise BadRequest("A deployment for the flow run could not be found")


def delete(tx: Tx, orchestration: Orchestration, run_id: str) -> None:
    if not delete_all(tx, orchestration, [run_id]):
        raise NotFound(store.NOT_FOUND)


def delete_all(tx: Tx, orchestration: Orchestration, run_ids: list[str]) -> list[str]:
    """Delete runs, which give back the slots that they hold; returns the ids of those that were there."""
    facts = orchestration.limits(tx)
    for run in store.held(tx, run_ids):
        if run.deployment_id and run.state_type in HOLDS_SLOT and run.state_details:
            facts.give_back(run.deployment_id, run.state_details.deployment_concurrency_lease_id)
    facts.forget(run_ids)
    return store.delete(tx, run_ids, clock.now())
