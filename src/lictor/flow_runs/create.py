"""Creating a flow run: the row, its first state and that state's event, in one transaction.

The first state is decided like any other, with the minimal policy, before anything is written: the row is inserted as
it is after that state.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from lictor import observed_states, tallies
from lictor.db import Tx, sql
from lictor.flow_runs import aside, store
from lictor.flow_runs.announcing import CreatedBy, Surroundings
from lictor.flow_runs.policies import MINIMAL_FLOW
from lictor.flow_runs.store import Subject
from lictor.flow_runs.tracking import FlowRunSnapshot
from lictor.flow_runs.transitions import Orchestration, carry_out
from lictor.flow_runs.types import FlowRunCreate, FlowRunResponse
from lictor.kit import clock, ids, names, times
from lictor.kit.errors import Conflict, NotFound
from lictor.states import constructors
from lictor.states.callers import Caller
from lictor.states.decisions import Decision, Transition, decide
from lictor.states.storing import as_param
from lictor.states.types import State, from_create, kept
from lictor.web import Created


class Place(Struct):
    """The queue that is to serve a run, and its pool."""

    queue_id: str
    queue_name: str
    pool_id: str
    pool_name: str
    pool_type: str


class Origin(Struct):
    """What a new run inherits from its flow, its deployment and its parent task run."""

    flow_name: str
    flow_tags: list[str]
    flow_labels: dict[str, Any]
    deployment_flow_id: str | None
    deployment_name: str | None
    deployment_tags: list[str] | None
    deployment_labels: dict[str, Any] | None
    deployment_version: str | None
    task_run_name: str | None
    task_run_tags: list[str] | None


# The run of a script has neither deployment nor parent, and needs no joins. PostgreSQL would plan them anew for each
# run, because with nulls in them a cheaper plan is to be had; that took ten times as long as to run it.
FLOW_ALONE = sql(
    "flow_runs.flow_alone",
    Origin,
    """
    select f.name, f.tags, f.labels, null, null, null, null, null, null, null from flow f
    where f.id = :flow_id and f.deleted is null
    """,
)
ORIGIN = sql(
    "flow_runs.origin",
    Origin,
    """
    select f.name, f.tags, f.labels, d.flow_id, d.name, d.tags, d.labels, d.version, t.name, t.tags from flow f
    left join deployment d on d.id = {uuid:deployment_id}
    left join task_run t on t.id = {uuid:task_run_id}
    where f.id = :flow_id and f.deleted is null
    """,
)
_PLACE = """
    select q.id, q.name, p.id, p.name, p.type from work_pool p join work_queue q on q.work_pool_id = p.id
    where p.name = :pool_name and """
DEFAULT_PLACE = sql("flow_runs.default_place", Place, _PLACE + "q.id = p.default_queue_id")
NAMED_PLACE = sql("flow_runs.named_place", Place, _PLACE + "q.name = :queue_name")


def create(
    tx: Tx,
    orchestration: Orchestration,
    wanted: FlowRunCreate,
    *,
    caller: Caller,
    created_by: CreatedBy | None = None,
) -> tuple[FlowRunResponse, bool]:
    """The new run and True, or the one that has the idempotency key already and False.

    Raises NotFound for an unknown pool or queue, Conflict for an unknown flow or parent task run.
    """
    place = _place(tx, wanted.work_pool_name, wanted.work_queue_name)
    return insert(tx, orchestration, wanted, place, caller=caller, created_by=created_by)


def insert(
    tx: Tx,
    orchestration: Orchestration,
    wanted: FlowRunCreate,
    place: Place | None,
    *,
    caller: Caller,
    created_by: CreatedBy | None = None,
    deployment_version: str | None = None,
) -> tuple[FlowRunResponse, bool]:
    """As `create`, for a caller who knows the place; the pool and the queue that are wanted are not looked at."""
    origin = _origin(tx, str(wanted.flow_id), _text(wanted.deployment_id), _text(wanted.parent_task_run_id))
    if origin is None or (wanted.parent_task_run_id is not None and origin.task_run_name is None):
        raise Conflict
    now = clock.now()
    subject = _subject(wanted, origin, place, created_by)
    decision = _first_state(tx, orchestration, subject, wanted, now, caller)
    run = _response(wanted, subject, decision, origin, place, now)
    run.deployment_version = deployment_version
    params = _params(run)
    large = aside.moved(params)
    if wanted.idempotency_key is None:  # then nothing can be in its way, and nobody need wait for it
        tx.put(store.INSERT, **params)
    elif not tx.run(store.INSERT, **params):
        existing = _existing(tx, wanted, params)
        if existing is not None:
            return existing, False
    aside.put(tx, run.id, large)
    tallies.touch(tx, run.expected_start_time)
    if run.parent_task_run_id is not None:
        tallies.touch_task_runs(tx, [run.parent_task_run_id])
    state = decision.state
    assert state is not None
    store.insert_state(tx, run.id, state)
    observed_states.note(tx, state.type, state.name, state.timestamp)
    for effect in decision.effects:
        carry_out(tx, effect, subject, orchestration.limits(tx))
    state.data = kept(state.data)
    return run, True


def answer(
    tx: Tx,
    orchestration: Orchestration,
    wanted: FlowRunCreate,
    *,
    caller: Caller,
    created_by: CreatedBy | None = None,
) -> Created[FlowRunResponse]:
    """`create`, as a client is answered."""
    return Created(*create(tx, orchestration, wanted, caller=caller, created_by=created_by))


def _existing(tx: Tx, wanted: FlowRunCreate, params: dict[str, Any]) -> FlowRunResponse | None:
    """The run that has the key. None if that was withdrawn, and now the new one is there in its place."""
    # An empty key is unique like any other, but the reference does not look for its run.
    if not wanted.idempotency_key:
        raise Conflict
    key = {"flow_id": wanted.flow_id, "idempotency_key": wanted.idempotency_key}
    found = tx.one(store.FIND_BY_KEY, **key)
    if found is None:
        store.delete(tx, tx.all(store.WITHDRAWN_BY_KEY, **key), clock.now())
        if not tx.run(store.INSERT, **params):
            raise Conflict
    return found


def _origin(tx: Tx, flow_id: str, deployment_id: str | None, task_run_id: str | None) -> Origin | None:
    if deployment_id is None and task_run_id is None:
        return tx.one(FLOW_ALONE, flow_id=flow_id)
    return tx.one(ORIGIN, flow_id=flow_id, deployment_id=deployment_id, task_run_id=task_run_id)


def _place(tx: Tx, pool_name: str | None, queue_name: str | None) -> Place | None:
    if not pool_name:
        return None
    if not queue_name:
        return tx.get(DEFAULT_PLACE, NotFound(f'Work pool "{pool_name}" not found.'), pool_name=pool_name)
    missing = NotFound(f"Work pool queue '{pool_name}/{queue_name}' not found.")
    return tx.get(NAMED_PLACE, missing, pool_name=pool_name, queue_name=queue_name)


def _subject(wanted: FlowRunCreate, origin: Origin, place: Place | None, created_by: CreatedBy | None) -> Subject:
    deployment_id = _text(wanted.deployment_id)
    parent_id = _text(wanted.parent_task_run_id)
    run = FlowRunSnapshot(
        ids.new(), None, None, None, 0, None, None, None, None, 0.0,
        wanted.empirical_policy, deployment_id, parent_id, None,
    )  # fmt: skip
    around = Surroundings(
        name=wanted.name or names.slug(),
        tags=wanted.tags,
        created_by=created_by,
        flow_id=str(wanted.flow_id),
        flow_name=origin.flow_name,
        flow_tags=origin.flow_tags,
        deployment_id=deployment_id,
        deployment_name=origin.deployment_name,
        deployment_tags=origin.deployment_tags,
        work_queue_id=place.queue_id if place else None,
        work_queue_name=place.queue_name if place else None,
        work_pool_id=place.pool_id if place else None,
        work_pool_name=place.pool_name if place else None,
        work_pool_type=place.pool_type if place else None,
        task_run_id=parent_id,
        task_run_name=origin.task_run_name,
        task_run_tags=origin.task_run_tags,
    )
    return Subject(run, None, around)


def _first_state(
    tx: Tx, orchestration: Orchestration, subject: Subject, wanted: FlowRunCreate, now: datetime, caller: Caller
) -> Decision:
    state: State = constructors.pending(now=now) if wanted.state is None else from_create(wanted.state, now)
    transition = Transition(
        subject.run,
        None,
        state,
        orchestration.limits(tx),
        now=now,
        api_version=caller.api_version,
        settings=orchestration.settings,
    )
    return decide(MINIMAL_FLOW, transition)


def _response(
    wanted: FlowRunCreate, subject: Subject, decision: Decision, origin: Origin, place: Place | None, now: datetime
) -> FlowRunResponse:
    """The run as it is after its first state: what is inserted, and what the client is answered."""
    run, state = subject.run, decision.state
    return FlowRunResponse(
        id=run.id,
        created=now,
        updated=now,
        name=subject.around.name,
        flow_id=str(wanted.flow_id),
        state_id=state.id if state else None,
        deployment_id=run.deployment_id,
        deployment_version=None,
        work_queue_id=place.queue_id if place else None,
        work_queue_name=place.queue_name if place else wanted.work_queue_name,
        flow_version=wanted.flow_version,
        parameters=_raw(wanted.parameters),
        idempotency_key=wanted.idempotency_key,
        context=_raw(wanted.context),
        empirical_policy=run.empirical_policy,
        tags=wanted.tags,
        labels=_raw(_labels(wanted, origin)),
        parent_task_run_id=run.parent_task_run_id,
        state_type=run.state_type,
        state_name=run.state_name,
        run_count=run.run_count,
        expected_start_time=run.expected_start_time,
        next_scheduled_start_time=run.next_scheduled_start_time,
        start_time=run.start_time,
        end_time=run.end_time,
        total_run_time=run.total_run_time,
        estimated_run_time=0.0,
        estimated_start_time_delta=0.0,
        auto_scheduled=False,
        infrastructure_document_id=_text(wanted.infrastructure_document_id),
        infrastructure_pid=None,
        created_by=None if subject.around.created_by is None else _raw(subject.around.created_by),
        work_pool_id=place.pool_id if place else None,
        work_pool_name=place.pool_name if place else None,
        state=state,
        job_variables=_job_variables(wanted),
    )


def _job_variables(wanted: FlowRunCreate) -> msgspec.Raw | None:
    # What the reference makes of none depends on the key, by way of its two kinds of insert.
    if wanted.job_variables is None and wanted.idempotency_key:
        return None
    return _raw(wanted.job_variables or {})


def _labels(wanted: FlowRunCreate, origin: Origin) -> dict[str, Any]:
    own = wanted.labels or {}
    # A deployment's runs bear its flow, as in the reference, also where they are made for another one.
    flow_label = {"prefect.flow.id": origin.deployment_flow_id or str(wanted.flow_id)}
    if origin.deployment_name is None:
        return origin.flow_labels | flow_label | own
    deployment_label = {"prefect.deployment.id": str(wanted.deployment_id)}
    return (origin.deployment_labels or {}) | flow_label | deployment_label | own


def _params(run: FlowRunResponse) -> dict[str, Any]:
    """The run's columns, those that drivers do not know as text already: they would ask for each."""
    params = asdict(run)
    params["state_timestamp"] = None if run.state is None else run.state.timestamp
    for columns, written in _WRITTEN:
        for name in columns:
            if params[name] is not None:
                params[name] = written(params[name])
    return params


_WRITTEN: tuple[tuple[tuple[str, ...], Callable[[Any], str]], ...] = (
    (("created", "updated", *store.INSTANTS), times.text),
    (("parameters", "context", "labels", "created_by", "job_variables"), as_param),
    (("empirical_policy", "tags"), lambda value: msgspec.json.encode(value).decode()),
)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _text(id: Any) -> str | None:
    return None if id is None else str(id)
