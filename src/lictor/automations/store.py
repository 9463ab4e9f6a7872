"""Automations in the database. Every change moves the revision on, by which those who evaluate them see it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lictor.automations.actions import Action
from lictor.automations.triggers import Trigger
from lictor.automations.types import (
    Automation,
    AutomationCreate,
    AutomationFilter,
    AutomationPage,
    AutomationPatch,
    AutomationSort,
    AutomationUpdate,
    check_loops,
)
from lictor.db import Tx, Where, sql, update_row
from lictor.deployments import job_variables
from lictor.deployments import store as deployments
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, Event
from lictor.kit import clock, ids
from lictor.kit.decoding import convert
from lictor.kit.errors import Invalid, NotFound, ObjectNotFound
from lictor.web.codec import decoder

# Sets come out in one order, whatever they are.
_json = msgspec.json.Encoder(order="deterministic").encode
load_trigger = decoder(Trigger)
load_actions = decoder(list[Action])

STORED_AS_JSON = ("trigger", "actions", "actions_on_trigger", "actions_on_resolve")

COLUMNS = """a.id, a.created, a.updated, a.name, a.description, a.enabled, a.tags, a.trigger, a.actions,
    a.actions_on_trigger, a.actions_on_resolve"""
ORDER = {
    AutomationSort.CREATED_DESC: "a.created desc, a.id desc",
    AutomationSort.UPDATED_DESC: "a.updated desc, a.id desc",
    AutomationSort.NAME_ASC: "a.name, a.id",
    AutomationSort.NAME_DESC: "a.name desc, a.id",
}

FIND = sql("automations.find", Automation, f"select {COLUMNS} from automation a where a.id = :id")
LOCK = sql("automations.lock", Automation, f"{FIND.text} {{for_update}}")
RELATED = sql(
    "automations.related",
    Automation,
    f"""
    select {COLUMNS} from automation_related_resource r join automation a on a.id = r.automation_id
    where r.resource_id = :resource_id order by a.created, a.id
    """,
)
OWNED = sql(
    "automations.owned",
    str,
    "select automation_id from automation_related_resource where resource_id = :resource_id and owned",
)
INSERT = sql(
    "automations.insert",
    None,
    """
    insert into automation (id, created, updated, name, description, enabled, tags, trigger, actions,
        actions_on_trigger, actions_on_resolve, since_position)
    values (:id, :now, :now, :name, :description, :enabled, :tags, :trigger, :actions,
        :actions_on_trigger, :actions_on_resolve, :since_position)
    """,
)
DELETE = sql("automations.delete", None, "delete from automation where id = :id")
LAST_POSITION = sql("automations.last_position", int, "select coalesce(max(position), 0) from events")
REVISE = sql(
    "automations.revise",
    None,
    """
    insert into automation_progress (id, revision, turn, position, gaps, looked)
    values (1, 1, 1, :position, '[]', {ts:now})
    on conflict (id) do update set revision = automation_progress.revision + 1
    """,
)
RELATE = sql(
    "automations.relate",
    None,
    """
    insert into automation_related_resource (automation_id, resource_id, owned) values (:id, :resource_id, :owned)
    on conflict (automation_id, resource_id) do update set owned = automation_related_resource.owned or excluded.owned
    """,
)
UNRELATE = sql(
    "automations.unrelate",
    None,
    """
    delete from automation_related_resource
    where automation_id = :id and not owned and resource_id like 'prefect.deployment.%'
    """,
)
FORGET = tuple(
    sql(f"automations.forget_{table}", None, f"delete from automation_{table} where automation_id = :id")
    for table in ("bucket", "held_event", "child_firing")
)


def get(tx: Tx, id: str) -> Automation:
    return tx.get(FIND, missing(), id=id)


def page(tx: Tx, asked: AutomationPage) -> list[Automation]:
    return tx.page(
        Automation,
        f"select {COLUMNS} from automation a",
        _where(asked.automations),
        order=ORDER[asked.sort],
        limit=asked.limit,
        offset=asked.offset,
    )


def count(tx: Tx, filter: AutomationFilter | None) -> int:
    return tx.count("from automation a", _where(filter))


def related_to(tx: Tx, resource_id: str) -> list[Automation]:
    return tx.all(RELATED, resource_id=resource_id)


def insert(tx: Tx, new: AutomationCreate) -> Automation:
    """Raises NotFound or Unprocessable for job variables of a deployment that is not there or does not take them."""
    _check_job_variables(tx, new)
    now, id = clock.now(), ids.new()
    content = _content(new)
    position = last_position(tx)
    tx.run(INSERT, id=id, now=now, since_position=position, **_texts(content))
    _relate_deployments(tx, id, new)
    if new.owner_resource:
        tx.run(RELATE, id=id, resource_id=new.owner_resource, owned=True)
    automation = Automation(id=id, created=now, updated=now, **content)
    _changed(tx, "created", automation, position)
    return automation


def replace(tx: Tx, id: str, new: AutomationUpdate) -> None:
    """Put another in an automation's place; what its triggers have seen is forgotten."""
    _check_job_variables(tx, new)
    old = tx.get(LOCK, missing(), id=id)
    now, content, position = clock.now(), _content(new), last_position(tx)
    update_row(tx, "automation", id, {"since_position": position, **_texts(content)}, now)
    for forget in FORGET:
        tx.run(forget, id=id)
    tx.run(UNRELATE, id=id)
    _relate_deployments(tx, id, new)
    _changed(tx, "updated", msgspec.structs.replace(old, updated=now, **content), position)


def patch(tx: Tx, id: str, change: AutomationPatch) -> None:
    """Raises Invalid if it cannot be enabled."""
    automation = tx.get(LOCK, missing(), id=id)
    if change.enabled is True:
        check_enabled(automation)
    set_enabled(tx, automation, automation.enabled if change.enabled is UNSET else change.enabled)


def check_enabled(automation: Automation) -> None:
    """Raises Invalid for an automation that would run without end."""
    try:
        check_loops(load_trigger(automation.trigger), load_actions(automation.actions))
    except ValueError as fault:
        raise _refused(automation, fault) from fault


def set_enabled(tx: Tx, automation: Automation, enabled: bool) -> None:
    now, position = clock.now(), last_position(tx)
    changes: dict[str, Any] = {"enabled": enabled}
    if enabled and not automation.enabled:
        changes["since_position"] = position
    update_row(tx, "automation", automation.id, changes, now)
    _changed(tx, "updated", msgspec.structs.replace(automation, enabled=enabled, updated=now), position)


def delete(tx: Tx, id: str) -> None:
    automation = tx.get(LOCK, missing(), id=id)
    tx.run(DELETE, id=id)
    _changed(tx, "deleted", automation, last_position(tx))


def delete_owned(tx: Tx, resource_id: str) -> None:
    """Delete what belongs to a resource; as in the reference, no event tells of it."""
    owned = tx.all(OWNED, resource_id=resource_id)
    for id in owned:
        tx.run(DELETE, id=id)
    if owned:
        tx.run(REVISE, position=last_position(tx), now=clock.now())


def missing() -> ObjectNotFound:
    return ObjectNotFound("Automation not found")


def last_position(tx: Tx) -> int:
    return int(tx.value(LAST_POSITION))


def _where(filter: AutomationFilter | None) -> Where:
    return Where() if filter is None else filter.where()


def _content(new: AutomationUpdate) -> dict[str, Any]:
    """What a client gives of an automation, as it is stored. Triggers get ids of ours, whatever they had."""
    for trigger in new.trigger.all():
        trigger.id = convert(ids.new(), type(trigger.id))
    plain = {name: getattr(new, name) for name in ("name", "description", "enabled", "tags")}
    stored = {name: getattr(new, name) for name in STORED_AS_JSON}
    content = plain | {name: Raw(_json(value)) for name, value in stored.items() if value is not UNSET}
    return {name: value for name, value in content.items() if value is not UNSET}


def _texts(content: dict[str, Any]) -> dict[str, Any]:
    return {key: _text(value) for key, value in content.items()}


def _text(value: Any) -> Any:
    return bytes(value).decode() if isinstance(value, Raw) else value


def _check_job_variables(tx: Tx, new: AutomationUpdate) -> None:
    for action in new.running():
        if not action.job_variables or action.deployment_id is None:
            continue
        deployment = tx.get(deployments.FIND, NotFound("Deployment not found."), id=str(action.deployment_id))
        job_variables.check(
            tx,
            deployment.pool_id,
            "creating automation",
            action.job_variables,
            require=True,
        )


def _relate_deployments(tx: Tx, id: str, new: AutomationUpdate) -> None:
    for action in new.running():
        if action.deployment_id is not None:
            tx.run(RELATE, id=id, resource_id=f"prefect.deployment.{action.deployment_id}", owned=False)


def _changed(tx: Tx, action: str, automation: Automation, position: int) -> None:
    # The row of the revision stays locked until the commit, so it is the last to be written.
    events.emit(
        tx,
        Event(
            occurred=clock.now(),
            event=f"prefect.automation.{action}",
            resource={RESOURCE_ID: f"prefect.automation.{automation.id}", RESOURCE_NAME: automation.name},
            payload=Raw(_json(automation)),
        ),
    )
    tx.run(REVISE, position=position, now=clock.now())


def _refused(automation: Automation, fault: ValueError) -> Invalid:
    merged = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(automation, enabled=True)))
    error = {"type": "value_error", "loc": [], "msg": f"Value error, {fault}", "input": merged, "ctx": {"error": {}}}
    return Invalid([error], {"enabled": True})
