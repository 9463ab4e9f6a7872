"""`/api/automations` and `/api/templates`."""

from __future__ import annotations

from collections.abc import Awaitable

from lictor.automations import store
from lictor.automations.types import (
    Automation,
    AutomationCount,
    AutomationCreate,
    AutomationPage,
    AutomationPatch,
    AutomationUpdate,
)
from lictor.db import Database
from lictor.kit.lazy import lazy
from lictor.web import Reply, Router

templates = lazy("lictor.kit.templates")

router = Router("/automations", tag="Automations")
template_router = Router("", tag="Automations")


@router.post("/", status=201)
def create_automation(body: AutomationCreate, db: Database) -> Awaitable[Automation]:
    return db.write(store.insert, body)


@router.put("/{id:uuid}", status=204)
def update_automation(id: str, body: AutomationUpdate, db: Database) -> Awaitable[None]:
    return db.write(store.replace, id, body)


@router.patch("/{id:uuid}", status=204)
def patch_automation(id: str, body: AutomationPatch, db: Database) -> Awaitable[None]:
    return db.write(store.patch, id, body)


@router.delete("/{id:uuid}", status=204)
def delete_automation(id: str, db: Database) -> Awaitable[None]:
    return db.write(store.delete, id)


@router.get("/{id:uuid}")
def read_automation(id: str, db: Database) -> Awaitable[Automation]:
    return db.read(store.get, id)


@router.post("/filter")
def read_automations(body: AutomationPage, db: Database) -> Awaitable[list[Automation]]:
    return db.read(store.page, body)


@router.post("/count")
def count_automations(body: AutomationCount, db: Database) -> Awaitable[int]:
    return db.read(store.count, body.automations)


@router.get("/related-to/{resource_id:str}")
def read_automations_related_to_resource(resource_id: str, db: Database) -> Awaitable[list[Automation]]:
    return db.read(store.related_to, resource_id)


@router.delete("/owned-by/{resource_id:str}", status=202)
def delete_automations_owned_by_resource(resource_id: str, db: Database) -> Awaitable[None]:
    return db.write(store.delete_owned, resource_id)


@router.post("/templates/validate", name="validate_template", also=(204,))
@template_router.post("/templates/validate", also=(204,))
def validate_template(body: str = "") -> Reply:
    """Nothing, or what is wrong with the template and in which line."""
    try:
        templates.check(body)
    except templates.TemplateError as error:
        fault = {"line": error.line, "message": error.message, "source": body}
        return Reply({"error": fault}, status=422)
    return Reply(status=204)
